"""Sampled frames: upright, in the right colours, at their true times, whatever the file."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

from indexer.media.decoding import Losses
from indexer.media.frames import Frame, Strategy, frames_at, sample
from indexer.media.hdr import hdr_to_srgb
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import (
    CORNERS,
    corners_of,
    counting,
    four_corners,
    number_of,
    with_matrix,
    write_clip,
)

LIMITS = VideoLimits()
SECOND_KEYS = {"g": "30", "sc_threshold": "0"}
TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = CORNERS


def sampled(path: Path, strategy: Strategy = Strategy.UNIFORM, **options: Any) -> list[Frame]:
    with open_video(str(path), LIMITS) as video:
        return list(sample(video, strategy, **options))


def as_709(picture: NDArray[np.uint8]) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p", dst_colorspace="ITU709")


def close(found: list[tuple[int, ...]], expected: tuple[tuple[int, ...], ...], tolerance: int = 8) -> bool:
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= tolerance)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_uniform_gives_the_frame_of_each_interval_exactly(tmp_path: Path, name: str) -> None:
    codec, options = ("mpeg4", {"b": "4000000"}) if name == "a.avi" else ("libx264", SECOND_KEYS | {"bf": "2"})
    path = write_clip(tmp_path / name, (counting(n) for n in range(120)), codec=codec, options=options)
    frames = sampled(path, every=0.5)
    assert [frame.time for frame in frames] == pytest.approx([n / 2 for n in range(8)], abs=0.01)
    assert [number_of(frame.pixels) for frame in frames] == [(15 * n) % 40 for n in range(8)]


def test_every_frame_is_given_at_an_interval_of_nothing(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", (counting(n) for n in range(40)))
    frames = sampled(path, every=0)
    assert [number_of(frame.pixels) for frame in frames] == list(range(40))
    assert [frame.time for frame in frames] == pytest.approx([n / 30 for n in range(40)], abs=0.001)


def test_uneven_frames_keep_their_own_times(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.1, 0.9, 1.0, 2.2, 2.9, 3.0, 3.033, 5.0]
    for name in ("a.mp4", "a.mkv"):
        path = write_clip(tmp_path / name, (counting(n) for n in range(10)), times=times)
        frames = sampled(path, every=0)
        assert [frame.time for frame in frames] == pytest.approx(times, abs=0.002)
        chosen = sampled(path, every=1.0)
        assert [number_of(frame.pixels) for frame in chosen] == [0, 4, 5, 7, 9]


def test_keyframes_alone_and_the_adaptive_choice(tmp_path: Path) -> None:
    dense = write_clip(tmp_path / "dense.mp4", (counting(n) for n in range(150)), options=SECOND_KEYS)
    sparse = write_clip(
        tmp_path / "sparse.mp4", (counting(n) for n in range(150)), options={"g": "600", "sc_threshold": "0"}
    )
    assert [number_of(frame.pixels) for frame in sampled(dense, Strategy.KEYFRAMES)] == [0, 30, 20, 10, 0]
    assert [number_of(frame.pixels) for frame in sampled(dense, Strategy.ADAPTIVE, every=0.25)] == [0, 30, 20, 10, 0]
    assert [frame.time for frame in sampled(sparse, Strategy.KEYFRAMES)] == [0.0]
    adaptive = sampled(sparse, Strategy.ADAPTIVE)
    assert [frame.time for frame in adaptive] == pytest.approx([0, 1, 2, 3, 4], abs=0.15)
    # Times and pictures belong together, also where frames are left out.
    assert [number_of(frame.pixels) for frame in adaptive] == [round(frame.time * 30) % 40 for frame in adaptive]


@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_ranges_read_one_after_the_other_give_what_one_pass_gives(
    tmp_path: Path, name: str, strategy: Strategy
) -> None:
    path = write_clip(tmp_path / name, (counting(n) for n in range(300)), options={"g": "24", "bf": "3"})
    with open_video(str(path), LIMITS) as video:
        whole = [(frame.time, number_of(frame.pixels)) for frame in sample(video, strategy, every=0.3)]
        parts = [
            (frame.time, number_of(frame.pixels))
            for start in (0.0, 2.5, 5.0, 7.5)
            for frame in sample(video, strategy, every=0.3, start=start, end=start + 2.5)
        ]
    assert len(whole) > 10
    assert parts == whole


@pytest.mark.parametrize(
    ("matrix", "upright", "rotation"),
    [
        # A telephone held upright: the picture is stored lying and turned by 90 degrees clockwise.
        ((0, 1, 0, -1, 0, 0, 0, 0, 1), (BOTTOM_LEFT, TOP_LEFT, BOTTOM_RIGHT, TOP_RIGHT), 90),
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), (BOTTOM_RIGHT, BOTTOM_LEFT, TOP_RIGHT, TOP_LEFT), 180),
        ((0, -1, 0, 1, 0, 0, 0, 0, 1), (TOP_RIGHT, BOTTOM_RIGHT, TOP_LEFT, BOTTOM_LEFT), 270),
        # A mirrored selfie.
        ((-1, 0, 0, 0, 1, 0, 0, 0, 1), (TOP_RIGHT, TOP_LEFT, BOTTOM_RIGHT, BOTTOM_LEFT), 0),
    ],
)
def test_frames_are_upright(
    tmp_path: Path, matrix: tuple[int, ...], upright: tuple[tuple[int, ...], ...], rotation: int
) -> None:
    path = with_matrix(write_clip(tmp_path / "a.mp4", [four_corners()] * 3), matrix)
    with open_video(str(path), LIMITS) as video:
        info = video.info
        [frame] = sample(video)
    sideways = rotation in {90, 270}
    assert info.rotation == rotation
    assert (info.width, info.height) == ((96, 160) if sideways else (160, 96))
    assert frame.pixels.shape == (info.height, info.width, 3)
    assert close(corners_of(frame.pixels), upright, 12)


def test_frames_are_reduced_to_the_short_side_and_never_enlarged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners(640, 360)] * 2)
    assert sampled(path, short_side=90)[0].pixels.shape == (90, 160, 3)
    assert sampled(path, short_side=1000)[0].pixels.shape == (360, 640, 3)


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    def wide(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = 2

    path = write_clip(tmp_path / "a.mp4", [four_corners()] * 2, adjust=wide)
    with open_video(str(path), LIMITS) as video:
        assert (video.info.width, video.info.height) == (320, 96)
        assert next(sample(video)).pixels.shape == (96, 320, 3)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "height"),
    [
        ("libx264", "yuv420p", 96),
        ("libx264", "yuv444p", 96),
        ("libx264", "yuv420p10le", 96),
        ("libx265", "yuv420p10le", 96),
        ("mjpeg", "yuvj420p", 96),
        ("prores_ks", "yuv422p10le", 96),
        ("ffv1", "bgr0", 96),
    ],
)
def test_colours_are_right_in_every_pixel_format(tmp_path: Path, codec: str, pixel_format: str, height: int) -> None:
    path = write_clip(tmp_path / "a.mkv", [four_corners(160, height)] * 2, codec=codec, pixel_format=pixel_format)
    assert close(corners_of(sampled(path)[0].pixels), CORNERS)


def test_unnamed_colours_of_a_large_picture_are_those_of_television(tmp_path: Path) -> None:
    """Players read an untagged HD picture as BT.709; FFmpeg's own default would shift every colour."""
    path = write_clip(tmp_path / "a.mp4", [four_corners(1280, 720)] * 2, convert=as_709, codec="mpeg4")
    assert close(corners_of(sampled(path)[0].pixels), CORNERS)


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_keeps_its_order_of_tones_and_its_white(tmp_path: Path, transfer: ColorTrc) -> None:
    """A grey ramp to the peak: black stays black, paper white becomes bright, the peak white, and none swaps."""
    levels = np.linspace(0, 0.7518 if transfer is ColorTrc.SMPTE2084 else 1.0, 8)
    ramp = np.repeat(np.repeat(levels, 20)[None, :, None], 96, axis=0).repeat(3, axis=2)

    def coded(picture: NDArray[np.uint8]) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray((ramp * 65535).astype(np.uint16), "rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace="bt2020")
        frame.color_trc, frame.color_primaries = transfer, ColorPrimaries.BT2020
        return frame

    def tagged(stream: Any) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, ColorPrimaries.BT2020, 9

    path = write_clip(
        tmp_path / "a.mkv",
        [four_corners()] * 2,
        codec="libx265",
        pixel_format="yuv420p10le",
        convert=coded,
        adjust=tagged,
    )
    with open_video(str(path), LIMITS) as video:
        assert video.info.hdr
        assert video.info.pixel_format == "yuv420p10le"
        frame = next(sample(video))
    tones = frame.pixels[48, 10::20].astype(int)
    assert np.ptp(tones, axis=1).max() <= 4
    assert (np.diff(tones[:, 1]) >= 0).all()
    assert tones[0, 1] <= 6
    assert tones[-1, 1] >= 245
    assert 60 <= tones[4, 1] <= 220


def test_hdr_colours_stay_what_they_are() -> None:
    """BT.709 red of 100 nits, coded as PQ in BT.2020, comes out as a red of the same tone."""
    red_2020 = np.array([0.6274, 0.0691, 0.0164]) * 100 / 10_000
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    signal = ((c1 + c2 * red_2020**m1) / (1 + c3 * red_2020**m1)) ** m2
    pixels = np.full((2, 2, 3), np.round(signal * 65535), np.uint16)
    red, green, blue = (int(value) for value in hdr_to_srgb(pixels, ColorTrc.SMPTE2084)[0, 0])
    assert red == pytest.approx(186, abs=8)  # 100 of 203 nits, in sRGB
    assert max(green, blue) < 25


def test_a_second_of_4k_is_read(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "a.mp4", [four_corners(3840, 2160)] * 5, fps=5, codec="mpeg4", options={"g": "5"}, convert=as_709
    )
    [frame] = sampled(path, Strategy.ADAPTIVE)
    assert frame.pixels.shape == (360, 640, 3)
    assert close(corners_of(frame.pixels), CORNERS, 10)


def test_one_frame_is_one_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners()])
    for strategy in Strategy:
        [frame] = sampled(path, strategy)
        assert frame.time == 0.0


