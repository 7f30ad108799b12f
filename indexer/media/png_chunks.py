"""The chunks of a PNG file that stand before its pixels."""

from __future__ import annotations

from typing import Final

_SIGNATURE: Final = 8
_MOST: Final = 100
_HEADER: Final = 8
_AROUND: Final = 12
"""Bytes of a chunk's length, name and checksum."""


def chunk_before_pixels(data: bytes, wanted: bytes) -> bytes | None:
    """The content of the first chunk of a name; None: there is none before the pixels."""
    at = _SIGNATURE
    for _ in range(_MOST):
        name = data[at + 4 : at + _HEADER]
        length = int.from_bytes(data[at : at + 4], "big")
        if name == wanted:
            return data[at + _HEADER : at + _HEADER + length]
        if name in (b"IDAT", b""):
            break
        at += length + _AROUND
    return None
