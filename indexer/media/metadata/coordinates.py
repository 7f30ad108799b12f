"""Coordinates as cameras, phones and programs spell them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?(?:/\d+(?:\.\d+)?)?")
_SPELLING: Final = re.compile(r"[\s\d.,:;/\u00b0\u2032\u2033'\"+-]*")
"""What may stand in a coordinate once the words and the side are taken away."""
_WORDS: Final = re.compile(r"deg(?:rees?)?|min(?:utes?)?|sec(?:onds?)?", re.IGNORECASE)
_SIDE_WORDS: Final = frozenset({"N", "NORTH", "S", "SOUTH", "E", "EAST", "W", "WEST"})
_SIDES: Final = {"N": 1, "E": 1, "S": -1, "W": -1}


def degrees_of(parts: Sequence[float], side: str) -> float | None:
    """Degrees, with their sign, from degrees, minutes and seconds; `side` is "N", "S", "E" or "W", whatever its case
    and what follows. None for impossible ones, and without a side: the hemisphere would be a guess.

    Minutes and seconds of 0/0 are what receivers write that do not use them.
    """
    sign = _SIDES.get(side.strip()[:1].upper())
    if sign is None:
        return None
    size = _size(parts)
    return None if size is None else sign * size


def parse_degrees(text: str, side: str = "", *, sides: str) -> float | None:
    """Degrees from "51,30.5N", "51,30,30N", "51.508N", "51 deg 30' 30.0\\" N", or "-0.125", which has its own sign.

    `side`: as a property of its own has it; `sides`: the two letters there are. None for what is none of these.
    """
    text = _WORDS.sub(" ", text.strip())
    letters = re.findall("[A-Za-z]+", text)
    if len(letters) > 1 or any(word.upper() not in _SIDE_WORDS for word in letters):
        return None
    if not _SPELLING.fullmatch(re.sub("[A-Za-z]+", "", text)):
        return None
    side = (letters[0] if letters else side).strip()[:1].upper()
    if side and side not in sides:
        return None
    numbers = [_value(number) for number in _NUMBER.findall(text)]
    size = _size(numbers)
    if size is None:
        return None
    if text.lstrip().startswith("-"):
        return -size
    return size * _SIDES[side] if side else size


def _size(parts: Sequence[float]) -> float | None:
    if not 1 <= len(parts) <= 3 or not math.isfinite(parts[0]):
        return None
    degrees, minutes, seconds = (*parts, 0.0, 0.0)[:3]
    minutes, seconds = (0.0 if math.isnan(part) else part for part in (minutes, seconds))
    if not (degrees >= 0 and 0 <= minutes < 60 and 0 <= seconds <= 60):
        return None
    return degrees + minutes / 60 + seconds / 3600


def _value(text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    if not slash:
        return float(text)
    return float(numerator) / float(denominator) if float(denominator) else math.nan
