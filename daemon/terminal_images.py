"""Pictures in a terminal, by the two protocols that most terminals with pictures understand."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import TextIO

KITTY_CHUNK = 4096
"""The kitty protocol takes base64 in pieces of at most this many characters."""


class Protocol(Enum):
    """How a terminal takes a picture."""

    KITTY = auto()
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/ (kitty, Ghostty, Konsole)"""
    ITERM = auto()
    """https://iterm2.com/documentation-images.html (iTerm2, WezTerm)"""


def detect_protocol(environ: Mapping[str, str]) -> Protocol | None:
    """What the terminal says of itself; None when it says nothing we know, or when a multiplexer is in between."""
    if environ.get("TMUX") or environ.get("STY"):
        return None
    program = environ.get("TERM_PROGRAM", "")
    if environ.get("KITTY_WINDOW_ID") or program == "ghostty" or environ.get("KONSOLE_VERSION"):
        return Protocol.KITTY
    if program in {"iTerm.app", "WezTerm"} or environ.get("LC_TERMINAL") == "iTerm2":
        return Protocol.ITERM
    return None


def draw(out: TextIO, protocol: Protocol, path: Path, *, columns: int) -> None:
    """Write a JPEG `columns` cells wide, and end the line."""
    if protocol is Protocol.ITERM:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        out.write(f"\x1b]1337;File=inline=1;width={columns};preserveAspectRatio=1:{data}\a\n")
        return
    for escape in _kitty_escapes(_png(path), columns):
        out.write(escape)
    out.write("\n")


def _kitty_escapes(png: bytes, columns: int) -> Iterator[str]:
    data = base64.b64encode(png).decode("ascii")
    for start in range(0, len(data), KITTY_CHUNK):
        more = int(start + KITTY_CHUNK < len(data))
        control = f"a=T,f=100,c={columns},m={more}" if start == 0 else f"m={more}"
        yield f"\x1b_G{control};{data[start : start + KITTY_CHUNK]}\x1b\\"


def _png(path: Path) -> bytes:
    """The kitty protocol knows PNG, not JPEG."""
    from PIL import Image  # noqa: PLC0415 - only terminals of this kind need it

    buffer = io.BytesIO()
    with Image.open(path, formats=["JPEG"]) as image:
        image.save(buffer, "PNG")
    return buffer.getvalue()
