"""Unusual, broken and hostile videos come through the whole way, right or with a reason that people understand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from config.errors import DamagedFile, EmptyFile, MediaError, UnsupportedFormat
from indexer.media.moments import Moment, moments
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import Picture, with_matrix, write_clip
from tests.indexer.media.scenes import FPS, Part, Scene, pictures_of

LIMITS = VideoLimits()
PARTS = [Part(Scene(60), 3.0), Part(Scene(61), 3.4), Part(Scene(62), 2.6)]
CUTS = [3.0, 6.4]
END = 9.0


def pictures() -> Iterator[Picture]:
    return pictures_of(PARTS)


def moments_of(path: Path) -> list[Moment]:
    with open_video(str(path), LIMITS) as video:
        return [one for one, _ in moments(video)]


def check(found: list[Moment], *, cuts: list[float] = CUTS, end: float = END) -> None:
    starts = [one.start for one in found if one.shot > 1 and one.start in {f.end for f in found if f.shot < one.shot}]
    assert starts == pytest.approx(cuts, abs=0.05)
    assert found[-1].end == pytest.approx(end, abs=0.1)
    assert all(one.frames for one in found)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        (
            "a.mp4",
            {"container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_size": "9999"}},
        ),
        ("a.mp4", {"codec": "libx265", "pixel_format": "yuv420p10le"}),
        ("a.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=50:open-gop=1"}}),
        ("a.mp4", {"options": {"bf": "3", "g": "250"}}),
        ("a.mkv", {}),
        ("a.mkv", {"container_options": {"live": "1"}}),
        ("a.webm", {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}}),
        ("a.ts", {}),
        ("a.mpg", {"codec": "mpeg2video"}),
        ("a.avi", {"codec": "mpeg4"}),
        ("a.mov", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
        ("a.flv", {}),
        ("a.h264", {}),
        ("a.h264", {"options": {"bf": "2", "g": "50"}}),
        ("a.ts", {"options": {"g": "40"}}),
    ],
)
def test_every_container_and_codec_gives_the_same_shots(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    check(moments_of(write_clip(tmp_path / name, pictures(), fps=FPS, **options)))


def test_uneven_frames(tmp_path: Path) -> None:
    times = [number / FPS + (0.013 if number % 3 else 0.0) for number in range(round(END * FPS))]
    check(moments_of(write_clip(tmp_path / "a.mp4", pictures(), times=times)), cuts=CUTS)


def test_a_portrait_is_upright(tmp_path: Path) -> None:
    path = with_matrix(write_clip(tmp_path / "a.mp4", pictures(), fps=FPS), (0, 1, 0, -1, 0, 0, 0, 0, 1))
    found = moments_of(path)
    check(found)
    assert {frame.pixels.shape for one in found for frame in one.frames} == {(320, 180, 3)}


def test_4k(tmp_path: Path) -> None:
    large = (
        np.asarray(cv2.resize(Scene(60).at(n / 5), (3840, 2160), interpolation=cv2.INTER_NEAREST), np.uint8)
        for n in range(10)
    )
    [one] = moments_of(write_clip(tmp_path / "a.mp4", large, fps=5))
    assert one.end == pytest.approx(2.0)
    assert {frame.pixels.shape for frame in one.frames} == {(360, 640, 3)}


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.ts"])
def test_a_single_frame(tmp_path: Path, name: str) -> None:
    codec = {"a.webm": "libvpx", "a.avi": "mpeg4"}.get(name, "libx264")
    [one] = moments_of(write_clip(tmp_path / name, [Scene(60).at(0)], fps=FPS, codec=codec))
    assert one.start == 0.0
    assert 0 < one.end <= 0.2
    assert [frame.time for frame in one.frames] == [0.0]


def faststart(tmp_path: Path) -> bytes:
    path = write_clip(tmp_path / "whole.mp4", pictures(), fps=FPS, container_options={"movflags": "faststart"})
    return path.read_bytes()


def test_a_truncated_video_is_seen_up_to_where_it_goes(tmp_path: Path) -> None:
    data = faststart(tmp_path)
    path = tmp_path / "a.mp4"
    path.write_bytes(data[: len(data) * 3 // 5])
    found = moments_of(path)
    assert found[0].start == 0.0
    assert 3.5 < found[-1].end < 8.0
    assert found[1].start == pytest.approx(3.0, abs=0.05)


def test_only_the_end_of_a_matroska_file_is_read_for_where_its_keyframes_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(), fps=FPS, options={"g": "25", "sc_threshold": "0", "crf": "1"})
    size, read = path.stat().st_size, 0
    real = os.pread

    def counted(descriptor: int, count: int, at: int) -> bytes:
        nonlocal read
        data = real(descriptor, count, at)
        read += len(data)
        return data

    with open_video(str(path), LIMITS) as video:
        monkeypatch.setattr(os, "pread", counted)
        timeline = video.timeline
    assert list(timeline.keyframes) == pytest.approx(range(9))
    assert timeline.end == pytest.approx(END)
    assert not timeline.truncated
    assert size > 3_000_000
    assert read < size / 2


@pytest.mark.parametrize("options", [{}, {"cues_to_front": "1"}])
def test_a_truncated_matroska_file_is_known_as_one(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_clip(tmp_path / "a.mkv", pictures(), fps=FPS, options={"g": "25"}, container_options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_video(str(path), LIMITS) as video:
        timeline = video.timeline
    assert timeline.truncated
    assert 3.0 < timeline.end < 7.0
    assert timeline.keyframes.max() < timeline.end
    assert moments_of(path)[-1].end == timeline.end


def test_a_hole_of_zeros_costs_what_is_in_it(tmp_path: Path) -> None:
    data = bytearray(faststart(tmp_path))
    at = data.index(b"mdat") + 8
    middle = at + (len(data) - at) // 3
    data[middle : middle + (len(data) - at) // 8] = bytes((len(data) - at) // 8)
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    found = moments_of(path)
    assert found[0].frames
    assert found[-1].frames
    assert found[-1].end == pytest.approx(END, abs=0.1)
    assert any(one.start == pytest.approx(6.4, abs=0.05) for one in found)


@pytest.mark.parametrize("box", [b"stsz", b"stco", b"stsc", b"stts"])
def test_a_broken_index_ends_with_a_reason_or_with_what_can_be_seen(tmp_path: Path, box: bytes) -> None:
    data = bytearray(faststart(tmp_path))
    at = data.index(box) + 12
    data[at : at + 40] = np.random.default_rng(3).integers(0, 256, 40, np.uint8).tobytes()
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    try:
        found = moments_of(path)
    except MediaError as error:
        assert error.title
        assert error.remedy
        assert isinstance(error, DamagedFile) or "limit" in error.title
    else:
        assert found[0].start == 0.0
        assert all(one.start < one.end for one in found)
        assert len(found) < 200


def test_without_an_index_there_is_a_reason(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(), fps=FPS)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DamagedFile, match="damaged or incomplete"):
        moments_of(path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(EmptyFile, match="zero bytes"):
        moments_of(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '/etc/passwd'\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    ],
)
def test_a_playlist_that_calls_itself_a_video_opens_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnsupportedFormat, match="a playlist, which only names other files"):
        moments_of(path)


def test_a_wrong_name_is_of_no_importance(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures(), fps=FPS)
    check(moments_of(path.rename(tmp_path / "a.jpg")))
