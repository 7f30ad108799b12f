"""Speed, time left and bottleneck, as `status` and the progress bar tell them."""

from __future__ import annotations

import pytest

from daemon.progress import LIMITS, WINDOW_SECONDS, Progress
from indexer.records import Analysis


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress(clock)


def batch(count: int, **seconds: float) -> list[Analysis]:
    """Photos that took so long in each step."""
    return [Analysis(media_id=number, stages={}, seconds=seconds) for number in range(count)]


def test_before_anything_is_done_nothing_is_claimed(progress: Progress) -> None:
    pace = progress.pace()
    assert (pace.photos_per_second, pace.bottleneck, pace.finished, pace.failed) == (0.0, None, 0, 0)
    assert dict(pace.seconds_per_step) == {}


def test_the_rate_is_that_of_the_last_half_minute(progress: Progress, clock: Clock) -> None:
    for _ in range(60):
        clock.now += 1
        progress.finished(batch(10), failed=0)
    assert progress.pace().photos_per_second == pytest.approx(10, rel=0.05)
    for _ in range(60):
        clock.now += 1
        progress.finished(batch(2), failed=0)
    pace = progress.pace()
    assert pace.photos_per_second == pytest.approx(2, rel=0.05)
    assert pace.finished == 720


def test_one_batch_says_nothing_about_the_rate(progress: Progress, clock: Clock) -> None:
    progress.finished(batch(16), failed=0)
    clock.now += 0.5
    assert progress.pace().photos_per_second == 0.0


def test_after_a_rest_the_rate_is_unknown_and_the_totals_stay(progress: Progress, clock: Clock) -> None:
    progress.finished(batch(4), failed=1)
    clock.now += WINDOW_SECONDS + 1
    pace = progress.pace()
    assert (pace.photos_per_second, pace.bottleneck) == (0.0, None)
    assert (pace.finished, pace.failed) == (4, 1)


def test_the_step_that_takes_longest_holds_it_back(progress: Progress, clock: Clock) -> None:
    progress.finished(batch(3, decode=0.02, concepts=0.05), failed=0)
    clock.now += 1
    progress.finished(batch(1, decode=0.5, concepts=0.05), failed=0)
    pace = progress.pace()
    assert pace.bottleneck == LIMITS["decode"]
    assert pace.seconds_per_step["decode"] == pytest.approx((3 * 0.02 + 0.5) / 4)
    assert pace.seconds_per_step["concepts"] == pytest.approx(0.05)


def test_a_stage_that_holds_it_back_is_named(progress: Progress) -> None:
    progress.finished(batch(2, decode=0.02, **{"detection:dfine-s": 0.3}), failed=0)
    assert progress.pace().bottleneck == 'the stage "detection:dfine-s"'


def test_a_video_is_many_pictures_and_no_measure_of_how_long_photos_take(progress: Progress, clock: Clock) -> None:
    for _ in range(10):
        clock.now += 1
        progress.finished(batch(2, concepts=0.1), failed=0)
    video = Analysis(media_id=99, stages={}, seconds={"concepts": 20.0, "frames": 44.0}, frames=180)
    progress.finished([video], failed=0, long={99})
    pace = progress.pace()
    assert pace.photos_per_second == pytest.approx(2)
    assert pace.seconds_per_step["concepts"] == pytest.approx((20 * 0.1 + 20) / 200)
    assert pace.bottleneck == LIMITS["frames"]
    assert pace.finished == 21


def test_videos_alone_tell_nothing_of_how_long_it_will_take(progress: Progress, clock: Clock) -> None:
    for number in range(5):
        clock.now += 4
        video = Analysis(media_id=number, stages={}, seconds={"listen": 3.0}, frames=0)
        progress.finished([video], failed=0, long={number})
    pace = progress.pace()
    assert (pace.photos_per_second, dict(pace.seconds_per_step)) == (0.0, {})
    assert pace.bottleneck == LIMITS["listen"]
