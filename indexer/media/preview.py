"""A video at a glance: a few of its frames as one small animated picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FRAMES: Final = 8
"""At most."""
WIDTH: Final = 320
"""Pixels."""

_SHOWN: Final = 500
"""Milliseconds of each frame."""
_QUALITY: Final = 70


def animated_preview(frames: Sequence[NDArray[np.uint8]]) -> bytes:
    """An animated WebP, 320 pixels wide, of frames (H, W, 3) in their order; eight of them, evenly chosen, if more.

    Raises ValueError if there is no frame.
    """
    if not frames:
        raise ValueError("a preview wants at least one frame")
    chosen = np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)
    first, *others = [_scaled(frames[number]) for number in chosen]
    # One size for all, or WebP would not take them: a stream may change its size midway.
    others = [image if image.size == first.size else image.resize(first.size) for image in others]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=_SHOWN, loop=0, quality=_QUALITY, method=2)
    return buffer.getvalue()


def _scaled(pixels: NDArray[np.uint8]) -> Image.Image:
    height = max(1, round(pixels.shape[0] * WIDTH / pixels.shape[1]))
    return Image.fromarray(pixels).resize((WIDTH, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
