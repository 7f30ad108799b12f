"""What pixels tell without a network: technical quality, a perceptual hash, and tags for colour, light and form.

Everything is measured on small copies of one size, so that figures of large and small files can be compared, and costs
a few milliseconds.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.models.colours import chroma_of, colour_shares, to_lab
from indexer.records import PixelStats, Tag
from indexer.vocabulary import (
    BLACK_AND_WHITE,
    COLOUR_SOURCE,
    DARK,
    FORM_SOURCE,
    LIGHT_SOURCE,
    NIGHT,
    PANORAMA,
    SCREENSHOT,
)

Image = NDArray[np.uint8]
Luma = NDArray[np.float32]

SHARPNESS_SIDE = 360
"""Short side, in pixels, on which blur is judged: what a decoded photo keeps at least."""
COLOUR_SIDE = 96
"""Long side for colours: grain and texture are averaged away, a thing of a few percent of the area stays."""

_BLUR_TAPS = 9
_SHARP_BLUR, _SOFT_BLUR = 0.3, 0.75
"""Crete's measure of photos in focus, and of photos that nobody would call sharp (found by blurring real ones)."""
_WELL_EXPOSED_WIDTH = 0.2
_FULL_CONTRAST = 0.25
"""Standard deviation of luma; equal amounts of every grey have 0.29."""

_COLOUR_SHARE = 0.08
_NEUTRAL_SHARE = 0.2
"""Black, white, grey and brown are in nearly every photo (shadows, sky, wood): they count only where there is much."""
_NEUTRALS = frozenset({"black", "white", "grey", "brown"})

_PANORAMA_ASPECT = 2.0
_FLAT_SHARE = 0.5
_SCREENS = frozenset(
    {
        *((640, 1136), (720, 1280), (720, 1600), (750, 1334), (768, 1366), (800, 1280), (828, 1792), (864, 1536)),
        *((900, 1440), (900, 1600), (1050, 1680), (1080, 1920), (1080, 2160), (1080, 2220), (1080, 2280), (1080, 2340)),
        *((1080, 2400), (1125, 2436), (1170, 2532), (1179, 2556), (1200, 1920), (1242, 2208), (1242, 2688)),
        *((1284, 2778), (1290, 2796), (1440, 2560), (1440, 2960), (1440, 3040), (1440, 3200), (1536, 2048)),
        *((1600, 2560), (1620, 2160), (1640, 2360), (1668, 2388), (1800, 2880), (1964, 3024), (2048, 2732)),
        *((2160, 3840), (2234, 3456)),
    }
)
"""Short and long side of common telephones, tablets and monitors, in pixels."""


def measure(
    pixels: Image,
    *,
    width: int,
    height: int,
    format: str,  # noqa: A002 - the records' own word for it
    has_camera: bool,
) -> tuple[PixelStats, tuple[Tag, ...]]:
    """Measure a decoded photo: (H, W, 3) sRGB, upright, of a file of `width` x `height` pixels.

    `format` is the decoder's name of the content; `has_camera` says that the file names a camera, so it is no
    screenshot.
    """
    luma = _luma(pixels)
    small = _shrink(pixels, COLOUR_SIDE / max(pixels.shape[:2]))
    stats = _statistics(luma, _luma(small))
    tags = [*_colour_tags(small), *_light_tags(_luma(small))]
    if _is_screenshot(luma, width, height, format, has_camera=has_camera):
        tags.append(Tag(SCREENSHOT, 0.9, FORM_SOURCE))
    elif width >= _PANORAMA_ASPECT * height:
        tags.append(Tag(PANORAMA, 0.9, FORM_SOURCE))
    return stats, tuple(tags)


