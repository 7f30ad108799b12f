"""What a photo file says about itself: EXIF, XMP and IPTC inside it, and the XMP sidecar beside it."""

from __future__ import annotations

import io
import logging
from typing import Final

from PIL import Image

from indexer.media.border import DECODER_ERRORS
from indexer.media.exif import exif_facts, windows_facts
from indexer.media.exif_blocks import as_bytes, read_exif
from indexer.media.facts import Facts, merge
from indexer.media.formats import RAW
from indexer.media.iptc import iptc_facts
from indexer.media.jxl import jxl_blocks
from indexer.media.photo import Photo
from indexer.media.psd import psd_blocks
from indexer.media.xmp import xmp_facts
from indexer.records import Kind, MediaInfo

logger = logging.getLogger(__name__)

_TIFF_ORDERS: Final = (b"II", b"MM")
_EXIF_MARK: Final = b"Exif\x00\x00"
_HEAD: Final = 1 << 20
_XMP_TAG: Final = 700
_BLOCKS: Final = {"JXL": jxl_blocks, "PSD": psd_blocks}
"""EXIF and XMP of what Pillow does not open."""


def describe_photo(data: bytes, photo: Photo, sidecar: bytes | None) -> MediaInfo:
    """What is known of a decoded photo. Never raises: a broken block says nothing and costs nothing else.

    Fact by fact, the first that says something wins: the sidecar, which a person edited last; EXIF, which the camera
    wrote; embedded XMP; IPTC; and Windows Explorer's tags, which repeat XMP with less.
    """
    embedded = _raw_facts(data) if photo.format == RAW else _embedded_facts(data, photo.format)
    facts = merge(xmp_facts(sidecar or b""), *embedded)
    moment, place = facts.moment, facts.place
    return MediaInfo(
        kind=Kind.PHOTO,
        format=photo.format,
        width=photo.width,
        height=photo.height,
        taken_at=moment.local if moment else None,
        utc_offset_minutes=moment.utc_offset_minutes if moment else None,
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        altitude=facts.altitude,
        camera=facts.camera,
        lens=facts.lens,
        exposure_seconds=facts.exposure_seconds,
        f_number=facts.f_number,
        iso=facts.iso,
        focal_length_mm=facts.focal_length_mm,
        title=facts.title,
        description=facts.description,
        keywords=facts.keywords,
        people=facts.people,
        rating=facts.rating,
        live_id=facts.live_id,
    )


def _embedded_facts(data: bytes, name: str) -> list[Facts]:
    try:
        if name in _BLOCKS:
            return _in_order(*_BLOCKS[name](data), Facts())
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
