"""Who follows things best at one to four pictures a second: ours, norfair, supervision's ByteTrack?

    python -m benchmarks.tracking [--quick]

Scenes with known truth (tests/paths.py): one to five things that move, cross and hide, boxes that tremble, misses and
false detections, uneven times; slow ones and fast ones. The figure is IDF1, the share of detections that are with the
right thing. A library takes part where it can be imported: none of them is a dependency. Each runs label by label, with
the best of several settings on scenes of their own; tracks of one detection are dropped, as ours are.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import logging
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks import report
from indexer.records import Detection, Event, Place
from indexer.tracking import follow
from tests.paths import Seen, identity_f1, scene

RATES = (1, 2, 4)
FASTEST = {"slow": 0.05, "fast": 0.2}
CHOSEN_ON = range(25)
MEASURED_ON = range(1000, 1060)

Follower = Callable[[Seen, float], Sequence[Event]]
Numbered = Iterable[tuple[int, float, Detection]]
"""Track, time, detection."""


def ours() -> list[tuple[str, Follower]]:
    """As it is."""
    return [("as shipped", lambda seen, _: follow(seen))]


def norfair() -> list[tuple[str, Follower]]:
    """By overlap and by distance, with two filters."""
    settings = [
        *itertools.product(("iou",), (0.8, 0.95, 0.999)),
        *itertools.product(("euclidean",), (15.0, 25.0, 40.0)),
    ]
    return [
        (f"{near[0]} {near[1]}, {lost} s, R {noise}", _by_label(partial(_norfair, near, lost, noise)))
        for near, lost, noise in itertools.product(settings, (2, 4), (4.0, 0.5))
    ]


def supervision() -> list[tuple[str, Follower]]:
    """ByteTrack with several limits."""
    return [
        (f"limit {limit}, {lost} s", _by_label(partial(_byte_track, limit, lost)))
        for limit, lost in itertools.product((0.8, 0.9, 0.95, 0.99, 0.999), (2, 4))
    ]


def _norfair(near: tuple[str, float], lost: float, noise: float, seen: Seen, rate: float) -> Numbered:
    library: Any = importlib.import_module("norfair")
    filters: Any = importlib.import_module("norfair.filter")
    tracker = library.Tracker(
        *near,
        hit_counter_max=max(2, int(lost * rate)),
        initialization_delay=0,
        filter_factory=filters.OptimizedKalmanFilterFactory(R=noise, Q=0.1 if noise > 1 else 0.3),
    )
    for moment, found in seen:
        shown = [
            library.Detection(
                points=100 * np.reshape(one.box, (2, 2)), scores=np.full(2, one.score), data=(moment, one)
            )
            for one in found
        ]
        for track in tracker.update(shown):
            when, one = track.last_detection.data
            if when == moment:
                yield track.id, when, one


def _byte_track(limit: float, lost: float, seen: Seen, rate: float) -> Numbered:
    library: Any = importlib.import_module("supervision")
    tracker = library.ByteTrack(
        lost_track_buffer=30 * lost, minimum_matching_threshold=limit, frame_rate=rate, minimum_consecutive_frames=1
    )
    for moment, found in seen:
        followed = tracker.update_with_detections(
            library.Detections(
                xyxy=1000 * np.array([one.box for one in found]).reshape(-1, 4),
                confidence=np.array([one.score for one in found]),
                class_id=np.arange(len(found)),
            )
        )
        for track, number in zip(
            followed.tracker_id, () if followed.class_id is None else followed.class_id, strict=False
        ):
            yield int(track), moment, found[int(number)]


def _by_label(go: Callable[[Seen, float], Numbered]) -> Follower:
    """A follower that is given one kind of thing at a time."""

    def followed(seen: Seen, rate: float) -> list[Event]:
        tracks: dict[tuple[str, int], list[Place]] = {}
        for label in sorted({one.label for _, found in seen for one in found}):
            alone = [(moment, [one for one in found if one.label == label]) for moment, found in seen]
            for track, moment, one in go(alone, rate):
                tracks.setdefault((label, track), []).append(Place(moment, one.box))
        return [
            Event("track", label, path[0].time, path[-1].time, 1.0, tuple(path))
            for (label, _), path in tracks.items()
            if len(path) > 1
        ]

    return followed


def measured(follower: Follower, seeds: Sequence[int]) -> dict[str, float]:
    """Mean IDF1 by rate and speed."""
    figures = {}
    for (name, fastest), rate in itertools.product(FASTEST.items(), RATES):
        scenes = [scene(seed, rate, fastest) for seed in seeds]
        found = [identity_f1(seen, follower(seen, rate), truth) for seen, truth in scenes]
        figures[f"{name}, {rate} a second"] = round(float(np.mean(found)), 3)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few scenes; publishes nothing")
    quick = parser.parse_args().quick
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # ByteTrack says at every use that it will be removed.
    chosen_on, measured_on = (range(2), range(1000, 1003)) if quick else (CHOSEN_ON, MEASURED_ON)
    results: dict[str, Any] = {}
    for name, settings in {"ours": ours, "norfair": norfair, "supervision": supervision}.items():
        if name != "ours" and importlib.util.find_spec(name) is None:
            continue
        scores = {said: float(np.mean(list(measured(one, chosen_on).values()))) for said, one in settings()}
        best = max(scores, key=scores.__getitem__)
        start = time.perf_counter()
        figures = measured(dict(settings())[best], measured_on)
        seconds = time.perf_counter() - start
        mean = round(float(np.mean(list(figures.values()))), 3)
        results[name] = {"settings": best, "idf1": figures, "mean": mean, "seconds": round(seconds, 1)}
    goals = [
        report.goal(
            "things are followed rightly at 1 to 4 pictures a second (IDF1)", results["ours"]["mean"], at_least=0.9
        )
    ]
    libraries = [name for name in results if name != "ours"]
    report.write("tracking", {"goals": goals, "results": results}, ["numpy", *libraries], keep=not quick)


if __name__ == "__main__":
    main()
