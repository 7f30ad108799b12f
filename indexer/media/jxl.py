"""JPEG XL through libjxl: the picture, and the metadata in the boxes around it (ISO/IEC 18181-2)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Final

import brotli
from PIL import Image

from config.errors import UnsupportedFormat
from indexer.media.hdr import is_hdr
from indexer.media.icc import icc_profile
from indexer.media.jxl_header import jxl_colours
from indexer.media.limits import Limits, too_many_pixels

_CONTAINER: Final = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_BOX_HEADER: Final = 8
_LONG_HEADER: Final = 16
_LARGEST_BLOCK: Final = 8 << 20
_HEADER: Final = 1 << 13
"""Bytes of the codestream that hold its header."""
_PART: Final = 4
"""Bytes before a part of the codestream that count the parts."""
_OFFSET: Final = 4
"""Bytes before an EXIF block that say where in it the TIFF header is."""


def open_jxl(data: bytes, limits: Limits) -> Image.Image:
    """The picture, upright: the codestream says how it is to be turned, and libjxl has done so.

    Raises:
        UnsupportedFormat: the decoder is not installed.
        TooLarge: it has more pixels than `limits`; none has been decoded then.
        Others of `DECODER_ERRORS` for what is damaged.
    """
    width, height = jxl_size(data)
    if width * height > limits.max_pixels:
        raise too_many_pixels(width, height, limits)
    pylibjxl = _libjxl()
    pixels, blocks = pylibjxl.decode(data, metadata=True)
    image = Image.fromarray(pixels)
    colours = jxl_colours(_codestream(data))
    if colours is None:
        profile = blocks.get("icc")
    elif is_hdr(colours.transfer):
        profile = None
        image.info["nclx_profile"] = {
            "transfer_characteristics": colours.transfer,
            "color_primaries": colours.primaries,
        }
    else:
        profile = icc_profile(colours.colours)
    if profile is not None:
        image.info["icc_profile"] = profile
    return image


def _codestream(data: bytes) -> bytes:
    """Its beginning, which may be spread over several boxes."""
    if not data.startswith(_CONTAINER):
        return data[:_HEADER]
    begun = b""
    for name, start, end in _all_boxes(data):
        if name == b"jxlc":
            begun += data[start : min(end, start + _HEADER)]
        elif name == b"jxlp":
            begun += data[start + _PART : min(end, start + _HEADER)]
        if len(begun) >= _HEADER // 2:
            break
    return begun


def jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height, upright, by the header alone. Raises as `open_jxl` does, but for TooLarge."""
    header = _libjxl().probe(data)
    return header["width"], header["height"]


def jxl_blocks(data: bytes) -> tuple[bytes | None, bytes | None]:
    """The EXIF and XMP blocks; a bare codestream has none, and neither has a broken container behind its break."""
    blocks: dict[bytes, bytes] = {}
    if data.startswith(_CONTAINER):
        for name, content in _boxes(data):
            if name == b"brob":
                blocks.setdefault(content[:4], _unpacked(content[4:]))
            elif name in (b"Exif", b"xml "):
                blocks.setdefault(name, content)
    exif = blocks.get(b"Exif", b"")
    start = _OFFSET + int.from_bytes(exif[:_OFFSET], "big")
    return exif[start:] or None, blocks.get(b"xml ")


def _libjxl() -> Any:
    try:
        return importlib.import_module("pylibjxl")
    except ImportError as error:
        raise UnsupportedFormat(
            "This is a JPEG XL photo, and there is no decoder for it on this machine.",
            "Install one with: pip install pylibjxl, or export the photo as a JPEG.",
        ) from error


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, start, end in _all_boxes(data):
        if name in (b"Exif", b"xml ", b"brob") and end - start <= _LARGEST_BLOCK:
            yield name, data[start:end]


def _all_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, where it ends)."""
    at = 0
    while at + _BOX_HEADER <= len(data):
        size, header = int.from_bytes(data[at : at + 4], "big"), _BOX_HEADER
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), _LONG_HEADER
        end = len(data) if size == 0 else at + size
        if end < at + header:
            return
        yield data[at + 4 : at + 8], at + header, end
        at = end


def _unpacked(content: bytes) -> bytes:
    try:
        unpacked: bytes = brotli.Decompressor().process(content, output_buffer_limit=_LARGEST_BLOCK)
    except brotli.error:
        return b""
    return unpacked if len(unpacked) < _LARGEST_BLOCK else b""
