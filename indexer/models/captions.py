"""Captions of ordinary photos: the background against which a text's nearness to a photo is judged."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("captions.txt")
"""One caption a line; `#` comments."""


def background_captions() -> tuple[str, ...]:
    """Some 300 captions of what people photograph, of every kind, none of them twice."""
    lines = (line.partition("#")[0].strip() for line in FILE.read_text(encoding="utf-8").splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))
