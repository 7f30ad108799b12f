"""Photoshop's files: the flattened picture that they end with, and the metadata among their resources.

Adobe Photoshop File Formats Specification, 2019. Layers are never looked at.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from indexer.media.limits import Limits, too_many_pixels

_HEADER: Final = struct.Struct(">4sH6xHIIHH")
_LARGE: Final = 2
"""The version of PSB files, in which some lengths are wider."""
_CHANNELS: Final = {0: 1, 1: 1, 2: 1, 3: 3, 4: 4, 8: 1, 9: 3}
"""Of bitmap, grey, indexed, RGB, CMYK, duotone and Lab pictures; what follows them is transparency, or masks."""
_GREY: Final = 1
_RGB: Final = 3
_IPTC, _ICC, _EXIF, _XMP = 1028, 1039, 1058, 1060
_DEEP: Final = 16
_RAW, _PACKED = 0, 1


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the parts of a file are."""

    width: int
    height: int
    channels: int
    depth: int
    mode: int
    wide: bool
    palette: bytes
    resources: bytes
    layers_at: int
    picture_at: int


def open_psd(data: bytes, limits: Limits) -> Image.Image:
    """The flattened picture.

    Raises:
        TooLarge: it has more pixels than `limits`; none has been decoded then.
        Others of `DECODER_ERRORS` for what is damaged, or is not stored so that it can be read.
    """
    parts = _parts(data)
    if parts.width * parts.height > limits.max_pixels:
        raise too_many_pixels(parts.width, parts.height, limits)
    image = _deep(data, parts) if parts.depth == _DEEP else _opened(_plain(data, parts, parts))
    profile = dict(_resources(parts.resources)).get(_ICC)
    if profile:
        image.info["icc_profile"] = profile
    return image


def psd_size(data: bytes) -> tuple[int, int]:
    """Width and height, by the header alone. Raises some of `DECODER_ERRORS`."""
    _, _, _, height, width, _, _ = _HEADER.unpack_from(data)
    return width, height


def psd_blocks(data: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The EXIF, XMP and IPTC blocks. Raises some of `DECODER_ERRORS`."""
    resources = dict(_resources(_parts(data).resources))
    return resources.get(_EXIF), resources.get(_XMP), resources.get(_IPTC)


def _parts(data: bytes) -> _Parts:
    _, version, channels, height, width, depth, mode = _HEADER.unpack_from(data)
    wide = version == _LARGE
    palette_at = _HEADER.size
    resources_at = _after(data, palette_at)
    layers_at = _after(data, resources_at)
    return _Parts(
        width,
        height,
        channels,
        depth,
        mode,
        wide,
        data[palette_at:resources_at],
        data[resources_at + 4 : layers_at],
        layers_at,
        _after(data, layers_at, wide=wide),
    )


def _after(data: bytes, at: int, *, wide: bool = False) -> int:
    """Where the section ends that begins with its length."""
    length: int
    (length,) = struct.unpack_from(">Q" if wide else ">I", data, at)
    return at + (8 if wide else 4) + length


def _opened(plain: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(plain), formats=["PSD"])
    image.load()
    return image


def _deep(data: bytes, parts: _Parts) -> Image.Image:
    """A picture of 16 bits, which Pillow does not read, read as a grey one of 8: its channels below each other, and
    twice as wide. Every other byte is the upper half of a value."""
    kept = _kept(data, parts)
    grey = replace(parts, width=2 * parts.width, height=kept * parts.height, mode=_GREY, depth=8)
    halves = np.asarray(_opened(_plain(data, parts, grey)))[:, ::2]
    planes = np.ascontiguousarray(halves.reshape(kept, parts.height, parts.width).transpose(1, 2, 0))
    match parts.mode:
        case 3:  # RGB
            return Image.fromarray(planes)
        case 4:  # CMYK, stored as its negative
            return Image.frombytes("CMYK", (parts.width, parts.height), (255 - planes).tobytes())
        case 1 | 8:  # grey, duotone
            return Image.fromarray(planes[..., 0])
    raise ValueError("a PSD file of 16 bits is of an unusual mode")


def _kept(data: bytes, parts: _Parts) -> int:
    """How many channels are the picture's."""
    kept = _CHANNELS[parts.mode]
    if parts.mode == _RGB and parts.channels > kept and _is_transparent(data, parts):
        kept += 1
    if kept > parts.channels:
        raise ValueError("a PSD file lacks channels")
    return kept


def _plain(data: bytes, parts: _Parts, said: _Parts) -> bytes:
    """A file of version 1 with the same picture, without layers and without channels that are masks.

    `said`: what its header says of the picture.
    """
    kept = _kept(data, parts)
    (packing,) = struct.unpack_from(">H", data, parts.picture_at)
    at = parts.picture_at + 2
    if packing == _PACKED:
        rows = parts.channels * parts.height
        lengths = struct.unpack_from(f">{rows}{'I' if parts.wide else 'H'}", data, at)
        at += rows * (4 if parts.wide else 2)
        lengths = lengths[: kept * parts.height]
        picture = struct.pack(f">{len(lengths)}H", *lengths) + data[at : at + sum(lengths)]
    elif packing == _RAW:
        picture = data[at : at + kept * parts.height * ((parts.width * parts.depth + 7) // 8)]
    else:
        raise ValueError("a PSD file is packed in an unknown way")
    channels = kept * parts.height // said.height
    header = _HEADER.pack(b"8BPS", 1, channels, said.height, said.width, said.depth, said.mode)
    return header + parts.palette + bytes(8) + struct.pack(">H", packing) + picture


def _is_transparent(data: bytes, parts: _Parts) -> bool:
    """A negative count of layers says that the first channel after the colours is the picture's transparency."""
    width = 8 if parts.wide else 4
    at = parts.layers_at + 2 * width
    return at + 2 <= parts.picture_at and int.from_bytes(data[at : at + 2], "big", signed=True) < 0


def _resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 12 <= len(block):
        number, name = struct.unpack_from(">HB", block, at + 4)
        at += 6 + (1 + name + 1) // 2 * 2  # the name, with its length, fills an even number of bytes
        (size,) = struct.unpack_from(">I", block, at)
        yield number, block[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2
