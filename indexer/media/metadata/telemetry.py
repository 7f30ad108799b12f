"""What drones write as subtitles: where they were, and when. No words of people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from indexer.media.metadata.facts import Facts, Place, parse_moment, place_or_none
from indexer.media.metadata.moments import Moment
from indexer.records import Utterance

_LOOKED_AT: Final = 50
_NUMBER: Final = r"([+-]?\d+(?:\.\d+)?)"
_MARKS: Final = re.compile(
    r"\b(?:GPS|HOME) ?\(|\[ ?(?:iso|shutter|latitude|focal_len) ?:|\bFrameCnt ?:|\bISO ?:? ?\d+,? (?:Shutter|EV|DZOOM)",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    rf"latitude ?: ?{_NUMBER}\W.*?long?t?itude ?: ?{_NUMBER}(?:.*?(?:abs_alt|altitude) ?: ?{_NUMBER})?",
    re.IGNORECASE | re.DOTALL,
)
_BRACED: Final = re.compile(
    rf"\bGPS ?\( ?(?:([EW]) ?: ?)?{_NUMBER} ?, ?(?:([NS]) ?: ?)?{_NUMBER}(?: ?, ?{_NUMBER} ?(m\b)?)?", re.IGNORECASE
)
"""Longitude first."""
_WHEN: Final = re.compile(r"\b(\d{4}[-.:/]\d{2}[-.:/]\d{2}) (\d{2}:\d{2}:\d{2})")


def is_telemetry(cues: Sequence[Utterance]) -> bool:
    """Whether subtitles are the measurements of a drone."""
    looked_at = cues[:_LOOKED_AT]
    return bool(looked_at) and sum(_MARKS.search(cue.text) is not None for cue in looked_at) * 2 > len(looked_at)


def telemetry_facts(cues: Sequence[Utterance]) -> Facts:
    """Where a flight began, and when by the clock of the drone, which shows local time."""
    moment = next((found for cue in cues if (found := _moment(cue)) is not None), None)
    places = (_place(cue.text) for cue in cues)
    place, altitude = next((one for one in places if one[0] is not None), (None, None))
    return Facts(moments=(moment,) if moment else (), place=place, altitude=altitude)


def _place(text: str) -> tuple[Place | None, float | None]:
    if match := _NAMED.search(text):
        return place_or_none(float(match[1]), float(match[2])), float(match[3]) if match[3] else None
    if match := _BRACED.search(text):
        east = -float(match[2]) if (match[1] or "").upper() == "W" else float(match[2])
        north = -float(match[4]) if (match[3] or "").upper() == "S" else float(match[4])
        return place_or_none(north, east), None  # the third number counts metres or satellites
    return None, None


def _moment(cue: Utterance) -> Moment | None:
    match = _WHEN.search(cue.text)
    found = parse_moment(f"{match[1]} {match[2]}", source="the drone's telemetry") if match else None
    if found is None:
        return None
    began = datetime.fromisoformat(found.local) - timedelta(seconds=int(cue.start))
    return Moment(began.isoformat(), found.precision, None, found.meaning, found.source)