def _statistics(luma: Luma, small: Luma) -> PixelStats:
    sharpness = _between((_SOFT_BLUR - _blur(luma)) / (_SOFT_BLUR - _SHARP_BLUR))
    # Mertens et al., "Exposure Fusion" (2007): how near each pixel is to the middle. An even spread of all greys
    # averages 0.49, which is as good as a photo gets, hence the doubling.
    exposure = _between(2 * float(np.exp(-((small - 0.5) ** 2) / (2 * _WELL_EXPOSED_WIDTH**2)).mean()))
    contrast = _between(float(small.std()) / _FULL_CONTRAST)
    return PixelStats(
        sharpness=round(sharpness, 4),
        exposure=round(exposure, 4),
        contrast=round(contrast, 4),
        # A geometric mean: what fails in one respect is not saved by the others. Blur cannot be repaired, so it counts
        # as much as the other two together.
        quality=round(sharpness**0.5 * exposure**0.25 * contrast**0.25, 4),
        brightness=round(float(small.mean()), 4),
        perceptual_hash=difference_hash(luma),
    )


def difference_hash(luma: Luma) -> int:
    """The 64-bit dHash (Krawetz, 2013): is each of 8 x 8 cells darker than its right neighbour? Signed, for SQLite."""
    cells = cv2.resize(luma, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(cells[:, :-1] < cells[:, 1:])
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def _blur(luma: Luma) -> float:
    """0 (sharp) to 1: how little of the detail another blur takes away.

    Source: Crete et al., "The blur effect: perception and estimation with a new no-reference perceptual blur metric"
    (2007). Unlike the variance of the Laplacian it hardly depends on contrast or subject.
    """
    scale = SHARPNESS_SIDE / min(luma.shape)
    if scale < 1:
        luma = np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)
    shares = []
    for axis, kernel in ((0, (1, _BLUR_TAPS)), (1, (_BLUR_TAPS, 1))):
        blurred = np.asarray(cv2.blur(luma, kernel), np.float32)
        detail = np.abs(np.diff(luma, axis=axis))
        lost = np.maximum(detail - np.abs(np.diff(blurred, axis=axis)), 0)
        total = float(detail.sum())
        shares.append(1 - float(lost.sum()) / total if total else 1.0)
    return max(shares)


def _colour_tags(small: Image) -> list[Tag]:
    lab = to_lab(small)
    tags = [
        Tag(name, round(share, 4), COLOUR_SOURCE)
        for name, share in colour_shares(lab).items()
        if share >= (_NEUTRAL_SHARE if name in _NEUTRALS else _COLOUR_SHARE)
    ]
    # Not the brightest value but nearly: compression leaves a few coloured specks in a black-and-white JPEG.
    if float(np.quantile(chroma_of(lab), 0.99)) < 4:
        tags.append(Tag(BLACK_AND_WHITE, 0.9, COLOUR_SOURCE))
    return tags


def _light_tags(luma: Luma) -> list[Tag]:
    median, lit = float(np.median(luma)), float((luma > 0.6).mean())
    if median >= 0.22:
        return []
    tags = [Tag(DARK, round(1 - median / 0.44, 4), LIGHT_SOURCE)]
    if float(luma.mean()) < 0.28 and lit < 0.12:
        tags.append(Tag(NIGHT, 0.8 if lit > 0.002 else 0.5, LIGHT_SOURCE))
    return tags


def _is_screenshot(luma: Luma, width: int, height: int, kind: str, *, has_camera: bool) -> bool:
    """Conservative: lossless, no camera, exactly a screen's size, and half of it even areas."""
    if has_camera or kind != "PNG" or (min(width, height), max(width, height)) not in _SCREENS:
        return False
    even = (np.abs(np.diff(luma[:, :-1], axis=0)) < 1 / 512) & (np.abs(np.diff(luma[:-1], axis=1)) < 1 / 512)
    return float(even.mean()) >= _FLAT_SHARE


def _luma(pixels: Image) -> Luma:
    """(H, W, 3) sRGB to luma (H, W) from 0 to 1 (ITU-R BT.601)."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)


def _shrink(pixels: Image, scale: float) -> Image:
    if scale >= 1:
        return pixels
    size = tuple(max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _between(value: float) -> float:
    return min(max(value, 0.0), 1.0)
