"""Fetching models with a progress bar, for `reverie models pull`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from config.paths import Paths
from daemon.model_report import named
from indexer.models.hub import Hub, Progress, pull
from indexer.models.listing import load_list
from indexer.models.store import Store


class Pulled(TypedDict):
    """What a pull did."""

    pulled: list[str]
    already: list[str]
    """Models that were installed before."""


def pull_all(name: str, paths: Paths, environ: Mapping[str, str], *, folder: Path | None) -> Pulled:
    """Install what a profile needs, or one model, from the hub or from a folder.

    Raises UnknownName, PullFailed. What was installed before an error stays.
    """
    store = Store(paths.models)
    outcome: Pulled = {"pulled": [], "already": []}
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
    fetched: set[str] = set()
    with bar:
        task = bar.add_task("", total=None)

        def show(progress: Progress) -> None:
            fetched.add(progress.model)
            what = f"{progress.model}: {progress.file}"
            bar.update(task, description=what, completed=progress.done, total=progress.total)

        for entry in named(name, load_list(paths.config_folders)):
            bar.reset(task)
            if entry.package is None or not store.installed(entry):
                # One that is installed may be damaged: only what is whole is left as it is.
                pull(entry, store, source=folder or Hub.from_environment(environ), progress=show)
            outcome["pulled" if entry.name in fetched else "already"].append(entry.name)
    return outcome