def test_what_is_left_of_a_file_cut_short_is_read(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "a.mp4",
        (np.roll(four_corners(), n, axis=1) for n in range(120)),
        options={"g": "30"},
        container_options={"movflags": "faststart"},
    )
    os.truncate(path, path.stat().st_size * 2 // 3)
    frames = sampled(path, every=0.5)
    assert 2 <= len(frames) < 8
    assert frames[-1].time < 4


def test_damage_in_the_middle_costs_only_its_surroundings(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (96, 160, 3), np.uint8)
    pictures = (np.roll(noise, n, axis=1) for n in range(150))
    path = write_clip(tmp_path / "a.mp4", pictures, options=SECOND_KEYS, container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 30_000] = np.random.default_rng(6).bytes(30_000)
    path.write_bytes(data)
    losses = Losses()
    with open_video(str(path), LIMITS) as video:
        times = [frame.time for frame in sample(video, Strategy.UNIFORM, every=0, losses=losses)]
    assert times[0] == 0.0
    assert times[-1] > 4.5
    assert 40 < len(times) < 150


def test_frames_at_chosen_times(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", (counting(n) for n in range(90)), options=SECOND_KEYS)
    with open_video(str(path), LIMITS) as video:
        frames = list(frames_at(video, [0.0, 0.5, 17 / 30, 2.9, 9.0]))
    assert [number_of(frame.pixels) for frame in frames] == [0, 15, 17, 87 - 80, 89 - 80]


def test_decoded_frames_are_let_go_at_once(tmp_path: Path) -> None:
    """One 4K frame takes 12 MB: those that wait for the garbage collection soon fill the memory."""
    path = write_clip(tmp_path / "a.mp4", (counting(n) for n in range(60)))
    gc.collect()
    gc.disable()
    try:
        with open_video(str(path), LIMITS) as video:
            assert len(list(sample(video, every=0))) == 60
        alive = sum(issubclass(type(thing), av.VideoFrame) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 2
