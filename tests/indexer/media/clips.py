"""Clips that the tests make for themselves, with every property known."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
CORNERS = ((220, 30, 40), (40, 200, 60), (30, 60, 210), (230, 220, 50))
"""Colours of `four_corners`: top left, top right, bottom left, bottom right."""


def four_corners(width: int = 160, height: int = 96) -> Picture:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = CORNERS[:2]
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = CORNERS[2:]
    return picture


def corners_of(pixels: Picture) -> list[tuple[int, ...]]:
    height, width = pixels.shape[:2]
    places = [(y, x) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [tuple(int(value) for value in pixels[place]) for place in places]


def counting(number: int, width: int = 160, height: int = 96) -> Picture:
    """A grey picture whose tone says which frame it is, modulo 40."""
    return np.full((height, width, 3), 20 + 5 * (number % 40), np.uint8)


def number_of(pixels: Picture) -> int:
    """What `counting` wrote."""
    return round((float(pixels.mean()) - 20) / 5)


def write_clip(
    path: Path,
    pictures: Iterable[Picture],
    *,
    fps: int = 30,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Sequence[float] | None = None,
    sound: NDArray[np.float32] | None = None,
    rate: int = 48_000,
    audio_codec: str = "aac",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container: str | None = None,
    metadata: dict[str, str] | None = None,
    adjust: Callable[[Any], None] | None = None,
    convert: Callable[[Picture], av.VideoFrame] | None = None,
) -> Path:
    """A video file; `times` in seconds where frames are not `fps` apart, `sound` (N,) mono at `rate`."""
    convert = convert or (lambda picture: av.VideoFrame.from_ndarray(picture, "rgb24"))
    speed = {"preset": "ultrafast"} if codec in {"libx264", "libx265"} else {}
    if codec == "libx265":
        speed["x265-params"] = "log-level=none"
    with av.open(str(path), "w", format=container, options=container_options or {}) as output:
        output.metadata.update(metadata or {})
        video: Any = None
        audio: Any = output.add_stream(audio_codec, rate=rate, layout="mono") if sound is not None else None
        for number, picture in enumerate(pictures):
            if video is None:
                video = output.add_stream(codec, rate=fps, options=speed | (options or {}))
                video.height, video.width = picture.shape[:2]
                video.pix_fmt = pixel_format
                video.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, fps)
                if adjust:
                    adjust(video)
            frame = convert(picture)
            frame.pts = round(times[number] * 1000) if times else number
            frame.time_base = video.codec_context.time_base
            output.mux(video.encode(frame))
        if video is not None:
            output.mux(video.encode())
        if audio is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                piece = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], "flt", "mono")
                piece.sample_rate, piece.pts, piece.time_base = rate, start, Fraction(1, rate)
                output.mux(audio.encode(piece))
            output.mux(audio.encode())
    return path


def with_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Give an MP4's first track a display matrix (ISO/IEC 14496-12, 8.3.2): nine numbers, in whole units."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52
    units = (1 << 16, 1 << 16, 1 << 30) * 3
    data[at : at + 36] = struct.pack(">9i", *(value * unit for value, unit in zip(matrix, units, strict=True)))
    path.write_bytes(data)
    return path
