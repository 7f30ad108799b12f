"""Moments: a video as a line of stretches that each look like one thing, every one with the frames that show it best.

A moment is a shot, or a part of one that has come to look different. One sequential pass finds them. It judges windows
at fixed places, each with a little of what is around it, so that a pass which begins at any moment finds just those
that a pass over the whole file finds.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.media.decoding import Losses
from indexer.media.frames import Frame, Strategy, sample, settled
from indexer.media.looks import Look, is_duplicate, look_at
from indexer.media.passages import Boundary
from indexer.media.shots import BEYOND, EVERY, SHORTEST, Places, Shot, apart, best_looks, boundaries
from indexer.media.video import Video

FRAMES: Final = 3
"""Of a moment, at most."""
LONGEST: Final = 300.0
"""Seconds of a moment, about: what never changes is looked at again so often."""
LEAST: Final = 4.0
"""Seconds of a part of a shot, at least."""
SETTLED: Final = 2.0
"""Seconds for which a shot must go on looking different: what passes sooner is a flash or a hand before the lens."""

_WINDOW: Final = 30.0
_SAMPLES: Final = 60
"""Of a window, about, where they are dense: what is held is a matter of their number."""
_SHORTEST_WINDOW: Final = 6.0
_CANDIDATES, _KEPT = 12, 6
"""So many frames of a moment are held, and so many of them kept when there is one more."""
_FRAME: Final = 0.04
"""Seconds that a single frame lasts where the file does not say."""
_COMPARED: Final = 200
"""Moments that stand for all others where the cover is chosen."""
_EXPOSED: Final = 0.2
_CONTRAST: Final = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """A shot, or a part of it. Seconds from the beginning of the file; the end is the next one's start."""

    start: float
    end: float
    shot: int
    """Which shot of the video, from 1 on, it is or is a part of."""
    frames: tuple[Frame, ...]
    """Up to three, the best one first, no two the same, with a short side of 360 pixels; none where there is nothing
    to see."""
    looks: tuple[Look, ...]
    """Of the frames, in their order."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the next moment begins: all that a later pass needs to go on."""

    time: float
    """Seconds from the beginning of the file."""
    shot: int
    """From 1 on."""
    new_shot: bool
    """Whether a shot begins there, rather than another part of one."""


BEGINNING: Final = Mark(0.0, 1, new_shot=True)


def moments(
    video: Video,
    *,
    start: Mark = BEGINNING,
    strategy: Strategy = Strategy.ADAPTIVE,
    every: float = EVERY,
    threads: int = 1,
    losses: Losses | None = None,
    sampled: Callable[[Frame], None] | None = None,
) -> Iterator[tuple[Moment, Mark]]:
    """The moments in order and without gaps, each with the mark from which a later call gives just those that follow.

    `sampled` is told each sampled frame once, in order: when a moment is given, exactly those from `start` up to its
    end. Up to about 90 frames are held, whatever the length (60 MB where they are 640 x 360), or 140 where `every` is
    0.1 seconds.

    Raises MediaError when the file can no longer be read.
    """
    most = video.source.limits.max_seconds
    end = min(video.timeline.end or 1 / (video.info.fps or 1 / _FRAME), most)
    if start.time >= end:
        return
    strategy = settled(video, strategy)
    places = Places(video, threads=threads)
    windows = _Windows(start.time, every, lambda looks: boundaries(looks, places))
    cutter = _Cutter(start, end, sampled or (lambda _: None))
    frames = sample(video, strategy, every=every, start=windows.lead, end=most, threads=threads, losses=losses)
    for frame in frames:
        if frame.time < windows.begin:
            continue
        look = look_at(frame)
        while frame.time >= windows.complete:
            yield from cutter.cut(*windows.judge(cutter.begun))
        windows.add(look)
        if frame.time >= start.time:
            cutter.add(_Seen(frame, look))
    while not windows.reach(end):
        yield from cutter.cut(*windows.judge(cutter.begun))
    yield from cutter.finish(windows.found)


