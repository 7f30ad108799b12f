"""Pictures of 10 to 14 bits a sample that are stored in 16 bits as they are, and so would be shown nearly black."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from indexer.media.png_chunks import chunk_before_pixels

_FULL, _BITS_14, _BITS_12, _BITS_10 = 65535, 16383, 4095, 1023
_NEAR_WHITE: Final = 7 / 8
_BITS_PER_SAMPLE, _MAX_SAMPLE, _S_MAX_SAMPLE, _EXIF = 258, 281, 341, 34665  # TIFF tags
_PNG_BIT_DEPTH_AT: Final = 24
_COLOURS: Final = ("RGB", "RGBA")
_LOWER_HALF: Final = {"16L": "16B", "16B": "16L", "16N": "16B" if np.little_endian else "16L"}


@dataclass(frozen=True, slots=True, eq=False)
class _Low:
    samples: NDArray[np.uint16]
    """(H, W) or (H, W, bands)."""
    white: int


def spread(image: Image.Image, data: bytes) -> Image.Image:
    """The picture of a loaded image whose file is `data`, brightened where its values take up the lower bits alone.

    Grey of TIFF files is left to `white_of_grey`.
    """
    low = _low(image, data)
    return image if low is None else _shown(low, image)


def white_of_grey(image: Image.Image, brightest: int) -> int:
    """The integer that stands for white in a grey picture whose largest value is `brightest`.

    Scanners and microscopes of 10, 12 or 14 bits store their values as they are in TIFF files of 16. The file may say
    so. Where it does not, a picture without a value above 1/16 of white is taken for one of these, as is one that
    comes close to the end of 14 bits; what was developed as a photo, and so has a colour profile, never is.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return _FULL
    if stated := _stated_white(image):
        return stated
    if "icc_profile" in image.info or brightest > _BITS_14:
        return _FULL
    if brightest > _BITS_12:
        return _BITS_14 if brightest > _BITS_14 * _NEAR_WHITE else _FULL
    return _BITS_12 if brightest > _BITS_10 else _BITS_10


def _low(image: Image.Image, data: bytes) -> _Low | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _low_colour(image, data)
    return _low_png(image, data) if image.format == "PNG" else None


def _low_colour(image: TiffImagePlugin.TiffImageFile, data: bytes) -> _Low | None:
    """The rule of grey, narrower: dark photos in colour are common. Without a word in the file, only values that come
    close to the end of 10, 12 or 14 bits count, and none of a file with a colour profile or a camera's EXIF."""
    if image.mode not in _COLOURS or _stated(image, _BITS_PER_SAMPLE) != 16:
        return None
    stated, upper = _stated_white(image), _brightest(image) >> 8
    if upper > (stated or _BITS_14) >> 8 or stated == _FULL:
        return None
    if not stated and ("icc_profile" in image.info or _EXIF in image.tag_v2):
        return None
    samples = _samples(data, image)
    if samples is None:
        return None
    if stated:
        return _Low(samples, stated)
    brightest = int(samples[..., :3].max())
    ends = (end for end in (_BITS_10, _BITS_12, _BITS_14) if end * _NEAR_WHITE < brightest <= end)
    return next((_Low(samples, end) for end in ends), None)


def _low_png(image: Image.Image, data: bytes) -> _Low | None:
    """PNG wants samples of 12 bits moved to the upper end of 16; some writers say in sBIT that there are 12, and leave
    them where they are."""
    bits = _significant_bits(data) if image.mode in (*_COLOURS, "I;16", "I") else 16
    white = (1 << bits) - 1
    if bits == 16 or _brightest(image) > white:
        return None
    samples = _samples(data, image)
    return None if samples is None or _is_scaled(samples[..., :3], bits) else _Low(samples, white)


def _stated_white(image: TiffImagePlugin.TiffImageFile) -> int:
    """0: the file does not say."""
    bits = _stated(image, _BITS_PER_SAMPLE)
    if bits < _FULL.bit_length():
        return (1 << bits) - 1
    for tag in (_MAX_SAMPLE, _S_MAX_SAMPLE):
        largest = _stated(image, tag)
        if largest and not largest & (
            largest + 1
        ):  # the end of a range; any other number is only the largest value found
            return largest
    return 0


def _stated(image: TiffImagePlugin.TiffImageFile, tag: int) -> int:
    """A whole number that a TIFF file states; 0: it does not."""
    value = image.tag_v2.get(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else 0


def _brightest(image: Image.Image) -> int:
    """The largest value of 16 bits that a loaded picture may have; of colours Pillow keeps the upper 8."""
    if image.mode not in _COLOURS:
        return int(np.asarray(image).max())
    return max(image.getchannel(band).getextrema()[1] for band in "RGB") << 8  # type: ignore[operator]


def _significant_bits(data: bytes) -> int:
    """What a PNG file of 16 bits says of the bits of the samples that it was made from; 16 where it says nothing."""
    if data[_PNG_BIT_DEPTH_AT] != 16:
        return 16
    bits = chunk_before_pixels(data, b"sBIT") or b""
    return max([bit for bit in bits[:3] if 8 < bit <= 16], default=16)


def _is_scaled(values: NDArray[np.uint16], bits: int) -> bool:
    """Whether the bits were moved to the upper end, as PNG wants it, the lower end filled with zeros or repetitions."""
    shift = 16 - bits
    sample = values >> shift
    moved = sample << shift
    return bool(((values == moved) | (values == (moved | (sample >> max(0, bits - shift))))).all())


def _samples(data: bytes, image: Image.Image) -> NDArray[np.uint16] | None:
    """(H, W) or (H, W, bands) of 16 bits, upright. None: it is stored in a way of which Pillow gives the upper 8."""
    deep = np.asarray(image).astype(np.uint16)
    if image.mode not in _COLOURS:
        return deep
    # Read with the bytes of each sample the other way round, the lower 8 bits come out.
    with Image.open(io.BytesIO(data), formats=[str(image.format)]) as other:
        tiles = []
        for tile in other.tile:
            args = (tile.args,) if isinstance(tile.args, str) else tuple(tile.args or ())
            mode, _, order = str(args[0] if args else "").partition(";")
            if order not in _LOWER_HALF:
                return None
            swapped = f"{mode};{_LOWER_HALF[order]}"
            tiles.append(tile._replace(args=swapped if isinstance(tile.args, str) else (swapped, *args[1:])))
        other.tile = tiles
        other.load()
        deep <<= 8
        deep |= np.asarray(other)
    return deep


def _shown(low: _Low, image: Image.Image) -> Image.Image:
    level = np.minimum(np.arange(_FULL + 1), low.white) * 255 // low.white
    bright = Image.fromarray(level.astype(np.uint8)[low.samples])
    bright.info = dict(image.info)
    if image.mode == "RGBA" and int(low.samples[..., 3].max()) > low.white:
        bright.putalpha(image.getchannel("A"))
    return bright
