"""A stage for Reverie: is the sky of this photo golden, as at sunset, or deep blue, as soon after?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.records import Tag
from indexer.stage import Findings, View

SKY = 1 / 3
"""The share of the picture, from the top, that is taken for sky."""
COLUMNS = 32
LEAST_SHARE = 0.5
"""So much of the sky must have the colour."""
SMOOTH = 0.04
"""Neighbours in a sky differ by less than this; those in a brown wall or a blue crowd by more."""


class Sunsets:
    """What the entry point in pyproject.toml names."""

    name = "sunsets"
    revision = 1
    short_side = 64
    report = None

    def prepare(self, view: View) -> NDArray[np.float32]:
        """The sky of one photo, 0 to 1, about 32 columns wide. Called from several threads at once."""
        height, width = view.pixels.shape[:2]
        sky = view.pixels[: max(1, round(height * SKY))]
        step = max(1, width // COLUMNS)
        rows, columns = sky.shape[0] // step, width // step
        if not rows:
            return np.zeros((0, 0, 3), np.float32)
        cells = sky[: rows * step, : columns * step].reshape(rows, step, columns, step, 3)
        return (cells.mean(axis=(1, 3)) / 255).astype(np.float32)

    def analyse(self, batch: Sequence[NDArray[np.float32]]) -> list[Findings]:
        """What was prepared to findings, one for each. Called from one thread."""
        return [Findings(tags=tags_of(sky)) for sky in batch]


def tags_of(sky: NDArray[np.float32]) -> tuple[Tag, ...]:
    """The tags of a sky (rows, columns, 3)."""
    if sky.shape[0] < 1 or sky.shape[1] < 2 or float(np.abs(np.diff(sky, axis=1)).mean()) > SMOOTH:
        return ()
    red, green, blue = np.moveaxis(sky, -1, 0)
    shares = {
        "golden hour": float(((red > 0.5) & (red > green) & (red > blue + 0.25)).mean()),
        "blue hour": float(((blue > red + 0.12) & (blue > green) & (blue > 0.15) & (green < 0.5)).mean()),
    }
    return tuple(Tag(name, share, "sunsets") for name, share in shares.items() if share >= LEAST_SHARE)
