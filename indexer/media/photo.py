"""Opening a photo: bytes in, one small upright sRGB array out, which every analysis and the thumbnail share."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from config.errors import DamagedFile, EmptyFile, TooLarge, UnsupportedFormat
from indexer.media.border import DECODER_ERRORS
from indexer.media.colour import to_srgb
from indexer.media.deep import spread
from indexer.media.files import FileIdentity, read_file
from indexer.media.formats import RAW, name_unknown, sniff
from indexer.media.hdr_photo import ColourCoding, colour_coding
from indexer.media.jxl import jxl_size, open_jxl
from indexer.media.limits import Limits, too_many_bytes, too_many_pixels
from indexer.media.psd import open_psd, psd_size
from indexer.media.raw import SIDEWAYS, read_raw
from indexer.media.tail import has_hole

__all__ = ["MIN_SHORT_SIDE", "FileIdentity", "Limits", "Photo", "decode_photo", "read_file"]

MIN_SHORT_SIDE: Final = 360
"""Pixels of the short side that a decoded photo keeps at least: enough for the builtin network, the thumbnail and the
statistics, and few enough that a 12-megapixel JPEG decodes at one eighth."""

_ORIENTATION: Final = 0x0112
_TURNED_BY_DECODER: Final = frozenset({"HEIF", "TIFF", "JXL"})
"""Formats whose decoder turns the picture upright; the size in the header is already that of the upright one."""
_TRANSPOSE: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SIZES: Final = {"JXL": jxl_size, "PSD": psd_size}
_OPENERS: Final = {"JXL": open_jxl, "PSD": open_psd}
"""What Pillow does not open, or not all of: each gives an upright picture, within the limits."""

# The limit comes from the settings and is checked on the header, before a pixel is decoded: Pillow's own is fixed.
Image.MAX_IMAGE_PIXELS = None
pillow_heif.register_heif_opener()


@dataclass(frozen=True, slots=True)
class Shape:
    """What a photo's header tells of it."""

    format: str
    """The decoder's name for the content: "JPEG", "PNG", "WEBP", "HEIF", "AVIF", "JXL", "PSD", "RAW", ..."""
    width: int | None
    """Of the full image, upright. None: only decoding would tell."""
    height: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), sRGB, upright, shrunk; the short side keeps what was asked for, if the file has it."""
    format: str
    """As of `Shape`."""
    width: int
    """Of the full image, upright."""
    height: int

    @property
    def shape(self) -> Shape:
        """What the file is, without its pixels."""
        return Shape(self.format, self.width, self.height)


def shape_of(data: bytes) -> Shape:
    """What a photo is, by its header alone.

    Raises UnsupportedFormat: it is not a photo that we know.
    """
    name = _known_format(data)
    if name == RAW:
        return Shape(RAW, None, None)
    try:
        if name in _SIZES:
            return Shape(name, *_SIZES[name](data))
        with Image.open(io.BytesIO(data), formats=[name]) as image:
            width, height = image.size
            sideways = _stated_orientation(image) in SIDEWAYS and name not in _TURNED_BY_DECODER
    except (*DECODER_ERRORS, MemoryError, UnsupportedFormat):
        return Shape(name, None, None)
    return Shape(name, height, width) if sideways else Shape(name, width, height)


def decode_photo(
    data: bytes, *, limits: Limits, short_side: int = MIN_SHORT_SIDE, orientation: int | None = None
) -> Photo:
    """Decode any supported photo; the content decides the format, never a name.

    `short_side` is how many pixels of the short side to keep at least, if the file has that many. `orientation`, as
    EXIF counts it, is how a sidecar turns the picture, which goes before what the file says.

    Raises:
        EmptyFile: there is nothing in it.
        UnsupportedFormat: it is not a photo that we can read.
        DamagedFile: it is truncated or corrupt.
        TooLarge: it has more pixels or bytes than `limits`, or more than memory holds.
    """
    if not data:
        raise EmptyFile("The file is empty (zero bytes).", "Copy it again from its source, or delete it.")
    if len(data) > limits.max_bytes:
        raise too_many_bytes(len(data), limits)
    name = _known_format(data)
    try:
        if name == RAW:
            return _decode_raw(data, limits, short_side, orientation)
        return _decode(data, name, limits, short_side, override=orientation)
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooLarge(f"The {name} image needs more memory than there is.", "Save it in a smaller size.") from error
    except DECODER_ERRORS as error:
        raise DamagedFile(
            f"The {name} image is damaged or incomplete, or of an unusual kind that cannot be decoded.",
            "Copy it again from its source, or save it anew with an image editor.",
        ) from error


def _known_format(data: bytes) -> str:
    name = sniff(data)
    if name is None:
        raise UnsupportedFormat(
            f"This is not a photo that Reverie can read: the content is {name_unknown(data)}.",
            "If it should be a photo, copy it again from its source; else give it its proper suffix or remove it.",
        )
    return name


def _decode(
    data: bytes, name: str, limits: Limits, short_side: int, *, orientation: int = 1, override: int | None = None
) -> Photo:
    """`orientation` holds when the image does not state its own, `override` in any case."""
    if has_hole(data, name):
        raise DamagedFile(
            f"The end of the {name} image is missing: the file has zeros in its place.",
            "Let the copy finish, or copy it again from its source.",
        )
    if name in _OPENERS:
        image = _OPENERS[name](data, limits)
        turned = 1 if override is None or name in _TURNED_BY_DECODER else override
        return _finish(image, name, image.size, short_side, turned, coding=colour_coding(image, data))
    with Image.open(io.BytesIO(data), formats=[name]) as image:
        size = image.size
        _check_pixels(size, limits)
        if name == "JPEG":
            image.draft(None, _draft_size(size, short_side))
            image.load()
        else:
            image.load()
            # GIF, HEIF and TIFF may find their true size only now.
            size = image.size
            _check_pixels(size, limits)
        if override is None or name in _TURNED_BY_DECODER:
            override = _stated_orientation(image) or orientation
        coding = colour_coding(image, data)
        return _finish(spread(image, data), name, size, short_side, override, coding=coding)


def _decode_raw(data: bytes, limits: Limits, short_side: int, orientation: int | None) -> Photo:
    raw = read_raw(data, limits, short_side)
    # Editors repeat the camera's own orientation in the sidecar: only another one means that somebody turned it.
    turned = orientation if orientation != raw.orientation else None
    if isinstance(raw.picture, bytes):
        photo = _decode(raw.picture, "JPEG", limits, short_side, orientation=raw.orientation, override=turned)
    else:
        photo = _finish(raw.picture, RAW, raw.picture.size, short_side, raw.orientation)
    return Photo(photo.pixels, RAW, raw.width, raw.height)


def _finish(
    image: Image.Image,
    name: str,
    size: tuple[int, int],
    short_side: int,
    orientation: int,
    *,
    coding: ColourCoding | None = None,
) -> Photo:
    small = to_srgb(image, short_side, coding)
    if orientation in _TRANSPOSE:
        small = small.transpose(_TRANSPOSE[orientation])
    width, height = reversed(size) if orientation in SIDEWAYS else size
    return Photo(np.array(small), name, width, height)


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise too_many_pixels(width, height, limits)


def _draft_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """What to ask of libjpeg's scaled decoding: it stays at or above it."""
    short = min(size)
    return (size[0] * short_side // short, size[1] * short_side // short)


def _stated_orientation(image: Image.Image) -> int | None:
    """The EXIF orientation still to be applied: the HEIF and TIFF decoders apply it and then report none or 1."""
    try:
        value = image.getexif().get(_ORIENTATION)
    except DECODER_ERRORS:
        return None
    return value if isinstance(value, int) else None
