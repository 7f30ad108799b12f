"""The blocks of metadata in a photo, wherever its format keeps them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from PIL import Image

from indexer.media.border import DECODER_ERRORS
from indexer.media.formats import RAW
from indexer.media.jxl import jxl_blocks
from indexer.media.metadata.iptc import Block, embedded_block, parse_block
from indexer.media.metadata.png_text import Texts, read_png
from indexer.media.psd import psd_blocks

logger = logging.getLogger(__name__)

_TIFF_ORDERS: Final = (b"II", b"MM")
_EXIF_MARK: Final = b"Exif\x00\x00"
_HEAD: Final = 1 << 20
_GIF_HEADER: Final = 13
_GIF_XMP: Final = b"XMP DataXMP"
_GIF_XMP_TRAILER: Final = b"\x01\xff\xfe\xfd"
"""After the packet, which is no chain of sub-blocks, come 258 bytes that lead every reader to the end of it."""


@dataclass(frozen=True, slots=True)
class PhotoBlocks:
    """What is embedded in a photo, still to be read. None or empty: there is none."""

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: Block = field(default_factory=dict)
    comments: tuple[bytes, ...] = ()
    """Of JPEG and GIF files."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Of PNG files, by their keywords in lower case."""


def blocks_of(data: bytes, name: str) -> PhotoBlocks:
    """The blocks in a photo of the format `name`. Never raises: what cannot be read is not there."""
    if name == RAW:
        return PhotoBlocks(exif=_raw_exif(data))
    if name == "PNG":
        return _of_png(read_png(data))
    try:
        if name == "JXL":
            return PhotoBlocks(*jxl_blocks(data))
        if name == "PSD":
            exif_block, xmp_block, records = psd_blocks(data)
            return PhotoBlocks(exif_block, xmp_block, parse_block(records) if records else {})
        with Image.open(io.BytesIO(data), formats=[name]) as image:
            exif = data if name == "TIFF" else image.info.get("exif")
            xmp = image.info.get("xmp")
            iptc = embedded_block(image)
            comments = tuple(value for key, value in getattr(image, "applist", ()) if key == "COM")
    except (*DECODER_ERRORS, MemoryError) as error:
        logger.debug("metadata ignored: %s", error)
        return PhotoBlocks()
    if name == "GIF":
        xmp, comments = _gif_xmp(data), tuple(_gif_comments(data))
    return PhotoBlocks(_bytes(exif), _bytes(xmp), iptc, comments)


def _of_png(texts: Texts) -> PhotoBlocks:
    iptc = parse_block(texts.iptc) if texts.iptc else {}
    return PhotoBlocks(texts.exif, texts.xmp, iptc, texts=texts.words)


def _raw_exif(data: bytes) -> bytes | None:
    """Most RAW files are TIFF files inside; the others carry a JPEG preview with EXIF near their beginning."""
    at = 0 if data[:2] in _TIFF_ORDERS else data.find(_EXIF_MARK, 0, _HEAD)
    return None if at < 0 else data if at == 0 else data[at : at + _HEAD]


def _gif_xmp(data: bytes) -> bytes | None:
    at = data.find(_GIF_XMP)
    end = data.find(_GIF_XMP_TRAILER, at) if at >= 0 else -1
    return data[at + len(_GIF_XMP) : end] if end >= 0 else None


def _gif_comments(data: bytes) -> Iterator[bytes]:
    """The comment extensions before the first picture (GIF89a, 24)."""
    at = _GIF_HEADER + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at : at + 1] == b"!":
        label, at, body = data[at + 1 : at + 2], at + 2, b""
        while size := int.from_bytes(data[at : at + 1]):
            body += data[at + 1 : at + 1 + size]
            at += 1 + size
        at += 1
        if label == b"\xfe":
            yield body


def _bytes(value: object) -> bytes | None:
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else None
