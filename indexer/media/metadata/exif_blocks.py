"""Reading an EXIF block into plain values: piexif first, Pillow where piexif fails.

Which of the two, and why, is in docs/decisions/piexif-and-pillow.md.
"""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import piexif
from PIL import Image
from PIL.ExifTags import IFD

from indexer.media.border import DECODER_ERRORS
from indexer.media.metadata.facts import decode_western

logger = logging.getLogger(__name__)

_PREFIX: Final = b"Exif\x00\x00"
_ASCII: Final = 2
_UTF_8: Final = 129
"""A type of Exif 3.0 that neither reader knows."""
_COMMENT_CODE: Final = 8
_RATIONAL_TYPES: Final = frozenset({5, 10})
_LARGEST_BYTE: Final = 0xFF
_ENTRY: Final = 12
"""Bytes of an entry in an image file directory (TIFF 6.0, section 2): tag, type, count, value or its offset."""
_MOST_VALUES: Final = 1 << 20
_MOST_ENTRIES: Final = 20_000
_INLINE: Final = 4
"""Bytes that fit in the entry itself."""


@dataclass(frozen=True, slots=True)
class ExifBlock:
    """Tag numbers to values as the reader gives them; `text` and `numbers` make them plain."""

    image: Mapping[int, Any]
    photo: Mapping[int, Any]
    gps: Mapping[int, Any]


def read_exif(block: bytes) -> ExifBlock | None:
    """The tags of an EXIF block, or of a whole TIFF-like file; None when it is broken beyond both readers."""
    block = _without_utf_8(block.removeprefix(_PREFIX))
    # piexif would take anything else for the name of a file to open.
    if block[:2] not in (b"II", b"MM"):
        return None
    for read in (_read_with_piexif, _read_with_pillow):
        try:
            return read(block)
        except (*DECODER_ERRORS, MemoryError) as error:
            logger.debug("%s: %s", read.__name__, error)
    return None


def text(value: object) -> str:
    """An ASCII tag. Many writers put UTF-8 in it, older ones Windows-1252; Pillow has read it as Latin-1."""
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return ""
    return decode_western(value.partition(b"\x00")[0]).strip()


def comment_text(value: object) -> str:
    """A UserComment: eight bytes name the encoding (Exif 3.0, 4.6.6), which some writers leave out or get wrong."""
    data = as_bytes(value)
    name, body = data[:_COMMENT_CODE].rstrip(b"\x00 ").upper(), data[_COMMENT_CODE:]
    if name == b"UNICODE":
        return _utf_16(body)
    if name == b"JIS":
        return body.decode("iso2022_jp", "replace").partition("\x00")[0].strip()
    named = name == b"ASCII" or not data[:_COMMENT_CODE].strip(b"\x00")
    return decode_western((body if named else data).partition(b"\x00")[0]).strip()


def _utf_16(data: bytes) -> str:
    """In either order of bytes: the standard leaves it to the writer. Western letters tell by where their zeros are."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").partition("\x00")[0].strip()
    order = "utf-16-be" if data[::2].count(0) > data[1::2].count(0) else "utf-16-le"
    return data.decode(order, "replace").partition("\x00")[0].strip()


def windows_text(value: object) -> str:
    """A Windows Explorer tag (XPTitle, ...): UTF-16 in bytes."""
    return as_bytes(value).decode("utf-16-le", "replace").partition("\x00")[0].strip()


def as_bytes(value: object) -> bytes:
    """A BYTE tag: integers from piexif, bytes from Pillow; empty for anything else."""
    if isinstance(value, tuple) and all(isinstance(byte, int) and 0 <= byte <= _LARGEST_BYTE for byte in value):
        return bytes(value)
    return value if isinstance(value, bytes) else b""


def numbers(value: object) -> tuple[float, ...]:
    """A numeric tag; NaN for a rational with a zero denominator, empty for what is not a number."""
    values = value if isinstance(value, tuple) else (value,)
    try:
        return tuple(float(part) for part in values if not isinstance(part, str | bytes))
    except DECODER_ERRORS:
        return ()


def _without_utf_8(block: bytes) -> bytes:
    """The block with its texts of type UTF-8 called ASCII, in which UTF-8 is expected anyway."""
    try:
        found = [entry.at for entry in _entries(block) if entry.kind == _UTF_8]
    except (struct.error, ValueError):
        return block
    if not found:
        return block
    patched = bytearray(block)
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"
    for at in found:
        patched[at + 2 : at + 4] = _ASCII.to_bytes(2, order)
    return bytes(patched)


def _read_with_pillow(block: bytes) -> ExifBlock:
    exif = Image.Exif()
    exif.load(_PREFIX + block)
    return ExifBlock(dict(exif), exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo))


def _read_with_piexif(block: bytes) -> ExifBlock:
    _check(block)
    tags = piexif.load(block)
    return ExifBlock(*(_without_fractions(tags[name], name) for name in ("0th", "Exif", "GPS")))


def _without_fractions(tags: Mapping[int, Any], name: str) -> dict[int, Any]:
    """piexif gives a rational as (numerator, denominator), which only its type tells from two integers."""
    known = piexif.TAGS[name]
    return {tag: _divide(value) if known[tag]["type"] in _RATIONAL_TYPES else value for tag, value in tags.items()}


def _divide(value: Any) -> Any:
    match value:
        case (int(numerator), int(denominator)):
            return numerator / denominator if denominator else math.nan
        case tuple():
            return tuple(_divide(part) for part in value)
    return value


def _check(block: bytes) -> None:
    """Refuse what piexif does not survive or silently gets wrong, so that Pillow reads it instead.

    piexif allocates what a count says, some 40 bytes a value, before it looks for the values: all counts together must
    fit in the block and be reasonable. It also drops the last byte of a text as its NUL, which some cameras omit.
    """
    values, most_values = 0, min(len(block), _MOST_VALUES)
    for entry in _entries(block):
        values += entry.values
        if values > most_values:
            raise ValueError(f"tag {entry.tag} claims {entry.values} values")
        start = entry.value if entry.values > _INLINE else entry.at + 8
        if entry.kind == _ASCII and entry.values and block[start + entry.values - 1]:
            raise ValueError(f"the text of tag {entry.tag} has no end")


class _Entry(NamedTuple):
    """An entry of an image file directory."""

    at: int
    """Where it is in the block."""
    tag: int
    kind: int
    values: int
    """How many values it claims."""
    value: int
    """The value itself, or where the values are."""


def _entries(block: bytes) -> Iterator[_Entry]:
    """The entries of all directories of a block, each directory once.

    Raises struct.error where one lies outside the block, ValueError where there are more than any camera writes.
    """
    order = "<" if block[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "L", block, 4)
    pending, seen, left = [first], set(), _MOST_ENTRIES
    while pending:
        at = pending.pop()
        if at in seen:
            continue
        seen.add(at)
        (entries,) = struct.unpack_from(order + "H", block, at)
        left -= entries
        if left < 0:
            raise ValueError(f"its directories have more than {_MOST_ENTRIES} entries")
        end = at + 2 + _ENTRY * entries
        for number in range(entries):
            entry = at + 2 + _ENTRY * number
            tag, kind, count, value = struct.unpack_from(order + "HHLL", block, entry)
            yield _Entry(entry, tag, kind, count, value)
            if tag in (IFD.Exif, IFD.GPSInfo, IFD.Interop):
                pending.append(value)
        if at == first:
            (second,) = struct.unpack_from(order + "L", block, end)
            pending += [second] if second else []
