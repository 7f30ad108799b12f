"""Things that are followed: on paths that cross, through gaps and at one or two pictures a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from indexer.records import Detection, Event, Place
from indexer.tracking import LOST_AFTER, TOLERANCE, follow, simplified
from tests.paths import identity_f1, scene

Way = Callable[[float], tuple[float, float]]
Seen = Sequence[tuple[float, Sequence[Detection]]]


def things(
    times: Sequence[float], ways: Sequence[tuple[str, Way]], side: float = 0.1
) -> list[tuple[float, list[Detection]]]:
    """What a detector would see of things, whose centres go their ways."""
    seen = []
    for time in times:
        centres = [(label, *way(time)) for label, way in ways]
        seen.append(
            (
                time,
                [
                    Detection(label, 0.8, (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
                    for label, x, y in centres
                ],
            )
        )
    return seen


def centre(place: Place) -> tuple[float, float]:
    left, top, right, bottom = place.box
    return (left + right) / 2, (top + bottom) / 2


@pytest.mark.parametrize("rate", [1, 2])
def test_things_that_cross_go_on_their_own_ways(rate: int) -> None:
    times = [number / rate for number in range(8 * rate)]
    rightwards: Way = lambda time: (0.1 + 0.1 * time, 0.45)  # noqa: E731
    leftwards: Way = lambda time: (0.85 - 0.1 * time, 0.5)  # noqa: E731
    tracks = follow(things(times, [("dog", rightwards), ("dog", leftwards)]))
    assert len(tracks) == 2
    for track in tracks:
        assert (track.kind, track.label, track.start, track.end) == ("track", "dog", times[0], times[-1])
        way = rightwards if centre(track.path[0])[0] < 0.5 else leftwards
        for place in track.path:
            assert centre(place) == pytest.approx(way(place.time), abs=1e-9)


def test_two_kinds_of_things_in_one_place_are_two() -> None:
    tracks = follow(things(range(5), [("dog", lambda _: (0.5, 0.5)), ("ball", lambda _: (0.5, 0.5))]))
    assert [track.label for track in tracks] == ["ball", "dog"]


def test_what_is_hidden_for_a_while_is_the_same_thing_and_after_long_another() -> None:
    seen = things([number / 2 for number in range(16)], [("person", lambda time: (0.1 + 0.1 * time, 0.5))])
    hidden = [(time, [] if 2 <= time <= 4 else found) for time, found in seen]
    (track,) = follow(hidden)
    assert (track.start, track.end) == (0.0, 7.5)
    still = things([0, 1, 2, 3 + LOST_AFTER, 4 + LOST_AFTER], [("person", lambda _: (0.5, 0.5))])
    assert [(one.start, one.end) for one in follow(still)] == [(0, 2), (3 + LOST_AFTER, 4 + LOST_AFTER)]


def test_what_is_seen_once_is_no_track_and_scores_are_averaged() -> None:
    box = (0.1, 0.1, 0.2, 0.2)
    seen = [
        (0.0, [Detection("cat", 0.6, box)]),
        (1.0, [Detection("cat", 0.9, box), Detection("cat", 0.5, (0.8, 0.8, 0.9, 0.9))]),
    ]
    assert follow(seen) == (Event("track", "cat", 0.0, 1.0, 0.75, (Place(0.0, box), Place(1.0, box))),)


def test_what_jumps_away_or_changes_its_size_is_another_thing() -> None:
    seen = things(range(4), [("cat", lambda time: (0.1 if time < 2 else 0.8, 0.5))])
    assert [(track.start, track.end) for track in follow(seen)] == [(0, 1), (2, 3)]
    small, large = (
        things([0, 1], [("cat", lambda _: (0.5, 0.5))], 0.02),
        things([2, 3], [("cat", lambda _: (0.5, 0.5))], 0.9),
    )
    assert len(follow([*small, *large])) == 2


@pytest.mark.parametrize(("rate", "least"), [(1, 0.9), (2, 0.95), (4, 0.95)])
def test_on_hard_scenes_nearly_all_detections_are_with_the_right_thing(rate: int, least: float) -> None:
    """Trembling boxes, misses, false ones, hidden things, uneven times."""
    figures = [identity_f1(seen, follow(seen), truth) for seen, truth in (scene(seed, rate) for seed in range(30))]
    assert np.mean(figures) >= least


def test_the_order_of_detections_does_not_matter() -> None:
    seen, _ = scene(3, 2)
    assert follow([(time, found[::-1]) for time, found in seen]) == follow(seen)


def test_nothing_seen_and_boxes_without_area_give_no_tracks() -> None:
    flat = [Detection("dog", 0.9, (0.5, 0.5, 0.5, 0.7))]
    assert follow([]) == follow([(0.0, flat), (1.0, flat)]) == ()


def test_times_must_ascend() -> None:
    with pytest.raises(ValueError, match="ascend"):
        follow([(1.0, []), (1.0, [])])


def test_a_path_keeps_its_bends_and_no_more() -> None:
    still = things([float(second) for second in range(3600)], [("clock", lambda _: (0.5, 0.5))])
    (track,) = follow(still)
    assert [place.time for place in track.path] == [0.0, 3599.0]
    rng = np.random.default_rng(4)
    walk = np.cumsum(rng.normal(0, 0.01, (300, 4)), axis=0)
    path = [Place(float(time), (float(a), float(b), float(c), float(d))) for time, (a, b, c, d) in enumerate(walk)]
    few = simplified(path)
    assert few[0] == path[0]
    assert few[-1] == path[-1]
    assert 2 < len(few) < 150
    between = np.stack(
        [np.interp(range(300), [p.time for p in few], [p.box[side] for p in few]) for side in range(4)], 1
    )
    assert np.abs(between - walk).max() <= TOLERANCE + 1e-9
