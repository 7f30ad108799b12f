"""How fast the indexing goes, how long it will take, and what holds it back."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
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
    "frames": "decoding video (the CPU)",
    "listen": "decoding sound and finding speech in it (the CPU)",
}
"""What a step that takes most of the time is called in `status`; any other is a stage, and is named."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A reading of the recent past."""

    photos_per_second: float
    """Zero when too little finished within the window to tell. Videos and sounds, of any length, are no measure."""
    seconds_per_step: Mapping[str, float]
    """Mean seconds that a picture, a photo or a frame of a video, costs in each step, summed over threads."""
    bottleneck: str | None
    """The step that takes most of the time, for a person."""
    finished: int
    """Files analysed since the service started."""
    failed: int


class Progress:
    """Counts what finishes. Written by the indexing thread, read by others."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[_Batch] = deque()
        self._finished = 0
        self._failed = 0

    def finished(self, analyses: Sequence[Analysis], *, failed: int, long: Collection[int] = ()) -> None:
        """Note a stored batch; `long` are the media ids of what is a video or sound."""
        seconds: dict[str, float] = {}
        for analysis in analyses:
            for step, spent in analysis.seconds.items():
                seconds[step] = seconds.get(step, 0.0) + spent
        with self._lock:
            self._finished += len(analyses)
            self._failed += failed
            photos = sum(analysis.media_id not in long for analysis in analyses)
            pictures = sum(analysis.frames for analysis in analyses)
            self._recent.append(_Batch(self._clock(), photos, pictures, seconds))
            self._forget_old()

    def pace(self) -> Pace:
        """The pace of the last `WINDOW_SECONDS`."""
        with self._lock:
            self._forget_old()
            recent = list(self._recent)
            finished, failed = self._finished, self._failed
        photos = sum(batch.photos for batch in recent[1:])
        span = self._clock() - recent[0].time if recent else 0.0
        pictures = sum(batch.pictures for batch in recent)
        steps: dict[str, float] = {}
        for batch in recent:
            for step, spent in batch.seconds.items():
                steps[step] = steps.get(step, 0.0) + spent
        slowest = max(steps, key=lambda step: steps[step], default=None)
        return Pace(
            photos_per_second=photos / span if span > LEAST_SECONDS else 0.0,
            seconds_per_step={step: spent / pictures for step, spent in steps.items()} if pictures else {},
            bottleneck=None if slowest is None else LIMITS.get(slowest, f'the stage "{slowest}"'),
            finished=finished,
            failed=failed,
        )

    def _forget_old(self) -> None:
        horizon = self._clock() - WINDOW_SECONDS
        while self._recent and self._recent[0].time < horizon:
            self._recent.popleft()


@dataclass(frozen=True, slots=True)
class _Batch:
    time: float
    photos: int
    pictures: int
    seconds: Mapping[str, float]
