"""Opening videos: what they say about themselves, and every broken or hostile file in plain words."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from config.errors import (
    DamagedFile,
    EmptyFile,
    FileVanished,
    MediaError,
    TooLarge,
    UnsupportedFormat,
)
from indexer.media.metadata.facts import Place
from indexer.media.metadata.moments import Moment, choose
from indexer.media.metadata.quicktime import container_facts, parse_iso6709
from indexer.media.video import VideoInfo, VideoLimits, open_video
from tests.indexer.media.clips import counting, four_corners, write_clip

LIMITS = VideoLimits(max_pixels=10_000_000, max_seconds=3600, max_streams=8)
TONE = (0.3 * np.sin(np.arange(48_000) * 0.05)).astype(np.float32)


def info_of(path: Path) -> VideoInfo:
    with open_video(str(path), LIMITS) as video:
        return video.info


@pytest.mark.parametrize(
    ("name", "codec", "audio", "stated"),
    [
        ("a.mp4", "libx264", "aac", ("mov,mp4,m4a,3gp,3g2,mj2", "h264")),
        ("a.mkv", "libx265", "libopus", ("matroska,webm", "hevc")),
        ("a.webm", "libvpx-vp9", "libopus", ("matroska,webm", "vp9")),
        ("a.avi", "mpeg4", "libmp3lame", ("avi", "mpeg4")),
        ("a.ts", "libx264", "aac", ("mpegts", "h264")),
        ("a.mov", "mjpeg", "pcm_s16le", ("mov,mp4,m4a,3gp,3g2,mj2", "mjpeg")),
        ("a.mpg", "mpeg2video", "mp2", ("mpeg", "mpeg2video")),
    ],
)
def test_every_container_says_what_it_is(
    tmp_path: Path, name: str, codec: str, audio: str, stated: tuple[str, str]
) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    pictures = [four_corners()] * 30
    path = write_clip(tmp_path / name, pictures, codec=codec, pixel_format=pixel_format, sound=TONE, audio_codec=audio)
    info = info_of(path)
    assert (info.container, info.codec, info.width, info.height) == (*stated, 160, 96)
    assert info.duration == pytest.approx(1.0, abs=0.1)
    assert info.fps == pytest.approx(30, abs=0.5)
    assert not info.variable_rate
    assert not info.hdr
    [track] = info.audio
    assert (track.channels, track.sample_rate) == (1, 48_000)
    assert track.codec == {"libopus": "opus", "libmp3lame": "mp3"}.get(audio, audio)
    assert info.bit_rate


def test_a_clip_without_sound_has_no_audio(tmp_path: Path) -> None:
    assert info_of(write_clip(tmp_path / "a.mp4", [four_corners()] * 5)).audio == ()


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "photo.jpg", [four_corners()] * 5, container="matroska")
    assert info_of(path).container == "matroska,webm"


def test_a_clip_of_one_frame_opens(tmp_path: Path) -> None:
    with open_video(str(write_clip(tmp_path / "a.mp4", [four_corners()])), LIMITS) as video:
        assert video.info.duration == pytest.approx(1 / 30, abs=0.01)
        assert not video.timeline.truncated
        assert list(video.timeline.keyframes) == [0.0]


def test_uneven_frames_are_seen(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.067, 0.2, 0.5, 0.533, 0.9, 1.5, 1.533, 2.0]
    for name in ("a.mp4", "a.mkv"):
        path = write_clip(tmp_path / name, [counting(n) for n in range(10)], times=times)
        assert info_of(path).variable_rate


def test_keyframes_and_end_are_found_in_every_container(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts"):
        path = write_clip(
            tmp_path / name, (counting(n) for n in range(90)), options={"g": "30", "sc_threshold": "0", "bf": "0"}
        )
        with open_video(str(path), LIMITS) as video:
            assert video.timeline.keyframes == pytest.approx([0, 1, 2], abs=0.05), name
            assert video.timeline.end == pytest.approx(3.0, abs=0.05), name
            assert not video.timeline.truncated
            assert video.timeline.widest_gap(0.0, 3.0) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_file_cut_short_opens_and_says_so(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(4).integers(0, 255, (96, 160, 3), np.uint8)
    pictures = (np.roll(noise, number, axis=1) for number in range(120))
    path = write_clip(tmp_path / name, pictures, container_options={"movflags": "faststart"} if name == "a.mp4" else {})
    os.truncate(path, path.stat().st_size // 3)
    with open_video(str(path), LIMITS) as video:
        assert video.info.duration == pytest.approx(4.0, abs=0.1)
        assert video.timeline.truncated
        assert 0.5 < video.timeline.end < 2.5


def test_a_file_without_its_index_is_damaged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", (counting(n) for n in range(60)))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DamagedFile, match="damaged or incomplete"), open_video(str(path), LIMITS):
        pass


def test_an_index_without_its_pictures_is_damaged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", (counting(n) for n in range(60)), container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    data[at:] = bytes(len(data) - at)
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="No picture"), open_video(str(path), LIMITS):
        pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{path}\n#EXT-X-ENDLIST\n", "a playlist"),
        ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:9,\nfile://{path}\n#EXT-X-ENDLIST\n", "a playlist"),
        ("ffconcat version 1.0\nfile {path}\n", "a playlist"),
        (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema"><BaseURL>{path}</BaseURL></MPD>',
            "a playlist",
        ),
        ("just a letter\n", "text"),
    ],
)
def test_a_playlist_under_a_videos_name_reaches_no_other_file(tmp_path: Path, text: str, said: str) -> None:
    other = write_clip(tmp_path / "other.mp4", [four_corners()] * 30)
    hostile = tmp_path / "holiday.mp4"
    hostile.write_text(text.format(path=other))
    before = other.stat().st_atime_ns
    with pytest.raises(UnsupportedFormat, match=said), open_video(str(hostile), LIMITS):
        pass
    assert other.stat().st_atime_ns == before


def test_a_reference_movie_reaches_no_other_file(tmp_path: Path) -> None:
    """An MP4 whose samples are said to lie in another file (the data reference atom) is not followed."""
    other = write_clip(tmp_path / "other.mp4", [four_corners()] * 30)
    hostile = tmp_path / "a.mp4"
    data = other.read_bytes()
    assert data.count(b"url \x00\x00\x00\x01") == 1
    hostile.write_bytes(data.replace(b"url \x00\x00\x00\x01", b"alis\x00\x00\x00\x00"))
    info = info_of(hostile)
    assert (info.width, info.height) == (160, 96)


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    cases = {
        b"%PDF-1.7\n" + b"x" * 3000: "a PDF document",
        b"PK\x03\x04" + b"x" * 3000: "an archive",
        bytes(5000): "nothing but zeros",
        np.random.default_rng(5).bytes(5000): "something else",
    }
    for content, said in cases.items():
        path = tmp_path / "a.mp4"
        path.write_bytes(content)
        with pytest.raises(UnsupportedFormat, match=said), open_video(str(path), LIMITS):
            pass


def test_a_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "rgb24"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(four_corners(), "rgb24")))
        output.mux(stream.encode())
    with pytest.raises(UnsupportedFormat), open_video(str(path), LIMITS):
        pass


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "memo.m4a", [], sound=TONE)
    with pytest.raises(UnsupportedFormat, match="no moving picture"), open_video(str(path), LIMITS):
        pass


def test_empty_missing_and_special_files(tmp_path: Path) -> None:
    empty = tmp_path / "a.mp4"
    empty.touch()
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path, error in (
        (empty, EmptyFile),
        (tmp_path / "b.mp4", FileVanished),
        (pipe, MediaError),
        (tmp_path, MediaError),
    ):
        with pytest.raises(error), open_video(str(path), LIMITS):
            pass


def test_a_file_that_changes_while_open_is_looked_at_again(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners()] * 5)
    with pytest.raises(FileVanished), open_video(str(path), LIMITS), path.open("ab") as more:
        more.write(b"more")


@pytest.mark.parametrize(
    "limits",
    [
        VideoLimits(max_pixels=160 * 96 - 1),
        VideoLimits(max_seconds=0.5),
        VideoLimits(max_streams=1),
    ],
)
def test_limits_hold(tmp_path: Path, limits: VideoLimits) -> None:
    path = write_clip(tmp_path / "a.mkv", [four_corners()] * 30, sound=TONE)
    with pytest.raises(TooLarge, match="limit"), open_video(str(path), limits):
        pass


def test_time_place_and_camera_of_a_telephone(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "IMG_0001.MOV",
        [four_corners()] * 5,
        container_options={"movflags": "use_metadata_tags"},
        metadata={
            "creation_time": "2021-06-01T10:00:00.000000Z",
            "com.apple.quicktime.creationdate": "2021-06-01T12:00:00+0200",
            "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.1/",
            "com.apple.quicktime.make": "Apple",
            "com.apple.quicktime.model": "iPhone 12",
        },
    )
    facts = info_of(path).facts
    assert choose(facts.moments) == Moment(
        "2021-06-01T12:00:00", utc_offset_minutes=120, source="QuickTime creation date"
    )
    assert facts.place == Place(48.8577, 2.295)
    assert facts.altitude == 35.1
    assert facts.camera == "Apple iPhone 12"


def test_the_plain_creation_time_is_utc_and_an_unset_clock_says_nothing(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners()] * 5, metadata={"creation_time": "2021-06-01T10:00:00Z"})
    [moment] = info_of(path).facts.moments
    assert (moment.local, moment.utc_offset_minutes) == ("2021-06-01T10:00:00", 0)
    for unset in ("1904-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z", "nonsense"):
        assert container_facts({"creation_time": unset}).moments == ()


def test_android_names() -> None:
    facts = container_facts(
        {"location": "-33.8568+151.2153/", "com.android.manufacturer": "Google", "com.android.model": "Pixel 8"}
    )
    assert facts.place == Place(-33.8568, 151.2153)
    assert facts.altitude is None
    assert facts.camera == "Google Pixel 8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+27.5916+086.5640+8850/", (27.5916, 86.5640, 8850.0)),
        ("+4012.22-07500.25/", (40 + 12.22 / 60, -(75 + 0.25 / 60), None)),
        ("-123456+1234502.5-12/", (-(12 + 34 / 60 + 56 / 3600), 123 + 45 / 60 + 2.5 / 3600, -12.0)),
        ("+48.8577+002.2950+035CRSWGS_84/", (48.8577, 2.295, 35.0)),
        ("somewhere", None),
        ("", None),
    ],
)
def test_places_as_iso_6709_writes_them(text: str, expected: tuple[float, float, float | None] | None) -> None:
    assert parse_iso6709(text) == expected


def test_metadata_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners()] * 5, metadata={"title": "ABCDEFGH"})
    path.write_bytes(path.read_bytes().replace(b"ABCDEFGH", b"\xff\xfeAB\x80\x81EF"))
    title = info_of(path).facts.title
    assert title is not None
    assert "AB" in title


@pytest.mark.parametrize("name", ["a.ts", "a.avi"])
def test_it_is_told_that_a_long_reading_goes_on(tmp_path: Path, name: str) -> None:
    """Nothing is known of it until all of it was read; a worker that says nothing meanwhile would be ended."""
    noise = np.random.default_rng(0).integers(0, 255, (8, 480, 640, 3), np.uint8)
    path = write_clip(tmp_path / name, list(noise) * 20, codec="mpeg4")
    told: list[int] = []
    with open_video(str(path), LIMITS, None, lambda: told.append(1)) as video:
        opening = len(told)
        assert video.timeline.end > 1
        reading = len(told) - opening
    assert reading >= path.stat().st_size // (1 << 18) > 4
