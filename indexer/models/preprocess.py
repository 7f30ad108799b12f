"""How a network wants its pictures, read from the `preprocessor_config.json` beside its weights, and done with Pillow.

The arithmetic is that of transformers' own image processors for Pillow: the same resampling of 8-bit values (another
library's filters differ by a grey level or two), the same rounding of sizes. Neither torch nor transformers is needed
where a graph serves. A setting that is not known here is an error: a picture that is prepared in any other way than the
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
from indexer.models.pretrained import read_settings

CONFIG = "preprocessor_config.json"
Triple = tuple[float, float, float]
"""A value for each of red, green and blue."""

_USED = frozenset(
    {"do_resize", "size", "resample", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"}
)
_INERT = frozenset(
    {
        *("image_processor_type", "feature_extractor_type", "processor_class", "_valid_processor_keys"),
        *("do_convert_rgb", "default_to_square"),
        *("format", "do_convert_annotations", "do_reduce_labels", "reduce_labels"),
    }
)
"""Names of classes and settings, and what changes nothing about an RGB picture or is about its annotations alone."""
_OF_SHAPE = frozenset({"do_center_crop", "crop_size", "do_pad"})
"""What `read_transform` minds besides."""
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
    scale: Triple
    """Per channel: the result is `pixel * scale + offset`."""
    offset: Triple

    @property
    def short_side(self) -> int:
        """Pixels that the short side of a picture needs for nothing to be magnified."""
        return max(self.edge, self.height, self.width)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to (3, height, width). Thread-safe."""
        if self.fit is Fit.COVER:
            small = covered(pixels, self.edge, self.height, self.width, self.resample)
        else:
            small = squashed(pixels, self.height, self.width, self.resample)
        values = small.transpose(2, 0, 1) * np.array(self.scale, np.float32)[:, None, None]
        values += np.array(self.offset, np.float32)[:, None, None]
        return np.ascontiguousarray(values)


def squashed(pixels: NDArray[np.uint8], height: int, width: int, resample: Image.Resampling) -> NDArray[np.uint8]:
    """(H, W, 3) to (height, width, 3), whatever that does to its proportions."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), resample))


def covered(
    pixels: NDArray[np.uint8], edge: int, height: int, width: int, resample: Image.Resampling
) -> NDArray[np.uint8]:
    """(H, W, 3) to the middle (height, width, 3) of the picture resized to a short side of `edge`."""
    tall, wide = pixels.shape[:2]
    short, long = min(tall, wide), max(tall, wide)
    resized_long = int(edge * long / short)
    resized = (edge, resized_long) if tall <= wide else (resized_long, edge)
    top, left = (resized[0] - height) // 2, (resized[1] - width) // 2
    if max(resized) <= _LONGEST * edge:
        return squashed(pixels, *resized, resample)[top : top + height, left : left + width]
    # A strip of 1 x 5,000 pixels would become one of a million columns: only what stays is computed, which can differ
    # in the last bit.
    down, across = tall / resized[0], wide / resized[1]
    box = (left * across, top * down, min((left + width) * across, wide), min((top + height) * down, tall))
    return np.asarray(Image.fromarray(pixels).resize((width, height), resample, box=box))


def read_transform(folder: Path) -> ImageTransform:
    """The transform that the file in `folder` describes.

    Raises ModelError: the file is missing or damaged, or says something that is not known here.
    """
    config = read_known(folder, also=_OF_SHAPE)
    if _switch(config, "do_pad", default=False):
        raise _unknown('"do_pad": pictures that are not all of one shape')
    kind = config.get("image_processor_type", config.get("feature_extractor_type"))
    crop = _switch(config, "do_center_crop", default=kind in _CROPS_BY_DEFAULT)
    fit, height, width, edge = _shape(config, crop=crop)
    factor, mean, std = normalisation(config)
    return ImageTransform(
        fit=fit,
        height=height,
        width=width,
        edge=edge,
        resample=resampling(config),
        scale=(factor / std[0], factor / std[1], factor / std[2]),
        offset=(-mean[0] / std[0], -mean[1] / std[1], -mean[2] / std[2]),
    )


def read_known(folder: Path, *, also: frozenset[str]) -> dict[str, Any]:
    """The settings in `folder`, all of them known: to this module, or to the caller, who then minds those in `also`.

    Raises ModelError: the file is missing or damaged, or says something that is not known.
    """
    # A processor that was saved as a whole lists the settings that it leaves open as null.
    config = {key: value for key, value in read_settings(folder, CONFIG).items() if value is not None}
    for key, value in config.items():
        if key not in _USED | _INERT | also and (key, value) != ("data_format", "channels_first"):
            raise _unknown(f'"{key}": {json.dumps(value)}')
    if not _switch(config, "do_resize", default=True):
        raise _unknown('"do_resize": false, which leaves pictures of any shape')
    return config


def normalisation(config: Mapping[str, Any]) -> tuple[float, Triple, Triple]:
    """The factor, mean and standard deviation: the result is `(pixel * factor - mean) / std`. Raises ModelError."""
    factor = _number(config, "rescale_factor", 1 / 255) if _switch(config, "do_rescale", default=True) else 1.0
    if not _switch(config, "do_normalize", default=True):
        return factor, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    mean, std = _triple(config, "image_mean"), _triple(config, "image_std")
    if 0 in std:
        raise _unknown('"image_std" with a zero')
    return factor, mean, std


def resampling(config: Mapping[str, Any], default: Image.Resampling | None = None) -> Image.Resampling:
    """The filter; `default` where none is named. Raises ModelError."""
    code = config.get("resample", default)
    if not isinstance(code, int) or code not in set(Image.Resampling):
        raise _unknown(f'"resample": {json.dumps(code)}')
    return Image.Resampling(code)


def pixels_of(value: object, key: str) -> int:
    """A number of pixels. Raises ModelError if it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1 << 14:
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return value


def _switch(config: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return value


def _shape(config: Mapping[str, Any], *, crop: bool) -> tuple[Fit, int, int, int]:
    """The fit, height, width and edge."""
    size = config.get("size")
    if isinstance(size, Mapping) and set(size) == {"height", "width"}:
        if crop:
            raise _unknown("a centre crop of pictures that are already of one shape")
        height, width = pixels_of(size["height"], "size"), pixels_of(size["width"], "size")
        return Fit.SQUASH, height, width, min(height, width)
    edge = pixels_of(
        size["shortest_edge"] if isinstance(size, Mapping) and set(size) == {"shortest_edge"} else size, "size"
    )
    if not crop:
        raise _unknown("a short side of fixed length without a centre crop")
    cut = config.get("crop_size", edge)
    if isinstance(cut, Mapping) and set(cut) == {"height", "width"}:
        height, width = pixels_of(cut["height"], "crop_size"), pixels_of(cut["width"], "crop_size")
    else:
        height = width = pixels_of(cut, "crop_size")
    if max(height, width) > edge:
        raise _unknown("a centre crop that is larger than the resized picture")
    return Fit.COVER, height, width, edge


def _number(config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return float(value)


def _triple(config: Mapping[str, Any], key: str) -> Triple:
    value = config.get(key)
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(one, int | float) for one in value):
        raise _unknown(f'"{key}": {json.dumps(value)}')
    return float(value[0]), float(value[1]), float(value[2])


def _unknown(what: str) -> ModelError:
    return ModelError(
        f"{CONFIG} asks for something that Reverie does not do: {what}.",
        "Choose another model: this one would see its pictures differently from how it was trained.",
    )
