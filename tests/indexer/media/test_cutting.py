"""Parts of a video in a new one: upright, true to time, with their sound, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import DamagedFile, ReverieError
from indexer.media.cutting import cut
from indexer.media.downmix import RATE
from indexer.media.frames import sample
from indexer.media.sound import read_sound
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import CORNERS, corners_of, counting, four_corners, number_of, with_matrix, write_clip

LIMITS = VideoLimits()


def steps(seconds: int, rate: int = 48_000) -> NDArray[np.float32]:
    """A tone whose pitch says which second it is: 300 Hz more each."""
    time = np.arange(seconds * rate) / rate
    return (0.3 * np.sin(2 * np.pi * 300 * (1 + np.floor(time)) * time)).astype(np.float32)


def second_of(samples: NDArray[np.float32]) -> int:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return round(float(np.argmax(spectrum)) * RATE / len(samples) / 300) - 1


def heard(path: Path) -> NDArray[np.float32]:
    with open_video(str(path), LIMITS) as video:
        return np.concatenate([sound.samples for sound in read_sound(video.source)])


def test_the_parts_follow_each_other_with_their_frames_and_their_sound(tmp_path: Path) -> None:
    pictures = (counting(number // 5) for number in range(200))
    path = write_clip(tmp_path / "a.mp4", pictures, fps=25, sound=steps(8), options={"g": "40"})
    out = tmp_path / "best.mp4"
    cut(str(path), [(5.0, 6.0), (1.0, 3.0)], out, LIMITS)
    with open_video(str(out), LIMITS) as video:
        assert (video.info.codec, video.info.audio[0].codec, video.info.audio[0].channels) == ("h264", "aac", 2)
        assert video.info.duration == pytest.approx(3.0, abs=0.05)
        shown = [(frame.time, number_of(frame.pixels)) for frame in sample(video, every=0)]
    assert len(shown) == 75
    for time, number in shown:
        true = time + 5 if time < 0.99 else time
        assert abs(number - int((true + 0.001) * 5)) <= 0 or abs(true * 5 - round(true * 5)) < 0.1
    sound = heard(out)
    assert len(sound) / RATE == pytest.approx(3.0, abs=0.1)
    assert [second_of(sound[int(at * RATE) : int((at + 0.4) * RATE)]) for at in (0.3, 1.3, 2.3)] == [5, 1, 2]


def test_a_portrait_comes_out_upright(tmp_path: Path) -> None:
    path = with_matrix(write_clip(tmp_path / "a.mp4", [four_corners()] * 25, fps=25), (0, 1, 0, -1, 0, 0, 0, 0, 1))
    out = tmp_path / "best.mp4"
    cut(str(path), [(0.0, 1.0)], out, LIMITS)
    with open_video(str(out), LIMITS) as video:
        frame = next(sample(video))
        assert (video.info.width, video.info.height, video.info.rotation) == (96, 160, 0)
    top_left, top_right, bottom_left, bottom_right = CORNERS
    turned = [bottom_left, top_left, bottom_right, top_right]
    assert np.abs(np.array(corners_of(frame.pixels)) - np.array(turned)).max() < 25


def test_uneven_frames_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5, 0.9, 1.0, 1.4, 1.45, 2.0, 2.1]
    path = write_clip(tmp_path / "a.mp4", [counting(n) for n in range(10)], times=times)
    out = tmp_path / "best.mp4"
    cut(str(path), [(0.5, 2.05)], out, LIMITS)
    with open_video(str(out), LIMITS) as video:
        found = [(frame.time, number_of(frame.pixels)) for frame in sample(video, every=0)]
    assert [number for _, number in found] == [3, 4, 5, 6, 7, 8]
    assert [time for time, _ in found] == pytest.approx([0, 0.4, 0.5, 0.9, 0.95, 1.5], abs=0.002)


def test_where_the_sound_has_ended_there_is_silence(tmp_path: Path) -> None:
    sound = steps(4)
    path = write_clip(tmp_path / "a.mkv", [counting(n) for n in range(100)], fps=25, sound=sound[: 2 * 48_000])
    out = tmp_path / "best.mp4"
    cut(str(path), [(1.0, 4.0), (0.0, 1.0)], out, LIMITS)
    found = heard(out)
    assert second_of(found[int(0.3 * RATE) : int(0.7 * RATE)]) == 1
    assert float(np.abs(found[int(1.2 * RATE) : int(2.8 * RATE)]).max()) < 0.01
    assert second_of(found[int(3.3 * RATE) : int(3.7 * RATE)]) == 0


def test_nothing_is_left_behind_where_it_cannot_be_done(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [counting(n) for n in range(10)])
    out = tmp_path / "best.mp4"
    out.write_bytes(b"an older one")
    with pytest.raises(ReverieError, match="nothing to cut"):
        cut(str(path), [(50.0, 60.0)], out, LIMITS)
    (tmp_path / "broken.mp4").write_bytes(path.read_bytes()[:400])
    with pytest.raises(DamagedFile):
        cut(str(tmp_path / "broken.mp4"), [(0.0, 1.0)], out, LIMITS)
    with pytest.raises(ReverieError, match="cannot be written"):
        cut(str(path), [(0.0, 1.0)], tmp_path / "nowhere" / "best.mp4", LIMITS)
    assert out.read_bytes() == b"an older one"
    assert {one.name for one in tmp_path.iterdir()} == {"a.mp4", "broken.mp4", "best.mp4"}
