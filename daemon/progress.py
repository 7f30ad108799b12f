"""How fast the indexing goes, how long it will take, and what holds it back."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from indexer.records import Analysis

WINDOW_SECONDS = 30.0
"""The rate is that of the last half minute: long enough to be steady, short enough to follow a change."""

LEAST_SECONDS = 2.0
"""A rate over less than this says more about the batch size than about the speed."""

LIMITS = {
    "read": "reading files (the disk or the network share)",
    "decode": "decoding photos (the CPU)",
    "describe": "reading captions and making thumbnails (the CPU)",
    "pixels": "measuring colours and quality (the CPU)",
    "resize": "preparing network input (the CPU)",
    "concepts": "the image network",
}
"""What a step that takes most of the time is called in `status`; any other is a stage, and is named."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A reading of the recent past."""

    photos_per_second: float
    """Zero when too little finished within the window to tell."""
    seconds_per_step: Mapping[str, float]
    """Mean seconds a photo spends in each step, summed over threads."""
    bottleneck: str | None
    """The step that takes most of the time, for a person."""
    finished: int
    """Photos analysed since the service started."""
    failed: int


class Progress:
    """Counts what finishes. Written by the indexing thread, read by others."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[tuple[float, int, dict[str, float]]] = deque()
        self._finished = 0
        self._failed = 0

    def finished(self, analyses: Sequence[Analysis], *, failed: int) -> None:
        """Note a stored batch."""
        seconds: dict[str, float] = {}
        for analysis in analyses:
            for step, spent in analysis.seconds.items():
                seconds[step] = seconds.get(step, 0.0) + spent
        with self._lock:
            self._finished += len(analyses)
            self._failed += failed
            self._recent.append((self._clock(), len(analyses), seconds))
            self._forget_old()

    def pace(self) -> Pace:
        """The pace of the last `WINDOW_SECONDS`."""
        with self._lock:
            self._forget_old()
            recent = list(self._recent)
            finished, failed = self._finished, self._failed
        photos = sum(count for _, count, _ in recent[1:])
        span = self._clock() - recent[0][0] if recent else 0.0
        total = sum(count for _, count, _ in recent)
        steps: dict[str, float] = {}
        for _, _, seconds in recent:
            for step, spent in seconds.items():
                steps[step] = steps.get(step, 0.0) + spent
        slowest = max(steps, key=lambda step: steps[step], default=None)
        return Pace(
            photos_per_second=photos / span if span > LEAST_SECONDS else 0.0,
            seconds_per_step={step: spent / total for step, spent in steps.items()} if total else {},
            bottleneck=None if slowest is None else LIMITS.get(slowest, f'the stage "{slowest}"'),
            finished=finished,
            failed=failed,
        )

    def _forget_old(self) -> None:
        horizon = self._clock() - WINDOW_SECONDS
        while self._recent and self._recent[0][0] < horizon:
            self._recent.popleft()
