"""The passes over one long file, side by side: how far they are, and how one ends the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from config.errors import MediaError

TELL_SECONDS = 1.0
"""How often it is told how far a file is, at most."""

_T = TypeVar("_T")


class Progress:
    """How far the passes over one file are; the slowest one counts."""

    def __init__(self, tell: Callable[[float], None], check: Callable[[], None]) -> None:
        """`check` raises if nobody wants the result any more."""
        self.whole = 0.0
        """Where a pass ends, as far as it is known: of a file, its seconds."""
        self._tell = tell
        self._check = check
        self._lock = threading.Lock()
        self._at: dict[int, float] = {}
        self._told = 0.0
        self._stopped = False

    def reporter(self) -> Callable[[float], None]:
        """What one pass calls with how much of the whole it is done with."""
        number = len(self._at)
        self._at[number] = 0.0
        return lambda done: self._reached(number, done)

    def got_on(self) -> None:
        """Say how far it is, now and then: that it is no further, too, for whoever says nothing seems to hang."""
        with self._lock:
            now = time.monotonic()
            if now - self._told < TELL_SECONDS:
                return
            self._told = now
            least = min(self._at.values(), default=0.0)
            share = min(1.0, least / self.whole) if self.whole > 0 else 0.0
        self._tell(share)

    def stop(self) -> None:
        """Have every pass end when it next reports."""
        self._stopped = True

    def _reached(self, number: int, done: float) -> None:
        if self._stopped:
            raise BrokenOff("The analysis of this file was broken off.", "It is tried again.")
        self._check()
        with self._lock:
            self._at[number] = done
        self.got_on()


class BrokenOff(MediaError):
    """The other pass over the file has failed."""


class Aside(Generic[_T]):
    """Something done in a thread beside this one. `on_error` is called, from there, if it fails."""

    def __init__(self, work: Callable[[], _T], on_error: Callable[[], None]) -> None:
        self._on_error = on_error
        self._outcome: _T | BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name="listen", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end, however it ends."""
        self._thread.join()

    def result(self) -> _T:
        """Wait for what came of it. Raises what it raised."""
        self._thread.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome  # type: ignore[return-value]

    def _run(self, work: Callable[[], _T]) -> None:
        try:
            self._outcome = work()
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits, in `result`
            self._outcome = error
            self._on_error()
