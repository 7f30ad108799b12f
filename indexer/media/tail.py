"""Half-copied files that already have their full size: copiers that reserve space leave zeros where data is to come.

The decoders of compressed formats paint such a hole grey or black and report nothing. Uncompressed formats are not
looked at: a black picture ends in zeros.
"""

from __future__ import annotations

import struct
from typing import Final

_HOLE: Final = bytes(4096)
"""Fewer zeros may be padding, and cost little of the picture."""

_JPEG_SCAN: Final = b"\xda"
_JPEG_END: Final = b"\xff\xd9"
_PNG_END: Final = b"IEND\xae\x42\x60\x82"
_GIF_END: Final = b";"
_RIFF_HEADER: Final = 8
_BOX_HEADER: Final = 8


def has_hole(data: bytes, name: str) -> bool:
    """Whether the file of this format ends in zeros that its own structure says are picture data."""
    if not data.endswith(_HOLE):
        return False
    filled = len(data.rstrip(b"\x00"))
    match name:
        case "JPEG":
            complete = data.find(_JPEG_END, _jpeg_scan(data)) >= 0
        case "PNG":
            complete = _PNG_END in data
        case "GIF":
            complete = data.endswith(_GIF_END, 0, filled)
        case "JPEG2000":
            complete = data.endswith(_JPEG_END, 0, filled)
        case "WEBP":
            complete = _RIFF_HEADER + struct.unpack_from("<I", data, 4)[0] <= filled + len(_HOLE)
        case "HEIF" | "AVIF" | "JXL" if data[4:8] in (b"ftyp", b"JXL "):
            complete = _end_of_boxes(data) <= filled + len(_HOLE)
        case _:
            complete = True
    return not complete


def _jpeg_scan(data: bytes) -> int:
    """Where the picture data begins: the end marker before it belongs to a thumbnail."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != _JPEG_SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def _end_of_boxes(data: bytes) -> int:
    """Where the last box of an ISO media file ends (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + _BOX_HEADER <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < _BOX_HEADER:
            # Zeros after the last box are padding; a box of size zero with a name reaches to the end.
            return len(data) if data[at + 4 : at + 8].strip(b"\x00") else at
        at += size
    return at
