from __future__ import annotations

import time


class Clock:
    """Monotonic seconds that a test can move forward, or stop."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._stopped_at: float | None = None

    def __call__(self) -> float:
        now = time.monotonic() if self._stopped_at is None else self._stopped_at
        return now + self.ahead

    def stop(self) -> None:
        """From now on only the test moves the time, however slow the machine is."""
        self._stopped_at = time.monotonic()
