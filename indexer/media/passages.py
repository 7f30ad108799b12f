"""Where one view passes into another among the frames of a place: cuts, fades and dissolves, told from motion and from
changing light."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.media.looks import Look, alikeness, change

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


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a shot begins."""

    time: float
    """Of its first frame; in the middle of a fade or dissolve."""
    strength: float
    """How much changes there, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A boundary, and the last frame before and the first frame after it (as numbers in their order)."""

    boundary: Boundary
    before: int
    after: int


def passages(frames: Sequence[Look]) -> list[Passage]:
    """All boundaries among frames: what is surest first, then what lies on either side of it."""
    if len(frames) < 2:
        return []
    for find in (_fades, _cuts, _dissolves):
        found = find(frames)
        if found:
            starts, ends = [0, *(one.after for one in found)], [*(one.before for one in found), len(frames) - 1]
            parts = [frames[start : end + 1] for start, end in zip(starts, ends, strict=True)]
            return [*found, *(passage for part in parts for passage in passages(part))]
    return []


def _cuts(frames: Sequence[Look]) -> list[Passage]:
    """Hard cuts: one frame unlike the one before, and unlike what was before for longer than a flash lasts."""
    steps = np.array([change(one, other) for one, other in itertools.pairwise(frames)])
    found = []
    for at, value in enumerate(steps):
        beside = np.concatenate([steps[max(0, at - _BESIDE) : at], steps[at + 1 : at + 1 + _BESIDE]])
        if value < max(_CUT, _CUT_RATIO * float(np.median(beside) if len(beside) else 0.0)):
            continue
        before, after = frames[max(0, at - _BESIDE)], frames[min(len(frames) - 1, at + 1 + _BESIDE)]
        if change(before, after) >= _FLASH * value:
            found.append(Passage(Boundary(frames[at + 1].time, float(value)), at, at + 1))
    return found


def _fades(frames: Sequence[Look]) -> list[Passage]:
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
        found.append(Passage(Boundary(middle, 1.0), before, after))
    return [one for number, one in enumerate(found) if number == 0 or found[number - 1].after <= one.before]


def _dissolves(frames: Sequence[Look]) -> list[Passage]:
    """The stretch that is best explained as one frame passing into another one, if any is."""
    grids = np.stack([look.grid.reshape(-1) for look in frames])
    best: tuple[float, Passage] | None = None
    for first, last in _stretches(frames):
        merit, middle = _mixture(grids[first : last + 1])
        if merit > (best[0] if best else 0.0) and alikeness(frames[first], frames[last]) < _UNLIKE:
            boundary = Boundary(frames[first + middle].time, change(frames[first], frames[last]))
            best = merit, Passage(boundary, first, last)
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
