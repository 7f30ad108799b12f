"""Colours by name, from pixels: which of eleven basic colour terms each pixel is, and what share has it.

The terms are those of Berlin and Kay, "Basic Color Terms" (1969). The borders are drawn in CIELAB's lightness, chroma
and hue angle, where equal steps look about equal; between some terms lies a zone that is none (skin, beige, teal).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.vocabulary import COLOURS

GREY_CHROMA = 9.0
"""Below this nobody names a hue; the white balance of a camera is seldom better."""

# Term, hue span in degrees, lightness span, least chroma. The first that fits names the pixel.
_CHROMATIC: tuple[tuple[str, tuple[float, float], tuple[float, float], float], ...] = (
    ("pink", (330.0, 390.0), (62.0, 101.0), 20.0),
    ("red", (340.0, 408.0), (15.0, 62.0), 36.0),
    ("orange", (40.0, 80.0), (50.0, 101.0), 48.0),
    ("brown", (20.0, 90.0), (15.0, 50.0), 14.0),
    ("yellow", (80.0, 108.0), (62.0, 101.0), 42.0),
    ("green", (104.0, 192.0), (12.0, 101.0), 14.0),
    ("blue", (200.0, 308.0), (12.0, 101.0), 14.0),
    ("purple", (308.0, 340.0), (12.0, 101.0), 20.0),
)
_BLACK_LIGHTNESS = 18.0
_WHITE_LIGHTNESS = 85.0


def to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """sRGB (H, W, 3) to CIELAB (H, W, 3): L from 0 to 100, a and b around 0."""
    return np.asarray(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), np.float32)


def chroma_of(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each pixel (H, W) is from grey."""
    return np.hypot(lab[..., 1], lab[..., 2])


def colour_shares(lab: NDArray[np.float32]) -> dict[str, float]:
    """The share of the pixels (0 to 1) that has each basic colour; they add up to 1 less what has no clear name."""
    lightness, chroma = lab[..., 0], chroma_of(lab)
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    masks = {
        "black": (lightness < _BLACK_LIGHTNESS) & (chroma < 2 * GREY_CHROMA),
        "white": (lightness > _WHITE_LIGHTNESS) & (chroma < GREY_CHROMA),
    }
    unnamed = ~(masks["black"] | masks["white"])
    masks["grey"] = unnamed & (chroma < GREY_CHROMA)
    unnamed &= ~masks["grey"]
    for name, (first, last), (darkest, lightest), least in _CHROMATIC:
        # A span that passes 360 degrees is tested a second time, one turn on.
        within = ((hue >= first) & (hue < last)) | ((hue + 360 >= first) & (hue + 360 < last))
        masks[name] = unnamed & within & (lightness >= darkest) & (lightness < lightest) & (chroma >= least)
        unnamed &= ~masks[name]
    return {name: float(masks[name].mean()) for name in COLOURS}
