"""The date that a phone, a program or a person wrote into a file's name."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath
from typing import Final

from indexer.media.metadata.moments import Meaning, Moment, Precision

SOURCE: Final = "the file's name"

_FIRST_DIGITAL_YEAR: Final = 1990
"""Digits without separators that give an earlier year are a number, not a date."""
_EARLIEST_YEAR: Final = 1826

_TIME: Final = r"(?P<hour>[01]\d|2[0-3])(?P<t>[-._: hH]?)(?P<minute>[0-5]\d)(?P=t)(?P<second>[0-5]\d)"
_PACKED_DAY: Final = r"(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])"
_SPACED_DAY: Final = r"(?P<year>1[89]\d\d|20\d\d)(?P<d>[-._])(?P<month>0[1-9]|1[0-2])(?P=d)(?P<day>0[1-9]|[12]\d|3[01])"
_EUROPEAN_DAY: Final = r"(?P<day>0[1-9]|[12]\d|3[01])\.(?P<month>0[1-9]|1[0-2])\.(?P<year>1[89]\d\d|20\d\d)"
_BETWEEN: Final = r"(?: at |[-_. T]{1,3})"

_PATTERNS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # IMG_20210704_153012, BURST20180821100217123, Screenshot_20190201-212530
        rf"(?<!\d){_PACKED_DAY}[-_ T]?{_TIME}(?!\d{{4}})",
        # 2011-07-19 11.36.39, WhatsApp Image 2021-05-03 at 18.22.10, Screenshot_2019-02-01-21-25-30
        rf"(?<!\d){_SPACED_DAY}{_BETWEEN}{_TIME}(?!\d{{4}})",
        rf"(?<!\d){_SPACED_DAY}(?!\d)",
        rf"(?<!\d){_EUROPEAN_DAY}(?!\d)",
        # IMG-20161224-WA0014: eight digits alone are a date only where they stand apart.
        rf"(?<![0-9A-Za-z]){_PACKED_DAY}(?![0-9A-Za-z])",
    )
)
_MILLISECONDS: Final = re.compile(r"(?:mmexport|wx_camera_|FB_IMG_|received_video_)(?P<milliseconds>1\d{12})(?!\d)")
"""WeChat and Facebook count milliseconds since 1970."""
_UTC_NAMES: Final = re.compile(r"PXL_")
"""Google's camera writes UTC into the names of its photos and videos."""


def named_moment(path: str) -> Moment | None:
    """The date in a file's name, None if it has none: a serial number is no date, nor is a day yet to come."""
    name = PurePath(path).stem
    if match := _MILLISECONDS.match(name):
        taken = datetime.fromtimestamp(int(match["milliseconds"]) // 1000, UTC).replace(tzinfo=None)
        return Moment(taken.isoformat(), "second", 0, Meaning.NAMED, SOURCE, in_utc=True)
    for pattern in _PATTERNS:
        for match in pattern.finditer(name):
            if (moment := _moment(match)) is not None:
                utc = _UTC_NAMES.match(name) is not None and moment.precision == "second"
                offset = 0 if utc else None
                return Moment(moment.local, moment.precision, offset, Meaning.NAMED, SOURCE, in_utc=utc)
    return None


def _moment(match: re.Match[str]) -> Moment | None:
    parts = match.groupdict()
    packed = "d" not in parts and "." not in match[0]
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    try:
        moment = datetime(int(parts["year"]), int(parts["month"]), int(parts["day"]), hour, minute, second)
    except ValueError:
        return None
    earliest = _FIRST_DIGITAL_YEAR if packed else _EARLIEST_YEAR
    if moment.year < earliest or moment.date() > date.today() + timedelta(days=1):
        return None
    precision: Precision = "second" if "hour" in parts else "day"
    return Moment(moment.isoformat(), precision)
