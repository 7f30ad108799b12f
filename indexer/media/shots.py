"""Shots: where a video goes from one view to another, in two passes.

The first looks at sampled frames and marks the places where they differ more than their neighbours do (an adaptive
threshold, as in PySceneDetect's AdaptiveDetector). The second decodes every frame of those places alone, finds a cut to
the frame, and tells cuts, fades and dissolves from motion and from changing light.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.media.frames import Strategy, sample
from indexer.media.looks import SIDE, Look, change, is_duplicate, look_at
from indexer.media.passages import Boundary, passages
from indexer.media.video import Video

SHORTEST: Final = 0.5
"""Seconds of a shot, at least."""
EVERY: Final = 0.5
"""Seconds between the frames of the first pass, where keyframes are not further apart."""

_SUSPECT, _SUSPECT_RATIO = 0.12, 1.3
"""A place is looked at closely when its change is so large, and so many times what is usual around it."""
_AROUND = 6
BEYOND: Final = 4.0
"""Seconds before and after a part that are looked at with it: more than from one keyframe to the next."""
_MARGIN: Final = 0.003
"""Seconds beyond the last frame of a place, so that it is among those that are given."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A stretch of video with one view. Seconds from the beginning of the file; the end is the next one's start."""

    start: float
    end: float


def find_shots(video: Video, *, start: float = 0.0, end: float | None = None, threads: int = 1) -> list[Shot]:
    """The shots of a video, or of a part of it: in order, without gaps, from `start` to its end.

    Raises MediaError when the file can no longer be read.
    """
    stop = video.timeline.end if end is None else min(end, video.timeline.end)
    if stop <= start:
        return []
    return shots_between(find_boundaries(video, start=start, end=stop, threads=threads), start, stop)


def find_boundaries(video: Video, *, start: float = 0.0, end: float | None = None, threads: int = 1) -> list[Boundary]:
    """Where shots begin, start <= time < end. It looks a little beyond, so those of parts join to those of the whole.

    Raises MediaError when the file can no longer be read.
    """
    stop = math.inf if end is None else end
    frames = sample(
        video,
        Strategy.ADAPTIVE,
        every=EVERY,
        start=max(0.0, start - BEYOND),
        end=None if end is None else end + BEYOND,
        short_side=SIDE,
        threads=threads,
    )
    looks = [look_at(frame, judge_sharpness=False) for frame in frames]
    found = boundaries(looks, Places(video, threads=threads))
    return [point for point in found if start <= point.time < stop]


class Places:
    """The second pass over a video: all frames between sampled ones, each stretch decoded once while it is in use."""

    def __init__(self, video: Video, *, threads: int = 1) -> None:
        self._video = video
        self._threads = threads
        self._stretches: dict[float, list[Look]] = {}
        """By the time of the sampled frame that each begins with."""
        self._marks: dict[float, Look] = {}
        """Sampled frames, decoded like the others."""

    def forget(self, before: float) -> None:
        """Forget what was decoded before a time: 4 KB a frame are held, of one window's frames at most."""
        self._stretches = {time: frames for time, frames in self._stretches.items() if time >= before}
        self._marks = {time: frame for time, frame in self._marks.items() if time >= before}

    def load(self, looks: Sequence[Look], first: int, last: int) -> None:
        """Decode what lies between two sampled frames, as far as it is not known."""
        missing = [at for at in range(first, last) if looks[at].time not in self._stretches]
        for _, run in itertools.groupby(enumerate(missing), key=lambda numbered: numbered[1] - numbered[0]):
            numbers = [at for _, at in run]
            self._decode([look.time for look in looks[numbers[0] : numbers[-1] + 2]])

    def frames(self, looks: Sequence[Look], first: int, last: int) -> list[Look]:
        """All frames from one sampled frame to another, both included, in order."""
        self.load(looks, first, last)
        frames = [frame for at in range(first, last) for frame in self._stretches[looks[at].time]]
        end = self._marks.get(looks[last].time)
        return frames if end is None else [*frames, end]

    def _decode(self, edges: Sequence[float]) -> None:
        frames = sample(
            self._video, every=0, start=edges[0], end=edges[-1] + _MARGIN, short_side=SIDE, threads=self._threads
        )
        stretches: list[list[Look]] = [[] for _ in edges]
        for frame in frames:
            number = max(0, bisect.bisect_right(edges, frame.time + _MARGIN) - 1)
            stretches[number].append(look_at(frame, judge_sharpness=False))
        self._stretches |= dict(zip(edges[:-1], stretches[:-1], strict=True))
        self._marks |= {edge: stretch[0] for edge, stretch in zip(edges, stretches, strict=True) if stretch}


