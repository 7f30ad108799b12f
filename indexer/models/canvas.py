"""A picture on the fixed square that a network wants, exactly as the image processor of its makers would put it there.

Pillow does the resizing, as in the processors: another library's filters differ by a grey level or two, which is enough
to move a class score. Settings are read from `preprocessor_config.json`, so that neither torch nor transformers is
needed where a graph serves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from config.errors import ModelError

SETTINGS = "preprocessor_config.json"
CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Canvas:
    """How pixels become a tensor. `preprocessor_config.json` has the fields under their transformers' names."""

    side: int
    """Pixels of the square."""
    resample: int
    """Pillow's number of the filter."""
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def squash(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to (3, S, S): the whole picture, its sides stretched to be equal."""
        return self._tensor(self._resized(pixels, self.side, self.side))

    def letterbox(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """(H, W, 3) sRGB to (3, S, S) in its own proportions at the top left, and the height and width it fills.

        The rest is zero after normalising, which is the mean colour.
        """
        height, width = pixels.shape[:2]
        share = min(self.side / height, self.side / width)
        filled = max(1, int(height * share)), max(1, int(width * share))
        tensor = np.zeros((3, self.side, self.side), np.float32)
        tensor[:, : filled[0], : filled[1]] = self._tensor(self._resized(pixels, *filled))
        return tensor, filled

    def centre(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to (3, S, S): shrunk until the short side fits, and the middle of the long one."""
        height, width = pixels.shape[:2]
        short = min(height, width)
        fitted = int(self.side * height / short), int(self.side * width / short)
        resized = self._resized(pixels, *fitted)
        top, left = (fitted[0] - self.side) // 2, (fitted[1] - self.side) // 2
        return self._tensor(resized[top : top + self.side, left : left + self.side])

    def _resized(self, pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
        image = Image.fromarray(pixels).resize((width, height), Image.Resampling(self.resample))
        return np.asarray(image)

    def _tensor(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = pixels.astype(np.float32) * np.float32(self.scale)
        normal = (scaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))


def canvas_of(folder: Path, *, side: int | None = None) -> Canvas:
    """The canvas that a model's processor asks for; `side` overrules its size. Raises ModelError for a damaged file."""
    settings = read_settings(folder, SETTINGS)
    try:
        normalised = bool(settings.get("do_normalize", "image_mean" in settings))
        red, green, blue = settings["image_mean"] if normalised else (0.0, 0.0, 0.0)
        mean = (float(red), float(green), float(blue))
        red, green, blue = settings["image_std"] if normalised else (1.0, 1.0, 1.0)
        return Canvas(
            side=side or _side(settings),
            resample=int(settings.get("resample", Image.Resampling.BILINEAR)),
            scale=float(settings.get("rescale_factor", 1 / 255)) if settings.get("do_rescale", True) else 1.0,
            mean=mean,
            std=(float(red), float(green), float(blue)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder / SETTINGS} does not say how pictures are prepared: {error!r}.",
            "Choose another model, or another revision of this one.",
        ) from error


def read_settings(folder: Path, name: str) -> Mapping[str, Any]:
    """A JSON object of a model's folder. Raises ModelError if it cannot be read."""
    try:
        settings = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / name} cannot be read: {error}.", f"Pull the model {folder.name} again.") from error
    if not isinstance(settings, dict):
        raise ModelError(f"{folder / name} is not a JSON object.", f"Pull the model {folder.name} again.")
    return settings


def class_names(folder: Path) -> dict[int, str]:
    """Class number to its name in lower case, from `config.json`. Classes that the data set never used are left out."""
    names = read_settings(folder, CONFIG).get("id2label") or {}
    return {int(number): str(name).lower() for number, name in names.items() if str(name).lower() not in _UNUSED}


_UNUSED = frozenset({"n/a", ""})
"""COCO numbers its 80 classes up to 90; DETR's list fills the gaps with "N/A"."""


def _side(settings: Mapping[str, Any]) -> int:
    """The square's side: of a given square, or else the short side that the model was trained for."""
    size = settings["size"]
    if isinstance(size, Mapping):
        size = size["shortest_edge"] if "shortest_edge" in size else max(size["height"], size["width"])
    return int(size)
