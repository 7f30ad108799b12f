"""Keywords and captions in the older IPTC-IIM block of JPEG and TIFF files (IPTC-NAA IIM 4.2)."""

from __future__ import annotations

import logging
from typing import Final

from PIL import ImageFile, IptcImagePlugin

from indexer.media.border import DECODER_ERRORS
from indexer.media.metadata.facts import Facts, clean_text, clean_words

logger = logging.getLogger(__name__)

_TITLE: Final = (2, 5)
_KEYWORDS: Final = (2, 25)
_CAPTION: Final = (2, 120)


def iptc_facts(image: ImageFile.ImageFile) -> Facts:
    """The facts in the IPTC block of an opened image; none when it is missing or broken."""
    try:
        block = IptcImagePlugin.getiptcinfo(image) or {}
    except DECODER_ERRORS as error:
        logger.debug("IPTC ignored: %s", error)
        return Facts()
    texts = {name: _texts(block.get(name)) for name in (_TITLE, _KEYWORDS, _CAPTION)}
    return Facts(
        title=clean_text(next(iter(texts[_TITLE]), None)),
        description=clean_text(next(iter(texts[_CAPTION]), None)),
        keywords=clean_words(texts[_KEYWORDS]),
    )


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [_decode(part) for part in values if isinstance(part, bytes)]


def _decode(value: bytes) -> str:
    """UTF-8 where it is valid, whatever the block declares: few writers declare it, and Latin-1 is rarely valid so."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
