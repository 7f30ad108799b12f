"""Fetching models for `reverie models pull`: what is about to come, the question, and a progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO, TypedDict

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from config.errors import PullFailed, ReverieError
from config.paths import Paths
from daemon.confirming import agreed
from daemon.model_report import named
from daemon.models_render import size
from indexer.models.hub import SPARE, Hub, Progress, Pull, prepare
from indexer.models.listing import load_list
from indexer.models.store import Store

ASK_FROM = 10**9
"""Bytes to be fetched from the hub above which the user is asked first."""


class NotConfirmed(ReverieError):
    """So much is not fetched without a yes."""

    exit_status = 2


class Pulled(TypedDict):
    """What a pull did."""

    pulled: list[str]
    already: list[str]
    """Models that were installed before."""


def pull_all(
    name: str, paths: Paths, environ: Mapping[str, str], *, folder: Path | None, confirm: Callable[[str], bool]
) -> Pulled:
    """Install what a profile needs, or one model, from the hub or from a folder.

    Args:
        name: the profile or the model.
        paths: of the library.
        environ: names the hub, and the user's token.
        folder: where the files are; None for the hub.
        confirm: asked before more than `ASK_FROM` bytes are fetched from the hub.

    Raises:
        UnknownName: no profile or model is called so.
        PullFailed: what was installed before stays.
        NotConfirmed: the user said no.
    """
    store = Store(paths.models)
    outcome: Pulled = {"pulled": [], "already": []}
    pulls: list[Pull] = []
    hub = Hub.from_environment(environ, _pause) if folder is None else None
    for entry in named(name, load_list(paths.config_folders)):
        # One that is installed may be damaged: only what is whole is left as it is.
        comes_along = entry.package is not None and store.installed(entry)
        pull = None if comes_along else prepare(entry, store, folder or hub or Hub())
        if pull is None:
            outcome["already"].append(entry.name)
        else:
            pulls.append(pull)
    if not pulls:
        return outcome
    missing = sum(pull.missing() for pull in pulls)
    _announce(sys.stderr, pulls, missing)
    _require_room(name, store, paths, missing)
    if hub is not None and missing > ASK_FROM and not confirm(f"Fetch {size(missing)}?"):
        raise NotConfirmed("Nothing was fetched.")
    _run(pulls, outcome)
    return outcome


def ask(question: str) -> bool:
    """Ask the user on the terminal. Raises NotConfirmed where nobody can answer."""
    if not sys.stdin.isatty():
        raise NotConfirmed(
            f"{question} There is no terminal on which to ask; nothing was fetched.",
            "Add --yes to fetch it without being asked.",
        )
    return agreed(question)


def _announce(out: TextIO, pulls: Sequence[Pull], missing: int) -> None:
    """What will be fetched, how much of it, and from where."""
    out.write(f"To fetch: {size(missing)}\n")
    width = max(len(pull.model) for pull in pulls)
    for pull in pulls:
        here = pull.total - pull.missing()
        kept = f", of which {size(here)} are here" if here else ""
        out.write(f"  {pull.model:<{width}}  {size(pull.total):>8}{kept}  from {pull.origin}\n")


def _require_room(name: str, store: Store, paths: Paths, missing: int) -> None:
    """Raises PullFailed if the disk cannot hold all of it."""
    try:
        free = store.free_bytes()
    except OSError:
        return  # the pull itself will say what is wrong with the folder
    if free < missing + SPARE:
        raise PullFailed(
            f"The disk of {paths.models} has {size(free)} free, which is no room for {name}: {size(missing + SPARE)} "
            "are needed.",
            "Free some space, or put the library on a larger disk; then pull again.",
        )


def _run(pulls: Sequence[Pull], outcome: Pulled) -> None:
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=None)

        def show(progress: Progress) -> None:
            what = f"{progress.model}: {progress.file}"
            bar.update(task, description=what, completed=progress.done, total=progress.total)

        for pull in pulls:
            bar.reset(task)
            pull.run(show)
            outcome["pulled"].append(pull.model)


def _pause(seconds: float) -> None:
    """Wait, and say so: without a word it would look hung."""
    if seconds >= 1:
        sys.stderr.write(f"The model hub is busy or silent; it is asked again in {seconds:.0f} s.\n")
    time.sleep(seconds)
