"""The checks of `reverie doctor`: each a function that looks at one thing and yields what it found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Reverie works, but less well than it could."""
    ERROR = "error"
    """Reverie cannot work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    name: str
    """What was looked at, in a word or two."""
    level: Level
    what: str
    """The finding, one sentence."""
    fix: str = ""
    """What to do, with the command where there is one. Empty if nothing is to be done."""
