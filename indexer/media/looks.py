"""What a frame looks like, in a few numbers: enough to compare frames of a long video without keeping their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.media.frames import Frame
from indexer.models.pixels import SHARPNESS_SIDE, difference_hash, sharpness_of

SIDE = 64
"""Pixels of the squeezed copy from which colours are counted."""
_GRID = 16
_BINS = (12, 4, 6)
"""Of hue, saturation and value."""
_BLACK = 0.07
"""Mean brightness of a frame that shows nothing."""
_FLAT = 0.03
"""Standard deviation of brightness of a frame that shows one tone."""
_BLURRED, _EMPTY = 0.15, 1.6
"""Of sharpness and of detail: below either, nobody would call a frame sharp. Six sharp photos had 3.6 to 13.5 of
detail, the same ones well blurred 0.4 to 1.2."""
_NEAR_DUPLICATE_BITS, _NEAR_DUPLICATE_CHANGE = 6, 0.06

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame in numbers, about 4 KB."""

    time: float
    """Seconds from the beginning of the file."""
    grid: Grid
    """(16, 16, 3) sRGB, 0 to 1: the frame squeezed into a square."""
    colours: Grid
    """(288,) shares of hue, saturation and value, softened; their sum is 1."""
    brightness: float
    """0 to 1, mean."""
    contrast: float
    """Standard deviation of brightness."""
    sharpness: float
    """0 (blurred) to 1 (sharp); 0 where it was not asked for."""
    detail: float
    """Mean absolute Laplacian, in levels of 255; 0 where sharpness was not asked for. Where next to nothing is left to
    blur, sharpness is measured on rounded levels and says nothing: there this does."""
    hash: int
    """64-bit difference hash."""

    @property
    def is_black(self) -> bool:
        """Whether it shows nothing: a fade, a covered lens."""
        return self.brightness < _BLACK and self.contrast < _BLACK

    @property
    def is_flat(self) -> bool:
        """Whether it shows a single tone: black, white, a flash, a title's background."""
        return self.contrast < _FLAT

    @property
    def is_blurred(self) -> bool:
        """Whether nobody would call it sharp."""
        return self.sharpness < _BLURRED or self.detail < _EMPTY


def look_at(frame: Frame, *, judge_sharpness: bool = True) -> Look:
    """Take a frame's numbers. Sharpness costs most of the time, and wants a short side of 360 pixels."""
    small = np.asarray(cv2.resize(frame.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    grid = cv2.resize(small, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    sharpness = detail = 0.0
    if judge_sharpness:
        full = _at_sharpness_side(np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY), np.uint8))
        sharpness, detail = sharpness_of(full), float(np.abs(cv2.Laplacian(full, cv2.CV_16S)).mean())
    return Look(
        time=frame.time,
        grid=np.asarray(grid, np.float32),
        colours=_colours(small),
        brightness=float(grey.mean()) / 255,
        contrast=float(grey.std()) / 255,
        sharpness=sharpness,
        detail=detail,
        hash=difference_hash(grey),
    )


def change(first: Look, second: Look) -> float:
    """How much two frames differ, 0 to 1: half by what colours there are, half by where."""
    colours = float(np.sqrt(max(0.0, 1 - float(np.sqrt(first.colours * second.colours).sum()))))
    return 0.5 * colours + 0.5 * min(1.0, 3 * float(np.abs(first.grid - second.grid).mean()))


def is_duplicate(first: Look, second: Look) -> bool:
    """Whether two frames show the same, to the eye."""
    bits = ((first.hash ^ second.hash) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()
    apart = float(np.abs(first.grid - second.grid).mean())
    return bits <= _NEAR_DUPLICATE_BITS and apart < _NEAR_DUPLICATE_CHANGE


def alikeness(first: Look, second: Look) -> float:
    """Correlation of two frames' brightness, -1 to 1: what stays when only the light changes. 0 if either is flat."""
    one, other = first.grid.mean(axis=2), second.grid.mean(axis=2)
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / norm if norm > 1e-3 else 0.0


def _colours(small: NDArray[np.uint8]) -> Grid:
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    counts = np.asarray(cv2.calcHist([hsv], [0, 1, 2], None, list(_BINS), [0, 180, 0, 256, 0, 256]), np.float32)
    # The hue of what is grey or dark is noise: there only the brightness counts.
    counts[:, 0, :] = counts[:, 0, :].mean(axis=0)
    counts[:, :, 0] = counts[:, :, 0].mean()
    softened = _softened(_softened(_softened(counts, 0), 1), 2)
    return np.asarray(softened.reshape(-1) / softened.sum(), np.float32)


def _softened(counts: Grid, axis: int) -> Grid:
    """Half stays, a quarter goes to each neighbour, so a tone at the edge of a bin is near both; hue is a circle."""
    edge: Literal["wrap", "edge"] = "wrap" if axis == 0 else "edge"
    padded = np.pad(counts, [(1, 1) if axis == other else (0, 0) for other in range(3)], mode=edge)
    size = counts.shape[axis]
    before, after = padded.take(range(size), axis), padded.take(range(2, size + 2), axis)
    return np.asarray(counts * 0.5 + (before + after) * 0.25, np.float32)


def _at_sharpness_side(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = SHARPNESS_SIDE / min(grey.shape[:2])
    if scale >= 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
