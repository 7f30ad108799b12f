"""The border between other people's decoders and our error tree."""

from __future__ import annotations

import struct
import warnings
import zlib
from typing import Final

from PIL import ImageCms

DECODER_ERRORS: Final = (
    OSError,  # Pillow: truncated or unidentified; libtiff
    EOFError,  # Pillow: a chunk or frame that is not there; libheif
    SyntaxError,  # Pillow plugins: not the format that the magic promised
    ValueError,  # Pillow, piexif, libheif, NumPy: impossible values; text that will not decode
    TypeError,  # Pillow, piexif: a tag of another type than its meaning needs
    AttributeError,  # Pillow: a value missing that a later step takes for granted
    LookupError,  # IndexError, KeyError: offsets and tags that point nowhere
    ArithmeticError,  # OverflowError, ZeroDivisionError: sizes and rationals
    AssertionError,  # Pillow: internal promises that a crafted file breaks
    RuntimeError,  # libheif, libavif; RecursionError from nested structures
    struct.error,  # headers that are too short
    zlib.error,  # compressed chunks
    ImageCms.PyCMSError,  # colour profiles
)
"""What decoders and parsers raise on data that is damaged or hostile, found by feeding them such data.

Pillow raises whatever Python raises when a promise in the file is broken, so the list is long; it is still a list,
so that our own mistakes outside these types (NameError, ImportError, ...) are never taken for a damaged file.
MemoryError is not in it: that means "too large", not "damaged".
"""

# Pillow warns of every oddity in a file's metadata: nothing that anybody could act on, and noise in the journal.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
