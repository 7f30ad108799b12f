"""When something was taken: the dates that the sources give, and the rule that picks one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Literal

Precision = Literal["year", "month", "day", "minute", "second"]

_KNOWN: Final[dict[Precision, int]] = {"year": 4, "month": 7, "day": 10, "minute": 16, "second": 19}
"""How many characters of "YYYY-MM-DDTHH:MM:SS" each precision vouches for."""


class Meaning(IntEnum):
    """What a date says happened then; the smaller, the closer to the taking of the photo."""

    TAKEN = 0
    DIGITISED = 1
    """The camera's sensor or a scanner made it a file."""
    LOCATED = 2
    """A satellite receiver last knew where it was."""
    CHANGED = 3
    NAMED = 4
    """Somebody or something wrote the date into the file's name."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A date as one source gives it, by the wall clock of the place."""

    local: str
    """"YYYY-MM-DDTHH:MM:SS"; what `precision` does not vouch for is the beginning of the year, month, day or minute."""
    precision: Precision = "second"
    utc_offset_minutes: int | None = None
    meaning: Meaning = Meaning.TAKEN
    source: str = ""
    """What gave it, for people: "EXIF DateTimeOriginal"."""
    zone_source: str | None = None
    """What gave the offset, for people, where that is not `source` itself."""
    in_utc: bool = False
    """The source counts in UTC: what the clocks of the place showed is for `in_local_time` to find out."""

    @property
    def known(self) -> str:
        """The part that is known: "1985-07" for a month."""
        return self.local[: _KNOWN[self.precision]]


def choose(moments: Iterable[Moment]) -> Moment | None:
    """The date to believe, of several in the order in which their sources are trusted. None: there are none.

    By meaning first, then by source. A coarse date is refined by a finer one of a taking or digitising within it, and
    one without a zone takes the zone of another that shows the same wall clock.
    """
    ranked = sorted(moments, key=lambda moment: moment.meaning)
    if not ranked:
        return None
    chosen = ranked[0]
    for other in ranked:
        finer = len(other.known) > len(chosen.known) and other.known.startswith(chosen.known)
        if finer and other.meaning <= Meaning.DIGITISED:
            chosen = other
            break
    if chosen.utc_offset_minutes is None:
        for other in ranked:
            # A receiver may show an old time: it is no witness of the zone.
            told = other.utc_offset_minutes is not None and other.meaning is not Meaning.LOCATED
            if told and other.local[:16] == chosen.local[:16]:
                zone_source = other.zone_source or other.source
                return replace(chosen, utc_offset_minutes=other.utc_offset_minutes, zone_source=zone_source)
    return chosen
