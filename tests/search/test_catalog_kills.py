"""A change of plan that is killed, at any statement, leaves the state before or after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from indexer.records import Plan, Space
from search.catalog import Catalog
from tests.search.library import STAGES, add, found
from tests.search.plans import NEW, content, do_all, photos, swept
from tests.search.plans import catalog as catalog  # noqa: PLC0414 - pytest finds fixtures by name


def copies(catalog: Catalog, directory: Path, act: Callable[[], object]) -> list[Path]:
    """The library as a kill would leave it before each statement that `act` makes the writer run."""
    made: list[Path] = []

    def copy(_: str) -> None:
        made.append(directory.with_name(f"killed-{len(list(directory.parent.glob('killed-*')))}"))
        shutil.copytree(directory, made[-1])

    writer = catalog._database._writer
    assert writer is not None
    writer.set_trace_callback(copy)
    act()
    writer.set_trace_callback(None)
    return made


def reopened(directories: Sequence[Path]) -> Iterator[tuple[Catalog, Path]]:
    for directory in directories:
        again = Catalog(directory, clock=lambda: 1000.0)
        yield again, directory
        again.close()


def test_a_kill_at_any_statement_leaves_the_state_before_or_after(catalog: Catalog, tmp_path: Path) -> None:
    library = tmp_path / "library"
    add(catalog, *photos("a", "b"))
    do_all(catalog)
    other = Plan("quality", Space("large@1/1", 16), {**STAGES, "embedding:large": 1})
    acts: list[Callable[[], object]] = [
        lambda: catalog.begin(other),
        lambda: catalog.begin(NEW),
        catalog.cancel,
        lambda: catalog.begin(NEW),
        catalog.switch,
        lambda: catalog.activate(Plan(NEW.profile, NEW.space, {**NEW.stages, "faces": 1})),
    ]
    looked = 0
    for act in acts:
        before = content(library)
        killed = copies(catalog, library, act)
        after = content(library)
        assert after != before
        states = [content(directory) for _, directory in reopened(killed)]
        assert all(state in (before, after) for state in states)
        looked += len(states)
    assert looked > 40


def test_a_kill_at_any_statement_of_a_sweep_costs_nothing(catalog: Catalog, tmp_path: Path) -> None:
    add(catalog, *photos("a", "b"))
    catalog.begin(NEW)
    do_all(catalog)
    catalog.switch()
    killed = copies(catalog, tmp_path / "library", lambda: swept(catalog))
    final = content(tmp_path / "library")
    assert len(killed) > 40
    for again, directory in reopened(killed):
        assert found(again, "kitten") == {1, 2}, "what is in use can be found all the time"
        swept(again)
        assert content(directory) == final
