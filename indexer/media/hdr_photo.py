"""How a photo's colours are coded, where its file says so in numbers: for high dynamic range, or in wide primaries.

A JPEG or HEIF file with a gain map holds an ordinary picture, and the map says how to brighten it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pillow_heif
from PIL import Image

from indexer.media.border import DECODER_ERRORS
from indexer.media.hdr import is_hdr
from indexer.media.png_chunks import chunk_before_pixels

logger = logging.getLogger(__name__)

_ICC_TAGS_AT: Final = 128
_ICC_MOST_TAGS: Final = 100


@dataclass(frozen=True, slots=True)
class ColourCoding:
    """How pixels are coded; both numbers are those of ITU-T H.273."""

    transfer: int
    """16 is PQ, 18 is HLG."""
    primaries: int

    @property
    def is_hdr(self) -> bool:
        """Whether it is PQ or HLG."""
        return is_hdr(self.transfer)


def colour_coding(image: Image.Image, data: bytes) -> ColourCoding | None:
    """The coding of an opened photo whose file is `data`; None: it does not say. Never raises."""
    coding = None
    try:
        match image.format:
            case "HEIF" | None:  # None: what our own decoders give
                coding = _of_nclx(image.info)
            case "AVIF":
                # Pillow does not tell. libheif reads the boxes without decoding a pixel.
                coding = _of_nclx(pillow_heif.open_heif(io.BytesIO(data)).info)
            case "PNG":
                coding = _of_png(data)
        if coding is None or not coding.is_hdr:
            coding = _of_icc(image.info.get("icc_profile")) or coding
    except DECODER_ERRORS as error:
        logger.debug("colour coding ignored: %s", error)
    return coding


def _of_nclx(info: Mapping[Any, Any]) -> ColourCoding | None:
    profile = info.get("nclx_profile")
    if not profile:
        return None
    return ColourCoding(int(profile["transfer_characteristics"]), int(profile["color_primaries"]))


def _of_png(data: bytes) -> ColourCoding | None:
    """The chunk cICP (PNG, third edition, 11.3.2.6)."""
    content = chunk_before_pixels(data, b"cICP")
    return ColourCoding(content[1], content[0]) if content else None


def _of_icc(profile: object) -> ColourCoding | None:
    """The tag cicp of an ICC profile (ICC.1:2022, 9.2.17)."""
    if not isinstance(profile, bytes):
        return None
    tags = min(int.from_bytes(profile[_ICC_TAGS_AT : _ICC_TAGS_AT + 4], "big"), _ICC_MOST_TAGS)
    for entry in range(_ICC_TAGS_AT + 4, _ICC_TAGS_AT + 4 + 12 * tags, 12):
        if profile[entry : entry + 4] == b"cicp":
            at = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            return ColourCoding(profile[at + 9], profile[at + 8])
    return None