def quality_of(look: Look) -> float:
    """How good a picture it is, 0 to 1, as of photos: sharp, well exposed, rich in contrast (a geometric mean)."""
    luma = look.grid @ np.array([0.299, 0.587, 0.114], np.float32)
    exposure = min(1.0, 2 * float(np.exp(-((luma - 0.5) ** 2) / (2 * _EXPOSED**2)).mean()))
    contrast = min(1.0, look.contrast / _CONTRAST)
    return round(float(look.sharpness**0.5 * exposure**0.25 * contrast**0.25), 4)


def choose_cover(looks: Sequence[tuple[float, Look]]) -> int | None:
    """Which of several frames stands for all: good, and like as much of the video as possible. None: nothing to see.

    Args:
        looks: the seconds of each moment, and its best frame.
    """
    if not looks:
        return None
    # Each is compared with so many, evenly chosen: all with all would be too much for a day of video.
    some = [looks[at] for at in np.unique(np.linspace(0, len(looks) - 1, _COMPARED).round().astype(int))]
    seconds = np.array([weight for weight, _ in some])
    likeness = _likeness([look for _, look in looks], [look for _, look in some])
    likeness = likeness @ (seconds / max(float(seconds.sum()), 1e-9))
    empty = [look.is_black or look.is_flat for _, look in looks]
    merit = [-1.0 if nothing else quality_of(look) for nothing, (_, look) in zip(empty, looks, strict=True)]
    best = int(np.argmax(np.array(merit) * np.maximum(likeness, 1e-6)))
    return None if empty[best] else best


