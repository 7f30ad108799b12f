"""How the threads of the service are: when each last showed a sign of life, and what makes one rest."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from config.disk import remedy_for
from config.errors import ReverieError, ServiceError

logger = logging.getLogger(__name__)

TROUBLE_SECONDS = 30.0
"""How long a thread rests after something no retry can mend at once: a full disk, missing weights."""

BEAT_SECONDS = 60.0
"""A thread that has shown no sign of life for so long is stuck: the watchdog is not fed any more."""


class ThreadHealth:
    """Written by the threads themselves, read by all."""

    def __init__(self) -> None:
        self._beats: dict[str, float] = {}
        self._errors: dict[str, ReverieError] = {}

    def beat(self, thread: str) -> None:
        """A thread is alive."""
        self._beats[thread] = time.monotonic()

    @contextlib.contextmanager
    def busy(self, thread: str) -> Iterator[None]:
        """Within this block a thread counts as alive, however long it takes."""
        self._beats[thread] = float("inf")
        try:
            yield
        finally:
            self.beat(thread)

    def alive(self) -> bool:
        """Whether none of the threads is stuck."""
        now = time.monotonic()
        return now - min(self._beats.values(), default=now) < BEAT_SECONDS

    def rest(self, thread: str, error: ReverieError | OSError) -> None:
        """Log why a thread rests; once, however often it tries again."""
        if isinstance(error, OSError):
            error = ServiceError(f"The system refuses something: {error}.", remedy_for(error))
        if str(error) != str(self._errors.get(thread, "")):
            logger.error("the %s thread tries again every %.0f s: %s", thread, TROUBLE_SECONDS, error)
        self._errors[thread] = error

    def recovered(self, thread: str) -> None:
        """A thread does its work again."""
        self._errors.pop(thread, None)

    @property
    def first_error(self) -> ReverieError | None:
        """What makes some thread rest."""
        return next(iter(self._errors.copy().values()), None)

    @property
    def trouble(self) -> str | None:
        """What makes threads rest, in words; None if all of them work."""
        return " ".join(dict.fromkeys(map(str, self._errors.copy().values()))) or None
