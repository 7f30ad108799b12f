"""What a photo file says about itself: EXIF, XMP and IPTC inside it, and the XMP sidecar beside it."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from typing import Final

from PIL import Image

from indexer.media.border import DECODER_ERRORS
from indexer.media.formats import RAW
from indexer.media.metadata.exif import exif_facts, windows_facts
from indexer.media.metadata.exif_blocks import as_bytes, read_exif
from indexer.media.metadata.facts import Facts, merge
from indexer.media.metadata.info import said_by
from indexer.media.metadata.iptc import iptc_facts
from indexer.media.metadata.sidecars import NOTHING_BESIDE, Beside
from indexer.media.metadata.xmp import xmp_facts
from indexer.media.photo import Shape
from indexer.records import Kind, MediaInfo

logger = logging.getLogger(__name__)

_TIFF_ORDERS: Final = (b"II", b"MM")
_EXIF_MARK: Final = b"Exif\x00\x00"
_HEAD: Final = 1 << 20
_XMP_TAG: Final = 700


def describe_photo(data: bytes, shape: Shape, beside: Beside = NOTHING_BESIDE) -> MediaInfo:
    """What is known of a photo, without its pixels. Never raises: a broken block says nothing and costs nothing else.

    Fact by fact, the first that says something wins: the sidecars, which a person edited last; EXIF, which the camera
    wrote; embedded XMP; IPTC; and Windows Explorer's tags, which repeat XMP with less.
    """
    embedded = _raw_facts(data) if shape.format == RAW else _embedded_facts(data, shape.format)
    facts = merge(beside.stronger, *embedded, beside.weaker)
    facts = replace(facts, orientation=beside.stronger.orientation)  # the decoder knows what the file itself says
    return MediaInfo(kind=Kind.PHOTO, format=shape.format, width=shape.width, height=shape.height, **said_by(facts))


def _embedded_facts(data: bytes, name: str) -> list[Facts]:
    try:
        with Image.open(io.BytesIO(data), formats=[name]) as image:
            exif = data if name == "TIFF" else image.info.get("exif")
            xmp = image.info.get("xmp")
            iptc = iptc_facts(image)
    except (*DECODER_ERRORS, MemoryError) as error:
        logger.debug("metadata ignored: %s", error)
        return []
    return _in_order(exif, xmp, iptc)


def _raw_facts(data: bytes) -> list[Facts]:
    """Most RAW files are TIFF files inside; the others carry a JPEG preview with EXIF near their beginning."""
    at = 0 if data[:2] in _TIFF_ORDERS else data.find(_EXIF_MARK, 0, _HEAD)
    return _in_order(data[at:] if at == 0 else data[at : at + _HEAD], None, Facts()) if at >= 0 else []


def _in_order(exif: object, xmp: object, iptc: Facts) -> list[Facts]:
    block = read_exif(exif) if isinstance(exif, bytes) else None
    if block is not None and xmp is None:
        xmp = as_bytes(block.image.get(_XMP_TAG))
    embedded = xmp_facts(xmp) if isinstance(xmp, bytes) else Facts()
    if block is None:
        return [embedded, iptc]
    return [exif_facts(block), embedded, iptc, windows_facts(block)]
