from __future__ import annotations

import time


class Clock:
    """Monotonic seconds that a test can move forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead
