"""Which photo and which video are the two halves of a Live Photo: both carry one content identifier of Apple's.

The photo has it in its maker note (tag 0x0011, as ExifTool's tables name it), the video in its QuickTime metadata. A
Motion Photo needs nothing of this: its video is a part of the photo's own file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final

_VIDEO_KEY: Final = "com.apple.quicktime.content.identifier"
_APPLE: Final = b"Apple iOS\x00"
_ORDERS: Final = {b"MM": ">", b"II": "<"}
_ORDER_AT, _DIRECTORY_AT, _ENTRY = 12, 14, 12
"""Apple's maker note: its name, a version, the byte order, then an image file directory as TIFF has them; offsets
count from the beginning of the note."""
_CONTENT_IDENTIFIER: Final = 0x0011
_ASCII: Final = 2
_INLINE: Final = 4
_MOST_ENTRIES: Final = 500
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z-]{8,64}")
"""In practice a UUID in upper case."""


def live_id_of_note(note: bytes) -> str | None:
    """The content identifier in a photo's EXIF MakerNote; None: there is none, or the note is not Apple's."""
    order = _ORDERS.get(note[_ORDER_AT:_DIRECTORY_AT]) if note.startswith(_APPLE) else None
    if order is None:
        return None
    try:
        (entries,) = struct.unpack_from(order + "H", note, _DIRECTORY_AT)
        for number in range(min(entries, _MOST_ENTRIES)):
            at = _DIRECTORY_AT + 2 + _ENTRY * number
            tag, kind, count, value = struct.unpack_from(order + "HHLL", note, at)
            if (tag, kind) == (_CONTENT_IDENTIFIER, _ASCII):
                start = value if count > _INLINE else at + 8
                (identifier,) = struct.unpack_from(f"{count}s", note, start)
                return _checked(identifier.decode("ascii", "replace"))
    except struct.error:
        return None
    return None


def live_id_of_metadata(metadata: Mapping[str, str]) -> str | None:
    """The content identifier in a video's metadata, by FFmpeg's lower-case names."""
    return _checked(metadata.get(_VIDEO_KEY, ""))


def _checked(text: str) -> str | None:
    identifier = text.strip("\x00 ")
    return identifier.upper() if _IDENTIFIER.fullmatch(identifier) else None
