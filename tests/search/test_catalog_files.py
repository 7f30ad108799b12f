"""Paths and content: what follows what, and what is never read twice."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.records import Kind, Stage
from search.catalog import Catalog
from tests.search.library import STAGES, add, analysis, digest, finish, found, index, media, stat


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    ticks = itertools.count(1000)
    catalog = Catalog(tmp_path / "library", clock=lambda: float(next(ticks)))
    yield catalog
    catalog.close()


def test_a_new_file_waits_to_be_identified_then_analysed_then_is_searchable(catalog: Catalog) -> None:
    seen = stat("/p/beach.jpg")
    catalog.record_files([seen])
    assert catalog.unidentified(10) == [seen]
    catalog.identify([(seen, digest("x"), Kind.PHOTO)], STAGES)
    assert catalog.unidentified(10) == []
    assert catalog.select_media("TRUE").tolist() == []
    finish(catalog, tags=["sea"])
    assert catalog.select_media("TRUE").tolist() == [media(catalog, "/p/beach.jpg")]
    counts = catalog.counts()
    assert (counts.files, counts.media, counts.done, counts.pending, counts.unidentified) == (1, 1, 1, 0, 0)


@pytest.mark.parametrize("missing_first", [True, False])
def test_a_rename_keeps_everything_without_reading(catalog: Catalog, missing_first: bool) -> None:  # noqa: FBT001
    [kept] = index(catalog, stat("/p/old.jpg", 7))
    if missing_first:
        catalog.record_missing(["/p/old.jpg"])
    catalog.record_files([stat("/q/new.jpg", 7)])
    if not missing_first:
        catalog.record_missing(["/p/old.jpg"])
    assert media(catalog, "/q/new.jpg") == kept
    assert catalog.media_at("/p/old.jpg") is None
    assert catalog.unidentified(10) == []
    assert catalog.claim(10) == []
    assert (found(catalog, "new"), found(catalog, "old")) == ({kept}, set())
    assert catalog.counts().missing == 0


def test_two_files_that_swapped_names_swap_their_media(catalog: Catalog) -> None:
    a, b = index(catalog, stat("/p/a.jpg", 1), stat("/p/b.jpg", 2))
    catalog.record_files([stat("/p/a.jpg", 2), stat("/p/b.jpg", 1)])
    assert (media(catalog, "/p/a.jpg"), media(catalog, "/p/b.jpg")) == (b, a)
    assert catalog.unidentified(10) == []


def test_hard_links_and_copies_share_their_media(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg", 1))
    catalog.record_files([stat("/p/link.jpg", 1), stat("/p/copy.jpg", 9)])
    assert media(catalog, "/p/link.jpg") == one
    assert [waiting.path for waiting in catalog.unidentified(10)] == ["/p/copy.jpg"]
    original = stat("/p/a.jpg", 1)
    catalog.identify([(stat("/p/copy.jpg", 9), digest(original.path + str(original.signature)), Kind.PHOTO)], STAGES)
    assert catalog.claim(10) == []
    [row] = catalog.photos([one])
    assert row.paths == ("/p/a.jpg", "/p/copy.jpg", "/p/link.jpg")
    catalog.record_missing(["/p/a.jpg", "/p/link.jpg"])
    assert found(catalog, "copy") == {one}
    assert found(catalog, "link") == set()


def test_a_replaced_file_is_looked_at_afresh_and_the_old_content_hidden_at_once(catalog: Catalog) -> None:
    [old] = index(catalog, stat("/p/a.jpg"), title="sunset")
    catalog.record_files([stat("/p/a.jpg", size=2000)])
    assert catalog.media_at("/p/a.jpg") is None
    assert [waiting.size for waiting in catalog.unidentified(10)] == [2000]
    assert found(catalog, "sunset") == set()
    assert catalog.select_media("TRUE").tolist() == []
    assert catalog.photos([old])[0].paths == ()


def test_a_result_of_reading_is_ignored_if_the_file_changed_meanwhile(catalog: Catalog) -> None:
    before, after = stat("/p/a.jpg"), stat("/p/a.jpg", mtime_ns=6)
    catalog.record_files([before])
    catalog.record_files([after])
    catalog.identify([(before, digest("half"), Kind.PHOTO)], STAGES)
    assert catalog.media_at("/p/a.jpg") is None
    assert catalog.unidentified(10) == [after]


def test_a_missing_file_is_hidden_and_back_without_work_when_it_returns(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg"), title="sunset")
    catalog.record_missing(["/p/a.jpg"])
    assert found(catalog, "sunset") == set()
    assert catalog.counts().missing == 1
    assert catalog.known_files("/p")["/p/a.jpg"].missing_since is not None
    catalog.record_files([stat("/p/a.jpg", device=99)])
    assert found(catalog, "sunset") == {one}
    assert (catalog.unidentified(10), catalog.claim(10)) == ([], [])


def test_purging_forgets_only_what_is_long_gone_and_held_by_nobody(catalog: Catalog) -> None:
    gone, shared, kept = index(catalog, stat("/p/gone.jpg"), stat("/p/shared.jpg", 5), stat("/p/kept.jpg"))
    catalog.record_files([stat("/q/link.jpg", 5)])
    catalog.record_missing(["/p/gone.jpg", "/p/shared.jpg"])
    expected = bytes.fromhex(catalog.photos([gone])[0].content_hash)
    assert catalog.purge_missing(0.0) == []
    assert catalog.purge_missing(1e12) == [expected]
    assert [row.media_id for row in catalog.photos([gone, shared, kept])] == [shared, kept]
    assert catalog.counts().vectors == {"test@1": 2}
    assert "/p/gone.jpg" not in catalog.known_files("/p")


def test_a_changed_sidecar_has_only_the_metadata_read_again(catalog: Catalog) -> None:
    index(catalog, stat("/p/a.jpg"), title="old words")
    catalog.record_files([stat("/p/a.jpg", sidecars=("/p/a.jpg.xmp",), sidecars_stamp=1)])
    [work] = catalog.claim(10)
    assert (work.stages, work.stat.sidecars) == ((Stage.METADATA,), ("/p/a.jpg.xmp",))
    assert found(catalog, "words") == {work.media_id}, "it stays searchable meanwhile"
    # It changes once more under the worker: the result is stored, and the stage runs again.
    catalog.record_files([stat("/p/a.jpg", sidecars=("/p/a.jpg.xmp",), sidecars_stamp=2)])
    finish(catalog, title="new")
    assert found(catalog, "new") == {work.media_id}
    assert catalog.counts().done == 1


def test_a_rename_together_with_its_sidecar_is_no_work(catalog: Catalog) -> None:
    index(catalog, stat("/p/a.jpg", 4, sidecars=("/p/a.jpg.xmp",), sidecars_stamp=1))
    catalog.record_missing(["/p/a.jpg"])
    catalog.record_files([stat("/p/b.jpg", 4, sidecars=("/p/b.jpg.xmp",), sidecars_stamp=1)])
    assert catalog.claim(10) == []


def test_names_that_are_not_utf8_are_kept_exactly(catalog: Catalog) -> None:
    path = os.fsdecode(b"/p/caf\xe9/sommer.jpg")
    [one] = index(catalog, stat(path, sidecars=(path + ".xmp", path + ".json"), sidecars_stamp=1))
    assert catalog.photos([one])[0].paths == (path,)
    assert catalog.known_files(os.fsdecode(b"/p/caf\xe9")).keys() == {path}
    assert catalog.known_files("/p")[path].sidecars == (path + ".xmp", path + ".json")
    assert found(catalog, "sommer") == {one}


def test_known_files_are_those_at_or_below_and_not_beside(catalog: Catalog) -> None:
    add(catalog, *map(stat, ["/p/a.jpg", "/p/b/c.jpg", "/p.jpg", "/pq/d.jpg", "/p-/e.jpg"]))
    assert catalog.known_files("/p").keys() == {"/p/a.jpg", "/p/b/c.jpg"}
    assert catalog.known_files("/p/").keys() == {"/p/a.jpg", "/p/b/c.jpg"}
    assert catalog.known_files("/p/b/c.jpg").keys() == {"/p/b/c.jpg"}
    assert len(catalog.known_files("/")) == 5


def test_an_unreadable_path_is_listed_and_left_alone_until_it_changes(catalog: Catalog) -> None:
    catalog.record_files([stat("/p/a.jpg")])
    catalog.record_problem("/p/a.jpg", "It may not be read.", "Change its mode.")
    catalog.record_files([stat("/p/a.jpg")])
    assert catalog.unidentified(10) == []
    [problem] = catalog.problems()
    assert (problem.path, problem.title, problem.remedy) == ("/p/a.jpg", "It may not be read.", "Change its mode.")
    assert catalog.counts().problems == 1
    catalog.record_files([stat("/p/a.jpg", mtime_ns=6)])
    assert len(catalog.unidentified(10)) == 1
    catalog.record_problem("/p/a.jpg", "Again.", "")
    assert catalog.retry_problems() == 1
    assert len(catalog.unidentified(10)) == 1


def test_a_sidecar_that_turns_a_photo_has_its_picture_looked_at_again(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg"))
    pictures = {Stage.DESCRIBE, Stage.PIXELS, Stage.CONCEPTS}
    owed: dict[str, set[str]] = {}
    for stamp, orientation in ((1, None), (2, 6), (3, 6)):
        catalog.record_files([stat("/p/a.jpg", sidecars=("/p/a.jpg.xmp",), sidecars_stamp=stamp)])
        [work] = catalog.claim(1)
        assert work.stages == (Stage.METADATA,)
        said = replace(analysis(one, sidecar_orientation=orientation), stages={Stage.METADATA: 1})
        catalog.store([replace(said, pixels=None, tags={}, embeddings=())], [])
        owed[f"{stamp} {orientation}"] = {stage for again in catalog.claim(1) for stage in again.stages}
        catalog.store([analysis(one, sidecar_orientation=orientation)], [])
    assert owed == {"1 None": set(), "2 6": pictures, "3 6": set()}
