"""The progress of `reverie index`: a bar in a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from daemon.render import time_left
from search.messages import ProgressMessage


class ProgressBar:
    """Shows progress messages on standard error, so that standard output stays clean. A context manager.

    `verb` says what is done to the photos.
    """

    def __init__(self, verb: str = "Indexing") -> None:
        self._verb = verb
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("Starting", total=None, pace="")

    def show(self, message: ProgressMessage) -> None:
        """Draw this state."""
        rate = message["photos_per_second"]
        pace = f"{rate:.1f} photos/s{time_left(message['eta_seconds'], message['long_left'])}" if rate else ""
        states = {"scanning": "Looking", "indexing": self._verb, "preparing": "Preparing", "done": "Done"}
        what = states[message["state"]]
        self._progress.update(
            self._task, description=what, completed=message["done"], total=message["total"] or None, pace=pace
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()
