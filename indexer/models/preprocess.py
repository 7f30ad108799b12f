"""How a network wants its pictures, read from the `preprocessor_config.json` beside its weights, and done with Pillow.

The arithmetic is that of transformers' own image processors for Pillow: the same resampling of 8-bit values, the same
rounding of sizes. A setting that is not known here is an error: a picture that is prepared in any other way than the
network was trained with gives results that are wrong without looking wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from config.errors import ModelError

CONFIG = "preprocessor_config.json"

_SWITCHES = {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_center_crop": False, "do_pad": False}
"""With what their absence means. The processors read here agree on these, but for CLIP's centre crop (`_switches`)."""
_VALUES = frozenset({"size", "crop_size", "resample", "rescale_factor", "image_mean", "image_std"})
_INERT: Mapping[str, frozenset[Any] | None] = {
    "image_processor_type": None,
    "feature_extractor_type": None,
    "processor_class": None,
    "do_convert_rgb": None,
    "default_to_square": None,
    "data_format": frozenset({"channels_first"}),
    "format": None,
    "do_convert_annotations": None,
    "do_reduce_labels": frozenset({False}),
    "reduce_labels": frozenset({False}),
}
"""Keys that change nothing about an RGB picture, with the values for which that is so (None: any)."""
_CROPS_BY_DEFAULT = frozenset({"CLIPImageProcessor", "CLIPFeatureExtractor", "CLIPImageProcessorFast"})

_LONGEST = 8
"""How many times its short side a picture may be long to be resized as a whole, as transformers does it."""


class Fit(StrEnum):
    """How a picture of any shape gets the network's."""

    SQUASH = "squash"
    """Resized to the shape, whatever that does to its proportions."""
    COVER = "cover"
    """The short side is resized to that of `edge`, then the middle is cut out."""


