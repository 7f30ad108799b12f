"""When a recording was made: the dates in the tags of its container, each by what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from indexer.media.metadata.facts import parse_moment
from indexer.media.metadata.moments import Meaning, Moment, Precision

_CREATED: Final = "creation_time"
_DATES: Final[tuple[tuple[str, Meaning, str], ...]] = (
    ("com.apple.quicktime.creationdate", Meaning.TAKEN, "QuickTime creation date"),
    ("date_recorded", Meaning.TAKEN, "recording date"),
    ("date", Meaning.TAKEN, "date tag"),
    ("icrd", Meaning.TAKEN, "date tag"),
    ("creationdate", Meaning.TAKEN, "date tag"),
    ("date_released", Meaning.TAKEN, "release date"),
    ("wm/year", Meaning.TAKEN, "release date"),
    ("year", Meaning.TAKEN, "release date"),
    ("originaldate", Meaning.TAKEN, "original release date"),
    ("originalyear", Meaning.TAKEN, "original release date"),
    ("tdor", Meaning.TAKEN, "original release date"),
    ("tory", Meaning.TAKEN, "original release date"),
    ("wm/originalreleasetime", Meaning.TAKEN, "original release date"),
    ("wm/originalreleaseyear", Meaning.TAKEN, "original release date"),
    ("tdrl", Meaning.TAKEN, "release date"),
    (_CREATED, Meaning.DIGITISED, "creation time"),
    ("wm/encodingtime", Meaning.DIGITISED, "encoding date"),
    ("date_digitized", Meaning.DIGITISED, "digitising date"),
    ("tden", Meaning.DIGITISED, "encoding date"),
    ("date_encoded", Meaning.DIGITISED, "encoding date"),
    ("modification_date", Meaning.CHANGED, "modification date"),
    ("date_tagged", Meaning.CHANGED, "tagging date"),
    ("tdtg", Meaning.CHANGED, "tagging date"),
)
"""FFmpeg's names, lower case. It calls "date" what MP4 has as ©day, RIFF as ICRD, ID3 as TDRC or TYER, Vorbis as DATE.
Among those that say when it was recorded, the most exact meaning goes first."""
_CLOCKS: Final = frozenset({"com.apple.quicktime.creationdate", _CREATED})
"""Written by a clock, which begins in 1904 (QuickTime) or 1970 (Unix) where nobody set it."""
_EARLIEST: Final = "1971"

_TIME: Final = re.compile(r"\d{2}:\d{2}:\d{2}")
_PARTIAL: Final = re.compile(r"(\d{4})(?:[-/:.]?(\d{2}))?(?:[-/:.]?(\d{2}))?(?:[T ].*)?")
_SPOKEN: Final = "%a %b %d %H:%M:%S %Y"
"""As C's asctime writes it: "Tue Jul  2 21:30:00 2019"."""


def recording_moments(said: Mapping[str, str]) -> Iterator[Moment]:
    """The dates among the metadata of a container, by FFmpeg's names in lower case; the most trusted first."""
    for name, meaning, source in _DATES:
        text = said.get(name, "").strip("\x00 \n")
        if name == _CREATED and _TIME.fullmatch(text):
            continue  # of Broadcast WAV, which has the day apart
        if name == "date" and _TIME.fullmatch(time := said.get(_CREATED, "")) and len(text) == len("YYYY-MM-DD"):
            text = f"{text} {time}"
        moment = parse_date(text, meaning, source)
        if moment is None or (name in _CLOCKS and moment.local < _EARLIEST):
            continue
        if name == _CREATED and text.endswith("Z"):
            moment = replace(moment, utc_offset_minutes=0, in_utc=True)
        yield moment


def parse_date(text: str, meaning: Meaning, source: str) -> Moment | None:
    """A date as people and programs write it into tags, or the part of it that is known; None: it is none."""
    moment = parse_moment(text, meaning=meaning, source=source)
    if moment is not None:
        return moment
    try:
        spoken = datetime.strptime(" ".join(text.split()), _SPOKEN)
    except ValueError:
        return _partial(text, meaning, source)
    return parse_moment(spoken.isoformat(), meaning=meaning, source=source)


def _partial(text: str, meaning: Meaning, source: str) -> Moment | None:
    match = _PARTIAL.fullmatch(text)
    if match is None:
        return None
    known = [match[1]]
    for part in (match[2], match[3]):
        if part is None or part == "00":
            break
        known.append(part)
    precision: Precision = ("year", "month", "day")[len(known) - 1]
    whole = parse_moment("-".join([*known, *["01"] * (3 - len(known))]), meaning=meaning, source=source)
    return replace(whole, precision=precision) if whole is not None else None
