"""Loads the query side of a profile that is being built: once at the beginning to see that it can, once for use.

Both in the background, so that neither the answers nor the analysis wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from config.paths import Paths
from daemon.answers import Answers
from daemon.view import QuerySide, View, query_resources
from indexer.records import Plan

_T = TypeVar("_T")


class NewView:
    """What is being loaded for the plan that is being built. Not thread-safe."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._checked: Plan | None = None
        self._checking: Future[None] | None = None
        self._opening: Future[View] | None = None

    @property
    def opening(self) -> bool:
        """The view was asked for, and is not taken into use yet."""
        return self._opening is not None

    @property
    def is_open(self) -> bool:
        """Opening it has come to its end, good or bad."""
        return self._opening is not None and self._opening.done()

    def is_checked(self, plan: Plan) -> bool:
        """Whether the plan's query side was loaded once."""
        return self._checked == plan

    def check(self, plan: Plan) -> bool:
        """Load the plan's query side once; True when that is done. Raises ReverieError if it cannot be loaded.

        What cannot answer should be known before hours of analysis, and what has to be built for it (in a child
        process) is then there at the end.
        """
        if self._checking is None:
            self._checking = _in_background(QuerySide(plan, query_resources(self._paths)).load)
        if not self._checking.done():
            return False
        self._checking.result()
        self._checked, self._checking = plan, None
        return True

    def open(self, plan: Plan, answers: Answers) -> View | None:
        """The view that answers from then on; None as long as it is being loaded. Raises ReverieError if it cannot."""
        if self._opening is None:
            self._opening = _in_background(lambda: _opened(answers, plan))
        return self._opening.result() if self._opening.done() else None

    def forget(self) -> None:
        """Begin again with the next question. Threads that are at work end by themselves."""
        self._checking = self._opening = None


def _opened(answers: Answers, plan: Plan) -> View:
    view = answers.view_of(plan)
    view.query.load()
    return view


def _in_background(work: Callable[[], _T]) -> Future[_T]:
    """Run in a thread that does not keep the process from ending."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised again where somebody listens, by `result`
            future.set_exception(error)

    threading.Thread(target=run, name="profile", daemon=True).start()
    return future
