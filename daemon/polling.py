"""How often to look at a folder that tells nothing by itself."""

from __future__ import annotations

from collections.abc import Callable

MOST_OF_THE_TIME = 20.0
"""A scan may take one part in this many of the time, so that a slow network disk is not read without end."""

SLOWEST = 8.0
"""Where nothing ever changes, looking slows down to this many times the period."""

SLOWING = 1.5


class PollSchedule:
    """The moments at which one root is to be scanned.

    The period grows while nothing changes, falls back when something does, and follows the cost of a scan.

    Args:
        seconds: the shortest period.
        clock: seconds that never go back.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._shortest = seconds
        self._clock = clock
        self.period = seconds
        self._last = clock()

    @property
    def wait(self) -> float:
        """Seconds until the next scan; 0 if it is due."""
        return max(0.0, self._last + self.period - self._clock())

    def asked(self) -> None:
        """A scan has been asked for now."""
        self._last = self._clock()

    def scanned(self, seconds: float, *, changed: bool) -> None:
        """A scan has ended now: what it took, and whether it found anything new."""
        self._last = self._clock()
        calm = self._shortest if changed else min(self.period * SLOWING, self._shortest * SLOWEST)
        self.period = max(calm, seconds * MOST_OF_THE_TIME)
