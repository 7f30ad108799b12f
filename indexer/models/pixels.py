"""What pixels tell without a network: technical quality, a perceptual hash, and tags for colour, light and form.

Everything is measured on small copies of one size, so that figures of large and small files can be compared, and costs
a few milliseconds.
"""

from __future__ import annotations

from typing import Any

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

_LEAST_SHARE = {"black": 0.25, "white": 0.25, "grey": 0.4, "brown": 0.35}
_LEAST_COLOUR_SHARE = 0.05
"""A hue counts from a small thing on; neutrals are in nearly every photo (shadows, sky, wood, stone) and count only
where there is much of them."""
_COLOURLESS_CHROMA = 4.0
"""Half of what the eye calls a tint."""

_DARK_MEDIAN = 0.22
"""Half of the picture is darker: deep shadow."""
_NIGHT_MEAN = 0.28
_LAMP_LUMA, _LAMPS_SHARE, _STAGE_SHARE = 0.6, 0.002, 0.12
"""Lamps and windows at night are bright but small; a lit subject before a black curtain is large."""

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
    grey = _grey(pixels)
    small = _shrink(pixels, COLOUR_SIDE / max(pixels.shape[:2]))
    small_grey = _grey(small)
    luma = small_grey.astype(np.float32) / np.float32(255)
    sharpness = sharpness_of(_shrink(grey, SHARPNESS_SIDE / min(grey.shape)))
    stats = _statistics(sharpness, luma, difference_hash(small_grey))
    tags = [*_colour_tags(small), *_light_tags(luma)]
    if not has_camera and format == "PNG" and _fills_a_screen(width, height) and _is_even(grey):
        tags.append(Tag(SCREENSHOT, 0.9, FORM_SOURCE))
    elif width >= _PANORAMA_ASPECT * height:
        tags.append(Tag(PANORAMA, 0.9, FORM_SOURCE))
    return stats, tuple(tags)


def _statistics(sharpness: float, luma: Luma, perceptual_hash: int) -> PixelStats:
    # Mertens et al., "Exposure Fusion" (2007): how near each pixel is to the middle. An even spread of all greys
    # averages 0.49, which is as good as a photo gets, hence the doubling.
    exposure = _between(2 * float(np.exp(-((luma - 0.5) ** 2) / (2 * _WELL_EXPOSED_WIDTH**2)).mean()))
    contrast = _between(float(luma.std()) / _FULL_CONTRAST)
    return PixelStats(
        sharpness=round(sharpness, 4),
        exposure=round(exposure, 4),
        contrast=round(contrast, 4),
        # A geometric mean: what fails in one respect is not saved by the others. Blur cannot be repaired, so it counts
        # as much as the other two together.
        quality=round(sharpness**0.5 * exposure**0.25 * contrast**0.25, 4),
        brightness=round(float(luma.mean()), 4),
        perceptual_hash=perceptual_hash,
    )


def difference_hash(grey: Image) -> int:
    """The 64-bit dHash (Krawetz, 2013) of a grey image (H, W), signed for SQLite.

    Each bit says whether one of 8 x 8 cells is darker than its right neighbour.
    """
    cells = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(cells[:, :-1] < cells[:, 1:])
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def sharpness_of(grey: Image) -> float:
    """0 (blurred) to 1 (sharp), of a grey image (H, W) with a short side of SHARPNESS_SIDE: the blur of Crete et al."""
    return _between((_SOFT_BLUR - _blur(grey)) / (_SOFT_BLUR - _SHARP_BLUR))


def _blur(grey: Image) -> float:
    """Blur of a grey image (H, W), 0 (sharp) to 1: how much of the detail another blur leaves.

    Source: Crete et al., "The blur effect: perception and estimation with a new no-reference perceptual blur metric"
    (2007). Unlike the variance of the Laplacian it hardly depends on contrast or subject.
    """
    if min(grey.shape) < 2:
        return 1.0  # a single line of pixels has no detail to lose
    along, down = cv2.blur(grey, (_BLUR_TAPS, 1)), cv2.blur(grey, (1, _BLUR_TAPS))
    return max(
        _kept(cv2.absdiff(grey[:, 1:], grey[:, :-1]), cv2.absdiff(along[:, 1:], along[:, :-1])),
        _kept(cv2.absdiff(grey[1:], grey[:-1]), cv2.absdiff(down[1:], down[:-1])),
    )


def _kept(detail: Any, left: Any) -> float:
    """The share of the detail that is left after blurring. In eight bits, what is below zero is zero: so the source."""
    total = cv2.sumElems(detail)[0]
    return 1 - cv2.sumElems(cv2.subtract(detail, left))[0] / total if total else 1.0


def _colour_tags(small: Image) -> list[Tag]:
    lab = to_lab(small)
    tags = [
        Tag(name, round(share, 4), COLOUR_SOURCE)
        for name, share in colour_shares(lab).items()
        if share >= _LEAST_SHARE.get(name, _LEAST_COLOUR_SHARE)
    ]
    # Not the brightest value but nearly: compression leaves a few coloured specks in a black-and-white JPEG.
    if float(np.quantile(chroma_of(lab), 0.99)) < _COLOURLESS_CHROMA:
        tags.append(Tag(BLACK_AND_WHITE, 0.9, COLOUR_SOURCE))
    return tags


def _light_tags(luma: Luma) -> list[Tag]:
    median, lit = float(np.median(luma)), float((luma > _LAMP_LUMA).mean())
    if median >= _DARK_MEDIAN:
        return []
    tags = [Tag(DARK, round(1 - median / (2 * _DARK_MEDIAN), 4), LIGHT_SOURCE)]
    if float(luma.mean()) < _NIGHT_MEAN and lit < _STAGE_SHARE:
        tags.append(Tag(NIGHT, 0.8 if lit > _LAMPS_SHARE else 0.5, LIGHT_SOURCE))
    return tags


def _fills_a_screen(width: int, height: int) -> bool:
    return (min(width, height), max(width, height)) in _SCREENS


def _is_even(grey: Image) -> bool:
    """Whether half of the picture is areas of exactly one tone, as in interfaces and never in photos."""
    corner = grey[:-1, :-1]
    return float(((corner == grey[1:, :-1]) & (corner == grey[:-1, 1:])).mean()) >= _FLAT_SHARE


def _grey(pixels: Image) -> Image:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _shrink(pixels: Image, scale: float) -> Image:
    if scale >= 1:
        return pixels
    size = tuple(max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _between(value: float) -> float:
    return min(max(value, 0.0), 1.0)