def _likeness(looks: Sequence[Look], others: Sequence[Look]) -> NDArray[np.float64]:
    """(N, M): 1 less how much two frames differ, as `indexer.media.looks.change` has it."""
    roots, other_roots = (np.sqrt(np.stack([look.colours for look in row])) for row in (looks, others))
    other_grids = np.stack([look.grid.reshape(-1) for look in others])
    colours = np.sqrt(np.clip(1 - roots @ other_roots.T, 0, 1))
    grids = (look.grid.reshape(-1) for look in looks)
    places = np.stack([np.minimum(1, 3 * np.abs(other_grids - grid).mean(axis=1)) for grid in grids])
    return np.asarray(1 - 0.5 * colours - 0.5 * places, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    frame: Frame
    look: Look

    @property
    def time(self) -> float:
        return self.frame.time


class _Windows:
    """Judges where shots begin, window by window."""

    def __init__(self, start: float, every: float, find: Callable[[Sequence[Look]], list[Boundary]]) -> None:
        self._length = min(_WINDOW, max(_SHORTEST_WINDOW, _SAMPLES * every))
        self._number = math.floor(start / self._length)
        self._find = find
        self._looks: list[Look] = []
        self._found: list[Boundary] = []
        self.begin = max(0.0, self._number * self._length - BEYOND)
        """Seconds of the first frame that is wanted."""
        # The first frame of a pass may be one that a longer pass would have passed over.
        self.lead = max(0.0, self.begin - max(BEYOND, every))

    @property
    def complete(self) -> float:
        """From when on a frame is no longer wanted for the window in turn."""
        return (self._number + 1) * self._length + BEYOND

    @property
    def found(self) -> list[Boundary]:
        """The boundaries as they were last given."""
        return self._found

    def add(self, look: Look) -> None:
        self._looks.append(look)

    def reach(self, end: float) -> bool:
        """Whether all windows up to a time are judged."""
        return self._number * self._length >= end

    def judge(self, since: float) -> tuple[list[Boundary], float]:
        """Judge the window in turn. The boundaries from a time on, and up to when nothing about them will change."""
        first, last = self._number * self._length, (self._number + 1) * self._length
        looks = [look for look in self._looks if first - BEYOND <= look.time < last + BEYOND]
        inside = [point for point in self._find(looks) if first <= point.time < last]
        # One at the very end may yet give way to a stronger one at the beginning of the next window.
        self._found = apart([*(point for point in self._found if point.time >= since), *inside])
        self._number += 1
        self._looks = [look for look in self._looks if look.time >= last - BEYOND]
        return self._found, last - SHORTEST


@dataclass(slots=True)
class _Open:
    """The moment that has begun and not ended."""

    start: float
    shot: int
    first: Look | None = None
    """What it looks like."""
    seen: list[_Seen] = field(default_factory=list)

    def add(self, one: _Seen) -> None:
        nothing = self.first is None or self.first.is_black or self.first.is_flat
        self.first = one.look if nothing else self.first
        self.seen.append(one)
        if len(self.seen) > _CANDIDATES:
            self.seen = sorted(self.best(one.time + SHORTEST, _KEPT), key=lambda kept: kept.time)

    def best(self, end: float, count: int) -> list[_Seen]:
        by_look = {id(one.look): one for one in self.seen}
        looks = best_looks((one.look for one in self.seen), Shot(self.start, end), count)
        return [by_look[id(look)] for look in looks]


class _Cutter:
    """Puts frames into moments, once it is known what comes of them."""

    def __init__(self, start: Mark, end: float, sampled: Callable[[Frame], None]) -> None:
        self._end = end
        self._sampled = sampled
        self._open = _Open(start.time, start.shot)
        self._ahead: deque[_Seen] = deque()

    @property
    def begun(self) -> float:
        """When the moment begins that has not ended."""
        return self._open.start

    def add(self, one: _Seen) -> None:
        self._ahead.append(one)

    def cut(self, found: Sequence[Boundary], sure: float) -> Iterator[tuple[Moment, Mark]]:
        """What ends before everything becomes unsure; `found` is final up to there."""
        points = self._within(found)
        while self._ahead and self._ahead[0].time + SETTLED <= sure:
            one = self._ahead[0]
            yield from self._end_shots(points, one.time)
            if self._parts_at(one, points):
                yield self._close(one.time, new_shot=False)
            self._open.add(self._ahead.popleft())
            self._sampled(one.frame)

    def finish(self, found: Sequence[Boundary]) -> Iterator[tuple[Moment, Mark]]:
        """All that is left."""
        yield from self.cut(found, math.inf)
        yield from self._end_shots(self._within(found), self._end)
        yield self._close(self._end, new_shot=True)

    def _within(self, found: Sequence[Boundary]) -> list[float]:
        return [point.time for point in found if SHORTEST <= point.time <= self._end - SHORTEST]

    def _end_shots(self, points: Sequence[float], until: float) -> Iterator[tuple[Moment, Mark]]:
        for point in points:
            if self._open.start < point <= until:
                yield self._close(point, new_shot=True)

    def _parts_at(self, one: _Seen, points: Sequence[float]) -> bool:
        """Whether another part of the shot begins with this frame."""
        lasts = one.time - self._open.start
        settles = one.time + SETTLED
        if lasts < LEAST or settles > self._end or any(one.time < point < settles for point in points):
            return False
        first = self._open.first
        following = itertools.takewhile(lambda later: later.time < settles, self._ahead)
        return lasts >= LONGEST or (
            first is not None and not any(is_duplicate(first, later.look) for later in following)
        )

    def _close(self, end: float, *, new_shot: bool) -> tuple[Moment, Mark]:
        now = self._open
        # The last frames may be shown a little later than the end that the file states.
        best = now.best(max([end, *(one.time + SHORTEST for one in now.seen)]), FRAMES)
        frames, looks = tuple(one.frame for one in best), tuple(one.look for one in best)
        self._open = _Open(end, now.shot + new_shot)
        return Moment(now.start, end, now.shot, frames, looks), Mark(end, self._open.shot, new_shot)
