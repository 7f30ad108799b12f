"""Scenes of things that move, as a detector would see them, with the truth; and how well tracks tell it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Detection, Event

Seen = list[tuple[float, list[Detection]]]
Truth = dict[tuple[float, Detection], int]
"""Which thing a detection at a time is of; false ones are in it as -1."""
Vector = NDArray[np.float64]

TREMBLE = 0.03
"""Standard deviation of a box's edges, in sizes of the thing."""
MISSED = 0.1
FALSE = 0.1
"""False detections a picture."""
HIDDEN = 0.45
"""Overlap with what is in front, from which a thing is not seen."""


@dataclass(frozen=True)
class _Thing:
    label: str
    start: float
    end: float
    centre: Vector
    speed: Vector
    size: Vector
    sway: float
    rhythm: float

    def box(self, time: float) -> Vector:
        """Left, top, right, bottom; at the edge of the picture it turns back."""
        middle = self.centre + self.speed * (time - (self.start + self.end) / 2)
        middle = middle + self.sway * np.sin(2 * np.pi * self.rhythm * time)
        middle = 1 - np.abs(middle % 2 - 1)
        return np.concatenate([middle - self.size / 2, middle + self.size / 2])


def scene(seed: int, rate: float, fastest: float = 0.2) -> tuple[Seen, Truth]:
    """One to five things for 8 to 20 seconds, seen `rate` times a second; `fastest`: widths of the picture a second."""
    rng = np.random.default_rng(seed)
    seconds = rng.uniform(8, 20)
    things = [_thing(rng, seconds, fastest) for _ in range(rng.integers(1, 6))]
    seen: Seen = []
    truth: Truth = {}
    for number in range(int(seconds * rate)):
        time = float(number + rng.uniform(-0.15, 0.15)) / rate + 1
        found: list[Detection] = []
        shown: list[Vector] = []
        for identity, thing in enumerate(things):
            if not thing.start <= time <= thing.end:
                continue
            box = np.clip(thing.box(time) + rng.normal(0, TREMBLE, 4) * np.tile(thing.size, 2), 0, 1)
            hidden = any(_overlap(box, other) > HIDDEN for other in shown)
            if (box[2:] - box[:2]).min() < 0.02:
                continue
            shown.append(box)
            if not hidden and rng.random() >= MISSED:
                found.append(_detection(thing.label, rng.uniform(0.5, 0.97), box))
                truth[time, found[-1]] = identity
        if rng.random() < FALSE:
            middle, size = rng.uniform(0.1, 0.9, 2), rng.uniform(0.05, 0.2, 2)
            found.append(
                _detection("person", 0.6, np.clip(np.concatenate([middle - size / 2, middle + size / 2]), 0, 1))
            )
            truth[time, found[-1]] = -1
        seen.append((time, [found[place] for place in rng.permutation(len(found))]))
    return seen, truth


def identity_f1(seen: Seen, tracks: Sequence[Event], truth: Truth) -> float:
    """IDF1 (Ristani et al., 2016): the share of detections that are with the right thing, where each thing is given
    the one track that serves it best. A detection belongs to the track whose path, between its places, passes it."""
    things = sorted({thing for thing in truth.values() if thing >= 0})
    counts = np.zeros((len(things), len(tracks)))
    followed = 0
    for column, track in enumerate(tracks):
        for time, found in seen:
            if not track.start <= time <= track.end:
                continue
            alike = [one for one in found if one.label == track.label]
            near = min(alike, key=functools.partial(_off, track, time), default=None)
            if near is None or _off(track, time, near) > 0.021:
                continue
            followed += 1
            if (thing := truth[time, near]) >= 0:
                counts[things.index(thing), column] += 1
    real = sum(thing >= 0 for thing in truth.values())
    return 2 * _best(counts) / (real + followed) if real + followed else 1.0


def _best(counts: NDArray[np.float64]) -> float:
    """The largest sum with one column for each row: there are few things, so subsets of them are tried."""
    rows = len(counts)
    best = {frozenset[int](): 0.0}
    for column in counts.T:
        grown = dict(best)
        for taken, total in best.items():
            for row in range(rows):
                if row not in taken and column[row]:
                    key = taken | {row}
                    grown[key] = max(grown.get(key, 0.0), total + float(column[row]))
        best = grown
    return max(best.values())


def _off(track: Event, time: float, detection: Detection) -> float:
    """How far a box is from where the track is at a time."""
    times = [place.time for place in track.path]
    edges = zip(*(place.box for place in track.path), strict=True)
    return max(abs(float(np.interp(time, times, edge)) - side) for edge, side in zip(edges, detection.box, strict=True))


def _thing(rng: np.random.Generator, seconds: float, fastest: float) -> _Thing:
    start = 1 + rng.uniform(0, seconds / 2)
    angle = rng.uniform(0, 2 * np.pi)
    return _Thing(
        label=str(rng.choice(["person", "person", "dog"])),
        start=start,
        end=start + rng.uniform(3, seconds),
        centre=rng.uniform(0.2, 0.8, 2),
        speed=fastest * rng.uniform(0.2, 1) * np.array([np.cos(angle), np.sin(angle)]),
        size=rng.uniform(0.08, 0.3, 2),
        sway=rng.uniform(0, 0.03),
        rhythm=rng.uniform(0.3, 1.2),
    )


def _detection(label: str, score: float, box: Vector) -> Detection:
    left, top, right, bottom = (float(side) for side in box)
    return Detection(label, float(score), (left, top, right, bottom))


def _overlap(first: Vector, second: Vector) -> float:
    """Intersection over union."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    areas = sum(float(np.prod(box[2:] - box[:2])) for box in (first, second))
    return common / (areas - common)
