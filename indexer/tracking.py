"""Things followed through a video: the same thing seen at several times becomes one track.

Tracking by detection. For each track a forecast says where its thing should be now, at the speed it had; the detections
nearest to the forecasts carry them on, the nearest pair first. What is near is measured in sizes of the thing and not
by overlap (as SORT, Bewley et al., 2016, and ByteTrack, Zhang et al., 2022, do), because a second apart, boxes of what
moves seldom overlap. docs/decisions/tracking.md compares it with libraries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.records import Detection, Event, Place

FARTHEST = 2.0
"""Sizes of the thing between forecast and detection, up to which both may be the same thing."""
LOST_AFTER = 4.0
"""Seconds unseen after which what comes is another thing."""
TOLERANCE = 0.02
"""By how much of the picture a path may be simplified."""
_STEADINESS = 0.5
"""How much of the former speed a new one keeps: boxes tremble."""

Box = tuple[float, float, float, float]
Vector = tuple[float, float]
"""Not an array: for two numbers NumPy takes ten times as long, and a film is followed by millions of distances."""


def follow(seen: Sequence[tuple[float, Sequence[Detection]]]) -> tuple[Event, ...]:
    """Detections at ascending times (seconds) to tracks, in order of their start.

    A track has at least two detections of one label, its span is from the first to the last of them, its confidence is
    their mean score. Its path has their places, without those that lie where one would be halfway between others. Give
    each shot alone: beyond a cut everything is elsewhere. The same input gives the same tracks.

    Raises ValueError if the times do not ascend.
    """
    if any(later <= earlier for (earlier, _), (later, _) in itertools.pairwise(seen)):
        raise ValueError("the times of what was seen must ascend")
    live: list[_Track] = []
    done: list[_Track] = []
    for time, detections in seen:
        done += [track for track in live if time - track.time > LOST_AFTER]
        live = [track for track in live if time - track.time <= LOST_AFTER]
        sightings = [_Sighting.of(time, detection) for detection in detections if _has_area(detection.box)]
        taken = set()
        for track, number in _pairs(live, sightings):
            live[track].take(sightings[number])
            taken.add(number)
        live += [_Track(one) for number, one in enumerate(sightings) if number not in taken]
    tracks = [track.event() for track in (*done, *live) if len(track.sightings) > 1]
    return tuple(sorted(tracks, key=lambda track: (track.start, track.label, track.path[0].box)))


@dataclass(frozen=True, slots=True, eq=False)
class _Sighting:
    time: float
    detection: Detection
    centre: Vector
    size: Vector
    """Width and height."""

    @classmethod
    def of(cls, time: float, detection: Detection) -> _Sighting:
        left, top, right, bottom = detection.box
        return cls(time, detection, ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top))


class _Track:
    """One thing, as far as it was seen."""

    def __init__(self, first: _Sighting) -> None:
        self.sightings = [first]
        self._speed: Vector = (0.0, 0.0)

    @property
    def time(self) -> float:
        """When it was last seen."""
        return self.sightings[-1].time

    def take(self, sighting: _Sighting) -> None:
        """It was seen again."""
        last = self.sightings[-1]
        steady = _STEADINESS if len(self.sightings) > 1 else 0.0
        share = (1 - steady) / (sighting.time - last.time)
        self._speed = (
            steady * self._speed[0] + share * (sighting.centre[0] - last.centre[0]),
            steady * self._speed[1] + share * (sighting.centre[1] - last.centre[1]),
        )
        self.sightings.append(sighting)

    def distance(self, sighting: _Sighting) -> float:
        """From its forecast, in sizes; a change of its own size counts too. Infinite for another kind of thing."""
        last = self.sightings[-1]
        if sighting.detection.label != last.detection.label:
            return math.inf
        later = sighting.time - last.time
        forecast = last.centre[0] + self._speed[0] * later, last.centre[1] + self._speed[1] * later
        (wide, high), (wider, higher) = last.size, sighting.size
        size = math.sqrt(math.sqrt(wide * high * wider * higher))
        grown = abs(math.log(wider / wide)) + abs(math.log(higher / high))
        return math.dist(sighting.centre, forecast) / size + grown / 2

    def event(self) -> Event:
        """What is kept of it."""
        scores = [sighting.detection.score for sighting in self.sightings]
        path = simplified([Place(sighting.time, sighting.detection.box) for sighting in self.sightings])
        label = self.sightings[0].detection.label
        return Event("track", label, path[0].time, path[-1].time, math.fsum(scores) / len(scores), path)


def simplified(path: Sequence[Place]) -> tuple[Place, ...]:
    """A path without the places that lie, to `TOLERANCE`, where one would be between those that stay (Douglas and
    Peucker, 1973). What stands still for an hour has two."""
    if len(path) < 3:
        return tuple(path)
    times = np.array([place.time for place in path])
    boxes = np.array([place.box for place in path], np.float64)
    kept = {0, len(path) - 1}
    spans = [(0, len(path) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        shares = ((times[first + 1 : last] - times[first]) / (times[last] - times[first]))[:, None]
        off = np.abs(boxes[first] + shares * (boxes[last] - boxes[first]) - boxes[first + 1 : last]).max(axis=1)
        worst = int(off.argmax())
        if off[worst] > TOLERANCE:
            middle = first + 1 + worst
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return tuple(path[number] for number in sorted(kept))


def _pairs(tracks: Sequence[_Track], sightings: Sequence[_Sighting]) -> Iterable[tuple[int, int]]:
    """Which track goes on with which sighting, the nearest pair first; each once. Ties go to the older track."""
    distances = [(track.distance(one), t, s) for t, track in enumerate(tracks) for s, one in enumerate(sightings)]
    free_tracks, free_sightings = set(range(len(tracks))), set(range(len(sightings)))
    for distance, track, sighting in sorted(distances):
        if distance >= FARTHEST:
            return
        if track in free_tracks and sighting in free_sightings:
            free_tracks.remove(track)
            free_sightings.remove(sighting)
            yield track, sighting


def _has_area(box: Box) -> bool:
    return box[2] > box[0] and box[3] > box[1]
