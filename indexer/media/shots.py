"""Shots: where a video goes from one view to another, in two passes.

The first looks at sampled frames and marks the places where they differ more than their neighbours do (an adaptive
threshold, as in PySceneDetect's AdaptiveDetector). The second decodes every frame of those places alone, finds a cut to
the frame, and tells cuts, fades and dissolves from motion and from changing light.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.media.frames import Strategy, sample
from indexer.media.looks import SIDE, Look, alikeness, change, is_duplicate, look_at
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
_CUT, _CUT_RATIO = 0.16, 3.0
"""From one frame to the next, a cut changes so much, and so many times what its neighbours change."""
_FLASH = 0.5
"""A cut is a flash, or a frame that is broken, if the frames before and after it differ by less than this share."""
_BESIDE: Final = 3
_MIXED, _UNLIKE, _REAL = 0.25, 0.6, 0.07
"""Of a dissolve: how far its frames may be from a mixture of its ends; how like its ends may be; how much they
differ at least."""
_EVERYWHERE: Final = 0.6
"""The share of a picture that a dissolve changes at least: a thing that moves changes less."""
_SLOPE: Final = 0.004
"""Of a fade's brightness, from one frame to the next."""
_PALER: Final = 0.9
"""The contrast of two views laid over each other, beside the mean of their own: details of one cover the other's."""
_BACKWARDS: Final = 0.15
_LENGTHS: Final = (0.4, 0.7, 1.2, 2.0)
"""Seconds of the dissolves that are tried."""
_MARGIN: Final = 0.003
"""Seconds beyond the last frame of a place, so that it is among those that are given."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A stretch of video with one view. Seconds from the beginning of the file; the end is the next one's start."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a shot begins."""

    time: float
    """Of its first frame; in the middle of a fade or dissolve."""
    strength: float
    """How much changes there, 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Passage:
    """A boundary, and the last frame before and the first frame after it (as numbers in their order)."""

    boundary: Boundary
    before: int
    after: int


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
        passages = _passages(places.frames(looks, first, last))
        if not passages:
            # What is gradual may have begun before, or end later.
            passages = _passages(places.frames(looks, max(0, first - 1), min(len(looks) - 1, last + 1)))
        found.extend(passage.boundary for passage in passages)
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


def _passages(frames: Sequence[Look]) -> list[_Passage]:
    """All boundaries among frames: what is surest first, then what lies on either side of it."""
    if len(frames) < 2:
        return []
    for find in (_fades, _cuts, _dissolves):
        found = find(frames)
        if found:
            starts, ends = [0, *(one.after for one in found)], [*(one.before for one in found), len(frames) - 1]
            parts = [frames[start : end + 1] for start, end in zip(starts, ends, strict=True)]
            return [*found, *(passage for part in parts for passage in _passages(part))]
    return []


def _cuts(frames: Sequence[Look]) -> list[_Passage]:
    """Hard cuts: one frame unlike the one before, and unlike what was before for longer than a flash lasts."""
    steps = np.array([change(one, other) for one, other in itertools.pairwise(frames)])
    found = []
    for at, value in enumerate(steps):
        beside = np.concatenate([steps[max(0, at - _BESIDE) : at], steps[at + 1 : at + 1 + _BESIDE]])
        if value < max(_CUT, _CUT_RATIO * float(np.median(beside) if len(beside) else 0.0)):
            continue
        before, after = frames[max(0, at - _BESIDE)], frames[min(len(frames) - 1, at + 1 + _BESIDE)]
        if change(before, after) >= _FLASH * value:
            found.append(_Passage(Boundary(frames[at + 1].time, float(value)), at, at + 1))
    return found


def _fades(frames: Sequence[Look]) -> list[_Passage]:
    """The middles of black stretches that come gradually, or are too short for a shot of their own."""
    found = []
    for black, run in itertools.groupby(range(len(frames)), key=lambda at: frames[at].is_black):
        numbers = list(run)
        before, after = numbers[0] - 1, numbers[-1] + 1
        if not black or before < 0 or after >= len(frames):
            continue
        # The way down and up again belongs to the fade: by itself it would look like a dissolve.
        while before > 0 and frames[before - 1].brightness > frames[before].brightness + _SLOPE:
            before -= 1
        while after < len(frames) - 1 and frames[after + 1].brightness > frames[after].brightness + _SLOPE:
            after += 1
        middle = (frames[numbers[0]].time + frames[numbers[-1]].time) / 2
        found.append(_Passage(Boundary(middle, 1.0), before, after))
    return [one for number, one in enumerate(found) if number == 0 or found[number - 1].after <= one.before]


def _dissolves(frames: Sequence[Look]) -> list[_Passage]:
    """The stretch that is best explained as one frame passing into another one, if any is."""
    grids = np.stack([look.grid.reshape(-1) for look in frames])
    best: tuple[float, _Passage] | None = None
    for first, last in _stretches(frames):
        merit, middle = _mixture(grids[first : last + 1])
        if merit > (best[0] if best else 0.0) and alikeness(frames[first], frames[last]) < _UNLIKE:
            boundary = Boundary(frames[first + middle].time, change(frames[first], frames[last]))
            best = merit, _Passage(boundary, first, last)
    return [best[1]] if best else []


def _stretches(frames: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """First and last frame of stretches as long as dissolves are, and of the whole."""
    times = np.array([look.time for look in frames])
    yield 0, len(frames) - 1
    for length in _LENGTHS:
        for start in np.arange(times[0], times[-1] - length / 2, length / 4):
            first, last = int(np.searchsorted(times, start)), int(np.searchsorted(times, start + length))
            yield first, min(last, len(frames) - 1)


def _mixture(grids: NDArray[np.float32]) -> tuple[float, int]:
    """How well frames (N, 768) are explained as mixtures of the first and the last, and which is half of each.

    0 where they are not: too alike, too few, going to and fro, or showing what neither end does, as in motion.
    """
    whole = grids[-1] - grids[0]
    size = float(np.abs(whole).mean())
    if size < _REAL or float((np.abs(whole) > _REAL / 2).mean()) < _EVERYWHERE:
        return 0.0, 0
    shares = (grids - grids[0]) @ whole / (whole @ whole)
    between = (shares > 0.1) & (shares < 0.9)
    if between.sum() < _BESIDE or float(np.diff(shares).min()) < -_BACKWARDS:
        return 0.0, 0
    off = np.abs(grids - grids[0] - shares[:, None] * whole).mean(axis=1) / size
    left = float(np.median(off[between]))
    half = int(np.argmax(shares >= 0.5))
    cells = grids[[0, half, -1]].reshape(3, -1, 3)
    start, middle, end = (cells - cells.mean(axis=1, keepdims=True)).std(axis=(1, 2))
    is_mixture = left < _MIXED and middle <= _PALER * (start + end) / 2
    return (size * (1 - left) if is_mixture else 0.0), half


def apart(found: Sequence[Boundary]) -> list[Boundary]:
    """Of boundaries that are closer than a shot may be short, the strongest."""
    kept: list[Boundary] = []
    for point in sorted(found, key=lambda point: point.time):
        if kept and point.time - kept[-1].time < SHORTEST:
            kept[-1] = max(kept[-1], point, key=lambda one: one.strength)
        else:
            kept.append(point)
    return kept
