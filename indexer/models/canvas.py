"""A picture on the fixed square that a network wants, exactly as the image processor of its makers would put it there.

Settings and resizing are those of `indexer.models.preprocess`. What differs is the size: a network on a canvas takes
any, so that its processor's own size is only where to begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.models.preprocess import Triple, covered, normalisation, pixels_of, read_known, resampling, squashed

_OF_SIZE = frozenset({"do_center_crop", "crop_size", "do_pad", "pad_size", "max_size"})
"""Settings of the size and shape that a processor gives a picture, which are the canvas's own affair. For all others
the rule is that of dual encoders, an unknown one is an error: it might say that red and blue are exchanged, and an area
or a box would be wrong without looking wrong."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """How pixels become a tensor."""

    side: int
    """Pixels of the square."""
    resample: Image.Resampling
    scale: float
    mean: Triple
    std: Triple

    def squash(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to (3, S, S): the whole picture, its sides stretched to be equal."""
        return self._tensor(squashed(pixels, self.side, self.side, self.resample))

    def letterbox(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """(H, W, 3) sRGB to (3, S, S) in its own proportions at the top left, and the height and width it fills.

        The rest is zero after normalising, which is the mean colour.
        """
        height, width = pixels.shape[:2]
        share = min(self.side / height, self.side / width)
        filled = max(1, int(height * share)), max(1, int(width * share))
        tensor = np.zeros((3, self.side, self.side), np.float32)
        tensor[:, : filled[0], : filled[1]] = self._tensor(squashed(pixels, *filled, self.resample))
        return tensor, filled

    def centre(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to (3, S, S): shrunk until the short side fits, and the middle of the long one."""
        return self._tensor(covered(pixels, self.side, self.side, self.side, self.resample))

    def _tensor(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = pixels.astype(np.float32) * np.float32(self.scale)
        normal = (scaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))


def canvas_of(folder: Path, *, side: int | None = None) -> Canvas:
    """The canvas that a model's processor asks for; `side` overrules its size. Raises ModelError as `read_known`."""
    config = read_known(folder, also=_OF_SIZE)
    scale, mean, std = normalisation(config)
    # Unlike those of dual encoders, the processors of these networks agree on the filter where none is named.
    return Canvas(side or _side(config), resampling(config, Image.Resampling.BILINEAR), scale, mean, std)


def _side(config: Mapping[str, Any]) -> int:
    """The square's side: of a given square, or else the short side that the model was trained for."""
    size = config.get("size")
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return pixels_of(size["shortest_edge"], "size")
        return max(pixels_of(size.get(edge), "size") for edge in ("height", "width"))
    return pixels_of(size, "size")
