"""Where a video is looked at for actions, and how what is seen there becomes spans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.acting import CLIP_SECONDS, MOST_CLIPS, act, clips_of, joined, looks_of
from indexer.media.video import VideoLimits, open_video
from indexer.records import Event
from tests.indexer.media.clips import counting, number_of, write_clip

LIMITS = VideoLimits(max_pixels=10_000_000, max_seconds=3600)
FPS = 10


class Tones:
    """A stage of clips that names the tone of the picture: "dark" below 100, else "bright"."""

    name = "action:tones"
    revision = 1
    frames = 4
    report = None

    def __init__(self) -> None:
        self.clips: list[NDArray[np.uint8]] = []
        self.batches: list[int] = []

    def prepare_clip(self, clip: NDArray[np.uint8]) -> float:
        self.clips.append(clip)
        return float(clip.mean())

    def recognise(self, clips: Sequence[float]) -> list[tuple[Event, ...]]:
        self.batches.append(len(clips))
        return [(Event("action", "dark" if tone < 100 else "bright", 0.0, 0.0, tone / 255),) for tone in clips]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s dark (and getting lighter), 10 s bright, 10 s dark."""
    tones = [20 + second for second in range(20)] + [200] * 10 + [60] * 10
    pictures = (np.full((48, 64, 3), tone, np.uint8) for tone in tones for _ in range(FPS))
    return write_clip(tmp_path_factory.mktemp("acting") / "tones.mp4", pictures, fps=FPS)


def test_what_happens_has_its_span_and_ends_where_another_thing_was_seen(video: Path) -> None:
    stage = Tones()
    moments = [(0.0, 20.0), (20.0, 30.0), (30.0, 40.0)]
    with open_video(str(video), LIMITS) as opened:
        events = act(opened, moments, stage)
    assert [(event.kind, event.label) for event in events] == [("action", name) for name in ("dark", "bright", "dark")]
    looks = looks_of(moments)
    assert [(event.start, event.end) for event in events] == [
        (looks[0][0], looks[3][1]),
        (looks[4][0], looks[5][1]),
        (looks[6][0], looks[7][1]),
    ]
    assert events[0].confidence == pytest.approx((20 + 17) / 255, abs=0.02), "not that of the surest clip"


def test_several_calls_give_what_one_gives(video: Path) -> None:
    moments = [(0.0, 7.0), (7.0, 20.0), (20.0, 30.0), (30.0, 40.0)]
    with open_video(str(video), LIMITS) as opened:
        at_once = act(opened, moments, Tones())
        parts = [event for moment in moments for event in act(opened, [moment], Tones())]
    assert len(parts) > len(at_once)
    assert joined(parts, looks_of(moments)) == at_once


def test_a_stage_gets_evenly_spaced_frames_of_the_clip_and_few_clips_at_a_time(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "counted.mp4", (counting(number) for number in range(40)), fps=FPS)
    stage = Tones()
    with open_video(str(path), LIMITS) as opened:
        act(opened, [(0.0, 4.0)], stage)
        many = [(second / 4, (second + 1) / 4) for second in range(16)]
        act(opened, many, stage)
    numbers = [number_of(frame) for frame in stage.clips[0]]
    assert set(np.diff(numbers)) <= {7, 8}, "3 seconds hold 30 frames, of which 4 are wanted"
    assert 5 <= numbers[0] <= 12
    assert stage.batches == [1, 8, 8]


def test_what_cannot_be_decoded_shows_nothing(video: Path) -> None:
    with open_video(str(video), LIMITS) as opened:
        assert act(opened, [(50.0, 60.0)], Tones()) == ()
        assert act(opened, [], Tones()) == ()


@given(start=st.floats(0, 10_000), length=st.floats(0.01, 400))
def test_clips_lie_in_their_moment_in_order_and_apart(start: float, length: float) -> None:
    end = start + length
    clips = clips_of(start, end)
    assert 1 <= len(clips) <= MOST_CLIPS
    assert start <= clips[0][0]
    assert clips[-1][1] <= end
    for (first, last), following in zip(clips, [*clips[1:], (end, end)], strict=True):
        assert first < last <= following[0] + 1e-6
        assert last - first <= CLIP_SECONDS + 1e-6


def test_a_long_moment_is_looked_at_all_over_and_one_without_length_not_at_all() -> None:
    clips = clips_of(100.0, 400.0)
    assert len(clips) == MOST_CLIPS
    gaps = np.diff([start for start, _ in clips])
    assert gaps.max() == pytest.approx(gaps.min())
    assert clips_of(5.0, 5.0) == []
    assert clips_of(5.0, 6.5) == [(5.0, 6.5)]


def test_actions_at_the_same_time_keep_apart() -> None:
    looks = [(0.0, 3.0), (6.0, 9.0), (12.0, 15.0)]

    def event(label: str, look: int, confidence: float) -> Event:
        return Event("action", label, *looks[look], confidence)

    found = joined(
        [event("sings", 2, 0.6), event("sings", 0, 0.7), event("dances", 0, 0.5), event("dances", 1, 0.9)], looks
    )
    assert found == (
        Event("action", "dances", 0.0, 9.0, 0.9),
        Event("action", "sings", 0.0, 3.0, 0.7),
        Event("action", "sings", 12.0, 15.0, 0.6),
    )
