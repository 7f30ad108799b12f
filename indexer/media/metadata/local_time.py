"""From universal time, which most cameras write into videos and Google into its notes, to the clocks of the place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzfpy

from indexer.media.metadata.facts import Place
from indexer.media.metadata.moments import Meaning, Moment

BY_PLACE: Final = "the place"
BY_COMPUTER: Final = "this computer's time zone"

_OFFSETS: Final = (
    *range(-12 * 60, 14 * 60 + 1, 60),
    *(-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825),
)
"""Minutes east of UTC that are or were in use."""
_SAME: Final = 2.0
"""Seconds by which two writings of one moment may differ."""
_SLACK: Final = 90.0
"""Seconds between the naming of a file and the time inside it; some cameras write the time at which they stop."""


def in_local_time(moments: Iterable[Moment], place: Place | None, seconds: float) -> tuple[Moment, ...]:
    """The moments with all universal time turned into local time; `seconds`: how long a recording lasts; 0 for a
    photo.

    The zone comes from another source that states local time with it, else from the place, else from one that states
    local time alone (the file's name), else from this computer. Universal time that shows what a wall clock showed
    was local time all along: many cameras know no zone.
    """
    moments = tuple(moments)
    clocks = [one for one in moments if not one.in_utc and one.precision == "second"]
    return tuple(_local(one, clocks, place, seconds) if one.in_utc else one for one in moments)


def _local(universal: Moment, clocks: Sequence[Moment], place: Place | None, seconds: float) -> Moment:
    instant = datetime.fromisoformat(universal.local).replace(tzinfo=UTC)
    for clock in clocks:
        apart = _apart(clock, instant)
        if clock.utc_offset_minutes and _is_near(apart - clock.utc_offset_minutes * 60.0, seconds):
            return _at(universal, instant, clock.utc_offset_minutes, clock.zone_source or clock.source)
    zoneless = [clock for clock in clocks if clock.utc_offset_minutes is None]
    if any(abs(_apart(clock, instant)) <= _SAME and clock.meaning is Meaning.NAMED for clock in zoneless):
        return replace(universal, utc_offset_minutes=None, in_utc=False)
    zone = _zone_of(place)
    if zone is not None:
        return _at(universal, instant, _minutes(instant.astimezone(zone)), BY_PLACE)
    for clock in zoneless:
        offset = _offset(_apart(clock, instant), seconds)
        if offset is not None:
            return _at(universal, instant, offset, clock.source)
    return _at(universal, instant, _minutes(instant.astimezone()), BY_COMPUTER)


def _apart(clock: Moment, instant: datetime) -> float:
    """Seconds by which a wall clock is ahead of universal time."""
    return (datetime.fromisoformat(clock.local).replace(tzinfo=UTC) - instant).total_seconds()


def _is_near(apart: float, seconds: float) -> bool:
    """Whether a time may be that of the beginning of a recording, where the other is that of its beginning or end."""
    return min(abs(apart), abs(apart + seconds)) <= _SLACK


def _offset(apart: float, seconds: float) -> int | None:
    """The offset that explains how far a wall clock is ahead of universal time."""
    near = [offset for offset in _OFFSETS if _is_near(apart - offset * 60.0, seconds)]
    return min(near, key=lambda offset: abs(apart - offset * 60.0), default=None)


def _zone_of(place: Place | None) -> ZoneInfo | None:
    if place is None:
        return None
    try:
        return ZoneInfo(tzfpy.get_tz(place.longitude, place.latitude))
    except (ValueError, ZoneInfoNotFoundError):
        return None  # a place in no zone, or in one that came after our list of zones


def _minutes(there: datetime) -> int:
    return round((there.utcoffset() or timedelta()).total_seconds() / 60)


def _at(universal: Moment, instant: datetime, offset: int, zone_source: str) -> Moment:
    there = (instant + timedelta(minutes=offset)).replace(tzinfo=None)
    return replace(universal, local=there.isoformat(), utc_offset_minutes=offset, zone_source=zone_source, in_utc=False)
