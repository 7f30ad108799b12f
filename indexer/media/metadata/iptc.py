"""Keywords, captions, dates and places in the older IPTC-IIM block of JPEG and TIFF files (IPTC-NAA IIM 4.2)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Final

from PIL import ImageFile, IptcImagePlugin

from indexer.media.border import DECODER_ERRORS
from indexer.media.metadata.facts import Facts, clean_text, clean_words, decode_western, notes, parse_moment
from indexer.media.metadata.moments import Meaning, Moment

logger = logging.getLogger(__name__)

_MARK: Final = b"\x1c"
_HEADER: Final = 5
"""Bytes before the value of a data set: the mark, record, number and length."""
_TITLE: Final = (2, 5)
_KEYWORDS: Final = (2, 25)
_CAPTION: Final = (2, 120)
_DAYS: Final = (
    ((2, 55), (2, 60), "IPTC Date Created", Meaning.TAKEN),
    ((2, 62), (2, 63), "IPTC Digital Creation Date", Meaning.DIGITISED),
)
_NOTES: Final = (
    ("headline", (2, 105)),
    ("artist", (2, 80)),
    ("place", (2, 92)),
    ("city", (2, 90)),
    ("state", (2, 95)),
    ("country", (2, 101)),
    ("instructions", (2, 40)),
)
_DAY: Final = re.compile(r"(\d{4})(\d\d)(\d\d)")
_TIME: Final = re.compile(r"(\d\d)(\d\d)(\d\d)([+-]\d{4})?")

Block = Mapping[tuple[int, int], bytes | list[bytes]]


def embedded_block(image: ImageFile.ImageFile) -> Block:
    """The IPTC block of an opened image; empty when it is missing or broken."""
    try:
        return IptcImagePlugin.getiptcinfo(image) or {}
    except DECODER_ERRORS as error:
        logger.debug("IPTC ignored: %s", error)
        return {}


def parse_block(data: bytes) -> Block:
    """The data sets in the bytes of an IPTC block."""
    found: dict[tuple[int, int], bytes | list[bytes]] = {}
    at = data.find(_MARK)
    while at >= 0 and data[at : at + 1] == _MARK and at + _HEADER <= len(data):
        size = int.from_bytes(data[at + 3 : at + _HEADER])
        value, key = data[at + _HEADER : at + _HEADER + size], (data[at + 1], data[at + 2])
        before = found.get(key)
        found[key] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
        at += _HEADER + size
    return found


def iptc_facts(block: Block) -> Facts:
    """The facts in an IPTC block."""
    return Facts(
        moments=tuple(_moments(block)),
        title=clean_text(_text(block, _TITLE)),
        description=clean_text(_text(block, _CAPTION)),
        keywords=clean_words(_texts(block, _KEYWORDS)),
        notes=notes(*((label, ", ".join(_texts(block, name))) for label, name in _NOTES)),
    )


def _moments(block: Block) -> Iterator[Moment]:
    for day_set, time_set, source, meaning in _DAYS:
        day, time = _DAY.match(_text(block, day_set)), _TIME.match(_text(block, time_set))
        if day is None:
            continue
        clock = f" {time[1]}:{time[2]}:{time[3]}{time[4] or ''}" if time else ""
        moment = parse_moment(f"{day[1]}:{day[2]}:{day[3]}{clock}", meaning=meaning, source=source)
        if moment is not None:
            yield moment


def _text(block: Block, name: tuple[int, int]) -> str:
    return next(iter(_texts(block, name)), "")


def _texts(block: Block, name: tuple[int, int]) -> list[str]:
    """The values of a data set. What a block declares as its encoding is believed by nobody: few blocks declare it."""
    value = block.get(name, [])
    return [decode_western(part) for part in (value if isinstance(value, list) else [value])]