@dataclass(frozen=True, slots=True)
class ImageTransform:
    """A picture (H, W, 3) uint8 to a network's input (3, height, width) float32."""

    fit: Fit
    height: int
    width: int
    """Of the result."""
    edge: int
    """For COVER: the short side before the cut. For SQUASH: the smaller of `height` and `width`."""
    resample: Image.Resampling
    scale: tuple[float, float, float]
    """Per channel: the result is `pixel * scale + offset`."""
    offset: tuple[float, float, float]

    @property
    def short_side(self) -> int:
        """Pixels that the short side of a picture needs for nothing to be magnified."""
        return max(self.edge, self.height, self.width)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to (3, height, width). Thread-safe."""
        small = self._covered(pixels) if self.fit is Fit.COVER else self._squashed(pixels)
        values = small.transpose(2, 0, 1) * np.array(self.scale, np.float32)[:, None, None]
        values += np.array(self.offset, np.float32)[:, None, None]
        return np.ascontiguousarray(values)

    def _squashed(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(Image.fromarray(pixels).resize((self.width, self.height), self.resample))

    def _covered(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = pixels.shape[:2]
        short, long = min(height, width), max(height, width)
        resized_long = int(self.edge * long / short)
        resized = (self.edge, resized_long) if height <= width else (resized_long, self.edge)
        top, left = (resized[0] - self.height) // 2, (resized[1] - self.width) // 2
        image = Image.fromarray(pixels)
        if max(resized) <= _LONGEST * self.edge:
            whole = np.asarray(image.resize(resized[::-1], self.resample))
            return whole[top : top + self.height, left : left + self.width]
        # A strip of 1 x 5,000 pixels would become one of a million columns: only what stays is computed, which can
        # differ in the last bit.
        down, across = height / resized[0], width / resized[1]
        box = (left * across, top * down, (left + self.width) * across, (top + self.height) * down)
        box = (box[0], box[1], min(box[2], width), min(box[3], height))
        return np.asarray(image.resize((self.width, self.height), self.resample, box=box))


def read_transform(folder: Path) -> ImageTransform:
    """The transform that the file in `folder` describes.

    Raises ModelError: the file is missing or damaged, or says something that is not known here.
    """
    config = _read(folder / CONFIG)
    switches = _switches(config)
    if switches["do_pad"]:
        raise _unknown('"do_pad": pictures that are not all of one shape')
    if not switches["do_resize"]:
        raise _unknown('"do_resize": false, which leaves pictures of any shape')
    fit, height, width, edge = _shape(config, crop=switches["do_center_crop"])
    factor = _number(config, "rescale_factor", 1 / 255) if switches["do_rescale"] else 1.0
    mean = _triple(config, "image_mean") if switches["do_normalize"] else (0.0, 0.0, 0.0)
    std = _triple(config, "image_std") if switches["do_normalize"] else (1.0, 1.0, 1.0)
    if 0 in std:
        raise _unknown('"image_std" with a zero')
    return ImageTransform(
        fit=fit,
        height=height,
        width=width,
        edge=edge,
        resample=_resampling(config),
        scale=(factor / std[0], factor / std[1], factor / std[2]),
        offset=(-mean[0] / std[0], -mean[1] / std[1], -mean[2] / std[2]),
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{file} cannot be read, and without it nobody knows how to prepare a picture.",
            f"`reverie models pull {file.parent.name}` fetches the model afresh.",
        ) from error
    if not isinstance(config, dict):
        raise _unknown("no settings")
    # A processor that was saved as a whole lists the settings that it leaves open as null.
    stated = {key: value for key, value in config.items() if value is not None}
    for key, value in stated.items():
        if key in _SWITCHES or key in _VALUES:
            continue
        if key not in _INERT or not _harmless(_INERT[key], value):
            raise _unknown(f'"{key}": {json.dumps(value)}')
    return stated


def _harmless(values: frozenset[Any] | None, value: object) -> bool:
    return values is None or (isinstance(value, str | bool) and value in values)


def _switches(config: Mapping[str, Any]) -> dict[str, bool]:
    kind = config.get("image_processor_type", config.get("feature_extractor_type"))
    defaults = {**_SWITCHES, "do_center_crop": kind in _CROPS_BY_DEFAULT}
    switches = {key: config.get(key, default) for key, default in defaults.items()}
    for key, value in switches.items():
        if not isinstance(value, bool):
            raise _unknown(f'"{key}": {json.dumps(value)}')
    return switches


def _shape(config: Mapping[str, Any], *, crop: bool) -> tuple[Fit, int, int, int]:
    """The fit, height, width and edge."""
    size = config.get("size")
    if isinstance(size, Mapping) and set(size) == {"height", "width"}:
        if crop:
            raise _unknown("a centre crop of pictures that are already of one shape")
        height, width = _pixels(size["height"], "size"), _pixels(size["width"], "size")
        return Fit.SQUASH, height, width, min(height, width)
    edge = _pixels(
        size["shortest_edge"] if isinstance(size, Mapping) and set(size) == {"shortest_edge"} else size, "size"
    )
    if not crop:
        raise _unknown("a short side of fixed length without a centre crop")
    cut = config.get("crop_size", edge)
    if isinstance(cut, Mapping) and set(cut) == {"height", "width"}:
        height, width = _pixels(cut["height"], "crop_size"), _pixels(cut["width"], "crop_size")
    else:
        height = width = _pixels(cut, "crop_size")
    if max(height, width) > edge:
        raise _unknown("a centre crop that is larger than the resized picture")
    return Fit.COVER, height, width, edge


def _pixels(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1 << 14:
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return value


def _resampling(config: Mapping[str, Any]) -> Image.Resampling:
    code = config.get("resample")
    if not isinstance(code, int) or code not in set(Image.Resampling):
        raise _unknown(f'"resample": {json.dumps(code)}')
    return Image.Resampling(code)


def _number(config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return float(value)


def _triple(config: Mapping[str, Any], key: str) -> tuple[float, float, float]:
    value = config.get(key)
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(one, int | float) for one in value):
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return float(value[0]), float(value[1]), float(value[2])


def _unknown(what: str) -> ModelError:
    return ModelError(
        f"{CONFIG} asks for something that Reverie does not do: {what}.",
        "Choose another model: this one would see its pictures differently from how it was trained.",
    )
