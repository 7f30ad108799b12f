"""Cameras' own formats through LibRaw: the embedded preview first, half-size development as the fallback."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from config.errors import DamagedFile, TooLarge, UnsupportedFormat
from indexer.media.border import DECODER_ERRORS
from indexer.media.limits import Limits, too_many_pixels

SIDEWAYS: Final = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap width and height."""

_EXIF_ORIENTATION_OF_FLIP: Final = {0: 1, 3: 3, 5: 8, 6: 6}


@dataclass(frozen=True, slots=True)
class RawPicture:
    """What a RAW file shows: a preview in JPEG, or pixels."""

    picture: bytes | Image.Image
    orientation: int
    """EXIF orientation of the picture, unless a JPEG says its own."""
    width: int
    """Of the sensor's full image, upright."""
    height: int


def read_raw(data: bytes, limits: Limits, shortest: int) -> RawPicture:
    """The embedded preview if its short side has `shortest` pixels or more, else the sensor data developed.

    Raises:
        UnsupportedFormat: the optional decoder is not installed, or does not know this camera.
        DamagedFile, TooLarge: as they say.
    """
    try:
        rawpy = importlib.import_module("rawpy")
    except ImportError as error:
        raise UnsupportedFormat(
            "This is a RAW photo, and the optional RAW decoder is not installed.",
            "Install it with: pip install 'reverie-media[raw]'",
        ) from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            return _read(rawpy, raw, limits, shortest)
    except (rawpy.LibRawTooBigError, rawpy.LibRawUnsufficientMemoryError, MemoryError) as error:
        raise TooLarge("The RAW photo needs more memory than there is.", "Export it as a JPEG.") from error
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnsupportedFormat(
            "The RAW decoder does not know this kind of RAW photo.",
            "Update it with: pip install --upgrade rawpy, or export the photo as a JPEG.",
        ) from error
    except (rawpy.LibRawError, rawpy.NotSupportedError, *DECODER_ERRORS) as error:
        raise DamagedFile(
            "The RAW photo is damaged or incomplete.", "Copy it again from the camera or a backup."
        ) from error


def _read(rawpy: Any, raw: Any, limits: Limits, shortest: int) -> RawPicture:
    sizes = raw.sizes
    if sizes.width * sizes.height > limits.max_pixels:
        raise too_many_pixels(sizes.width, sizes.height, limits)
    orientation = _EXIF_ORIENTATION_OF_FLIP.get(sizes.flip, 1)
    width, height = (sizes.height, sizes.width) if orientation in SIDEWAYS else (sizes.width, sizes.height)
    preview = _preview(rawpy, raw)
    if preview is not None and _short_side(preview) >= min(shortest, width, height):
        return RawPicture(preview, orientation, width, height)
    pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
    return RawPicture(Image.fromarray(pixels), 1, width, height)


def _preview(rawpy: Any, raw: Any) -> bytes | Image.Image | None:
    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if preview.format == rawpy.ThumbFormat.JPEG:
        return bytes(preview.data)
    return Image.fromarray(preview.data)


def _short_side(preview: bytes | Image.Image) -> int:
    if isinstance(preview, Image.Image):
        return min(preview.size)
    try:
        with Image.open(io.BytesIO(preview), formats=["JPEG"]) as image:
            return min(image.size)
    except DECODER_ERRORS:
        return 0
