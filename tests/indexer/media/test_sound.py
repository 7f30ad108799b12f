"""Sound: 16 kHz mono at its true times, in bounded pieces, from videos and from sound alone."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import DamagedFile, EmptyFile, UnsupportedFormat
from indexer.media.downmix import RATE
from indexer.media.sound import Sound, open_audio, read_sound
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import four_corners, write_clip

LIMITS = VideoLimits()


def clicks(at: list[float], seconds: float, rate: int = 48_000) -> NDArray[np.float32]:
    """Silence with a burst of 20 ms at each time."""
    sound = np.zeros(round(seconds * rate), np.float32)
    for time in at:
        first = round(time * rate)
        count = rate // 50
        sound[first : first + count] = 0.7 * np.sin(np.arange(count) * 2 * np.pi * 1000 / rate)
    return sound


def onsets(pieces: list[Sound]) -> list[float]:
    """When the bursts begin: where it is loud after at least 0.1 s of silence."""
    loud = [piece.start + index / RATE for piece in pieces for index in np.flatnonzero(np.abs(piece.samples) > 0.2)]
    return [time for before, time in zip([-1.0, *loud], loud, strict=False) if time - before > 0.1]


def heard(path: Path, **options: Any) -> list[Sound]:
    with open_audio(str(path), LIMITS) as audio:
        return list(read_sound(audio.source, **options))


TIMES = [0.25, 1.0, 1.77, 3.4, 3.9]


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("memo.m4a", "aac", 44_100),
        ("memo.mp3", "libmp3lame", 44_100),
        ("memo.ogg", "libopus", 48_000),
        ("memo.flac", "flac", 48_000),
        ("memo.wav", "pcm_s16le", 8_000),
        ("memo.mka", "aac", 48_000),
    ],
)
def test_sound_comes_at_its_time_from_every_format(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    path = write_clip(tmp_path / name, [], sound=clicks(TIMES, 4.5, rate), rate=rate, audio_codec=codec)
    with open_audio(str(path), LIMITS) as audio:
        assert audio.info.duration == pytest.approx(4.5, abs=0.1)
        assert audio.info.tracks[0].sample_rate == rate
        pieces = list(read_sound(audio.source))
    assert {piece.samples.dtype for piece in pieces} == {np.dtype(np.float32)}
    assert sum(len(piece.samples) for piece in pieces) == pytest.approx(4.5 * RATE, abs=0.1 * RATE)
    assert onsets(pieces) == pytest.approx(TIMES, abs=0.03)


def test_the_loudness_is_kept(tmp_path: Path) -> None:
    tone = (0.5 * np.sin(np.arange(96_000) * 2 * np.pi * 440 / 48_000)).astype(np.float32)
    [piece] = heard(write_clip(tmp_path / "a.wav", [], sound=tone, audio_codec="pcm_s16le"))
    assert float(np.sqrt((piece.samples[1000:-1000] ** 2).mean())) == pytest.approx(0.5 / np.sqrt(2), abs=0.01)


def test_pieces_are_bounded_and_join_without_a_seam(tmp_path: Path) -> None:
    tone = (0.5 * np.sin(np.arange(5 * 44_100) * 2 * np.pi * 300 / 44_100)).astype(np.float32)
    path = write_clip(tmp_path / "a.wav", [], sound=tone, rate=44_100, audio_codec="pcm_s16le")
    [whole] = heard(path)
    pieces = heard(path, piece=0.7)
    assert [len(piece.samples) for piece in pieces[:-1]] == [11_200] * (len(pieces) - 1)
    assert [piece.start for piece in pieces] == pytest.approx([0.7 * n for n in range(len(pieces))], abs=1e-6)
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces]), whole.samples)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.wav", "pcm_s16le")])
def test_ranges_begin_and_end_where_they_are_asked_to(tmp_path: Path, name: str, codec: str) -> None:
    pictures = [] if name == "a.wav" else [four_corners()] * 135
    path = write_clip(tmp_path / name, pictures, sound=clicks(TIMES, 4.5), audio_codec=codec)
    opener = open_audio if name == "a.wav" else open_video
    with opener(str(path), LIMITS) as opened:
        for start, end, expected in ((0.0, 1.5, TIMES[:2]), (1.5, 3.0, TIMES[2:3]), (3.0, None, TIMES[3:])):
            pieces = list(read_sound(opened.source, start=start, end=end))
            assert pieces[0].start == pytest.approx(start, abs=0.001)
            if end is not None:
                assert pieces[-1].end == pytest.approx(end, abs=0.001)
            assert onsets(pieces) == pytest.approx(expected, abs=0.03)


def test_sound_and_picture_of_a_video_share_one_clock(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.ts", "a.mov"):
        path = write_clip(tmp_path / name, [four_corners()] * 135, sound=clicks(TIMES, 4.5))
        with open_video(str(path), LIMITS) as video:
            assert onsets(list(read_sound(video.source))) == pytest.approx(TIMES, abs=0.05), name


def test_sound_that_begins_late_or_stops_for_a_while_keeps_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    rate = 48_000
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        audio: Any = output.add_stream("pcm_s16le", rate=rate, layout="mono")
        for _ in range(80):
            output.mux(video.encode(av.VideoFrame.from_ndarray(four_corners(), "rgb24")))
        output.mux(video.encode())
        for begin in (2.0, 5.0):
            sound = clicks([0.5], 1.0)
            for at in range(0, len(sound), 960):
                samples = (sound[None, at : at + 960] * 32767).astype(np.int16)
                piece = av.AudioFrame.from_ndarray(samples, "s16", "mono")
                piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
                piece.pts = round(begin * rate) + at
                output.mux(audio.encode(piece))
        output.mux(audio.encode())
    with open_video(str(path), LIMITS) as opened:
        pieces = list(read_sound(opened.source))
    assert [piece.start for piece in pieces] == pytest.approx([2.0, 5.0], abs=0.01)
    assert [piece.end for piece in pieces] == pytest.approx([3.0, 6.0], abs=0.01)
    assert onsets(pieces) == pytest.approx([2.5, 5.5], abs=0.01)


def test_two_channels_become_one(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    left = (0.8 * np.sin(np.arange(16_000) * 0.2)).astype(np.float32)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("pcm_f32le", rate=16_000, layout="stereo")
        both = np.stack([left, np.zeros_like(left)], axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, "flt", "stereo")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    [piece] = heard(path)
    assert np.abs(piece.samples).max() == pytest.approx(0.4, abs=0.01)


def test_a_video_without_sound_gives_none(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners()] * 5)
    with open_video(str(path), LIMITS) as video:
        assert list(read_sound(video.source)) == []


def test_a_cover_picture_makes_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as output:
        audio: Any = output.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover: Any = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 160, 96, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(four_corners(), "rgb24")))
        output.mux(cover.encode())
        frame = av.AudioFrame.from_ndarray(clicks([0.5], 1.0, 44_100)[None], "flt", "mono")
        frame.sample_rate = 44_100
        output.mux(audio.encode(frame))
        output.mux(audio.encode())
    with open_audio(str(path), LIMITS) as opened:
        assert onsets(list(read_sound(opened.source))) == pytest.approx([0.5], abs=0.03)
    with pytest.raises(UnsupportedFormat, match="no moving picture"), open_video(str(path), LIMITS):
        pass


def test_broken_sound_is_refused_with_its_reason(tmp_path: Path) -> None:
    empty = tmp_path / "a.mp3"
    empty.touch()
    memo = write_clip(tmp_path / "b.m4a", [], sound=clicks([0.5], 2.0))
    os.truncate(memo, memo.stat().st_size // 2)
    video = write_clip(tmp_path / "c.mp4", [four_corners()] * 5)
    playlist = tmp_path / "d.m4a"
    playlist.write_text("#EXTM3U\n#EXTINF:9,\nb.m4a\n")
    cases = ((empty, EmptyFile), (memo, DamagedFile), (video, UnsupportedFormat), (playlist, UnsupportedFormat))
    for path, error in cases:
        with pytest.raises(error), open_audio(str(path), LIMITS):
            pass
