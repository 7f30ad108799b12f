"""The texts and blocks in a PNG file, before its pixels and behind them (PNG specification, third edition, 11.3).

Pillow reads what follows the pixels only after decoding them, which costs more than all of it.
"""

from __future__ import annotations

import binascii
import logging
import zlib
from dataclasses import dataclass, field
from typing import Final

from indexer.media.png_chunks import chunks

logger = logging.getLogger(__name__)

_KINDS: Final = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_LARGEST: Final = 8 << 20
"""Bytes of one text, unpacked."""
_MOST_TEXTS: Final = 500
_XMP: Final = "xml:com.adobe.xmp"
_PROFILE: Final = "raw profile type "
"""ImageMagick, and those that learned from it, keep other formats' blocks as texts in hexadecimal."""
_IPTC_RESOURCE: Final = b"8BIM\x04\x04"


@dataclass(slots=True)
class Texts:
    """What a PNG file holds besides its pixels."""

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    words: dict[str, str] = field(default_factory=dict)
    """Texts by their keywords in lower case, the first of each."""


def read_png(data: bytes) -> Texts:
    """The texts and blocks of a PNG file. Never raises: a chunk that is broken says nothing."""
    found = Texts()
    left = _MOST_TEXTS
    for kind, start, end in chunks(data):
        if kind not in _KINDS:
            continue
        body = data[start:end]
        left -= 1
        if not left:
            break
        if kind == b"eXIf":
            found.exif = found.exif or body
            continue
        try:
            keyword, value = _text(kind, body)
        except (ValueError, zlib.error) as error:
            logger.debug("%s ignored: %s", kind, error)
            continue
        _keep(found, keyword.casefold(), value)
    return found


def _text(kind: bytes, body: bytes) -> tuple[str, bytes]:
    """(keyword, text in UTF-8). Raises ValueError, zlib.error."""
    keyword, nul, rest = body.partition(b"\x00")
    if not nul:
        raise ValueError("a text without its keyword")
    if kind == b"tEXt":
        return keyword.decode("latin-1"), _as_utf_8(rest)
    if kind == b"zTXt":
        return keyword.decode("latin-1"), _as_utf_8(_unpacked(rest[1:]))
    compressed = rest[:1] == b"\x01"
    text = rest[2:].partition(b"\x00")[2].partition(b"\x00")[2]  # behind the language, and the keyword in it
    return keyword.decode("latin-1"), _unpacked(text) if compressed else text


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, _LARGEST)
    if unpacker.unconsumed_tail:
        raise ValueError(f"a text of more than {_LARGEST} bytes")
    return text


def _as_utf_8(text: bytes) -> bytes:
    """Latin-1 by the specification; many programs write UTF-8 all the same."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()
    return text


def _keep(found: Texts, keyword: str, value: bytes) -> None:
    if keyword == _XMP:
        found.xmp = found.xmp or value
    elif not keyword.startswith(_PROFILE):
        found.words.setdefault(keyword, value.decode("utf-8", "replace"))
    elif (profile := _profile(value)) is not None:
        kind = keyword.removeprefix(_PROFILE)
        if kind == "xmp":
            found.xmp = found.xmp or profile
        elif kind in ("iptc", "8bim"):
            at = profile.find(_IPTC_RESOURCE)
            found.iptc = found.iptc or profile[max(at, 0) :]
        elif kind == "exif" or (kind == "app1" and profile.startswith(b"Exif")):
            found.exif = found.exif or profile
        elif kind == "app1":
            found.xmp = found.xmp or profile.partition(b"\x00")[2]


def _profile(value: bytes) -> bytes | None:
    """The bytes of a raw profile: a name, a length and hexadecimal digits, each on lines of their own."""
    parts = value.split(None, 2)
    if len(parts) < 3:
        return None
    try:
        return binascii.unhexlify(b"".join(parts[2].split()))
    except binascii.Error:
        return None