def boundaries(looks: Sequence[Look], places: Places) -> list[Boundary]:
    """Where shots begin within sampled frames, which are in order; nothing before them is asked of `places` again."""
    if looks:
        places.forget(looks[0].time)
    suspects = _suspects(looks)
    for first, last in _joined(suspects, 0):
        places.load(looks, first, last)
    found: list[Boundary] = []
    for first, last in suspects:
        found_there = passages(places.frames(looks, first, last))
        if not found_there:
            # What is gradual may have begun before, or end later.
            found_there = passages(places.frames(looks, max(0, first - 1), min(len(looks) - 1, last + 1)))
        found.extend(passage.boundary for passage in found_there)
    return apart(found)


def shots_between(found: Sequence[Boundary], start: float, end: float) -> list[Shot]:
    """The shots that boundaries make of a range; none is shorter than half a second, unless the range is."""
    inside = [point.time for point in apart(found) if start + SHORTEST <= point.time <= end - SHORTEST]
    edges = [start, *inside, end]
    return [Shot(before, after) for before, after in itertools.pairwise(edges)]


def best_looks(looks: Iterable[Look], shot: Shot, count: int) -> list[Look]:
    """Up to `count` frames that show a shot best: none black or flat, the sharpest first, no two the same.

    Blurred ones are taken only where there is nothing sharper; nothing is where all are black.
    """
    inside = [look for look in looks if shot.start <= look.time < shot.end and not look.is_black and not look.is_flat]
    middle = (shot.start + shot.end) / 2
    ranked = sorted(inside, key=lambda look: (look.is_blurred, -round(look.sharpness, 1), abs(look.time - middle)))
    best: list[Look] = []
    for look in ranked:
        if len(best) < count and not (look.is_blurred and best) and not any(is_duplicate(look, one) for one in best):
            best.append(look)
    return best


def _suspects(looks: Sequence[Look]) -> list[tuple[int, int]]:
    """Ranges of sampled frames, first and last, that may hold a boundary; those that touch are one."""
    near = np.array([change(one, other) for one, other in itertools.pairwise(looks)])
    far = np.array([change(one, other) for one, other in zip(looks, looks[2:], strict=False)])
    ranges = [(at, at + 1) for at in _outstanding(near)]
    ranges += [(max(0, at - 1), at + 1) for at in range(len(looks) - 1) if looks[at].is_black != looks[at + 1].is_black]
    # What shows only over two intervals is gradual. A cut shows over one, and its neighbours need no second look.
    sudden = {at for at, _ in ranges}
    ranges += [(at, at + 2) for at in _outstanding(far) if not {at, at + 1} & sudden]
    return _joined(ranges, 1)


def _joined(ranges: Iterable[tuple[int, int]], least: int) -> list[tuple[int, int]]:
    """Ranges in order, those made one that have so much in common: 0, if they touch."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] - least:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _outstanding(changes: NDArray[np.float64]) -> list[int]:
    """Where a change is large in itself, and beside what is usual around it."""
    found = []
    for at, value in enumerate(changes):
        around = np.delete(changes[max(0, at - _AROUND) : at + _AROUND + 1], min(at, _AROUND))
        # Not the median: where cuts are dense, half of all changes are cuts.
        usual = float(np.quantile(around, 0.25)) if len(around) else 0.0
        if value >= max(_SUSPECT, _SUSPECT_RATIO * usual):
            found.append(at)
    return found


def apart(found: Sequence[Boundary]) -> list[Boundary]:
    """Of boundaries that are closer than a shot may be short, the strongest."""
    kept: list[Boundary] = []
    for point in sorted(found, key=lambda point: point.time):
        if kept and point.time - kept[-1].time < SHORTEST:
            kept[-1] = max(kept[-1], point, key=lambda one: one.strength)
        else:
            kept.append(point)
    return kept
