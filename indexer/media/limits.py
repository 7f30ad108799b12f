"""How large a photo may be, and how to say that one is larger."""

from __future__ import annotations

from dataclasses import dataclass

from config.errors import TooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a single photo may cost."""

    max_pixels: int
    max_bytes: int


def too_many_bytes(size: int, limits: Limits) -> TooLarge:
    """The error for a file of more bytes than the limit."""
    return TooLarge(
        f"The file has {size:,} bytes; the limit is {limits.max_bytes:,}.",
        "Raise the limit in the settings if this is a real photo.",
    )


def too_many_pixels(width: int, height: int, limits: Limits) -> TooLarge:
    """The error for an image of more pixels than the limit."""
    return TooLarge(
        f"The image has {width:,} x {height:,} pixels; the limit is {limits.max_pixels:,}.",
        "Raise the limit in the settings if this is a real photo.",
    )
