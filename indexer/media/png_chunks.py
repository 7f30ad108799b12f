"""The chunks of a PNG file (PNG specification, third edition, 5.3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

_SIGNATURE: Final = 8
_MOST_BEFORE_PIXELS: Final = 100
_HEADER, _CHECKSUM = 8, 4
"""Bytes of a chunk's length and name, and of what follows its content."""


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, where the content begins, where it ends) of each chunk, in order."""
    at = _SIGNATURE
    while at + _HEADER + _CHECKSUM <= len(data):
        start = at + _HEADER
        end = start + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : start], start, end
        at = end + _CHECKSUM


def chunk_before_pixels(data: bytes, wanted: bytes) -> bytes | None:
    """The content of the first chunk of a name; None: there is none before the pixels."""
    for name, start, end in itertools.islice(chunks(data), _MOST_BEFORE_PIXELS):
        if name == wanted:
            return data[start:end]
        if name == b"IDAT":
            break
    return None
