"""The small JPEG that people see in result lists."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

THUMBNAIL_SIDE = 384
"""Pixels of the long side, at most."""

_QUALITY = 80


def encode_thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of (H, W, 3) sRGB pixels with a long side of `THUMBNAIL_SIDE` pixels, or less if they are fewer."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
