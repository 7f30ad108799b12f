"""Dates as people write them, to spans of days: "2021-06", "last summer", "3 days ago", "christmas 2019".

English only. Seasons are the meteorological ones of the northern hemisphere (summer is June to August, a winter
is named by the year its December is in). A name without a year means the latest one that has begun.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS: tuple[str, ...] = ("january", "february", "march", "april", "may", "june", "july", "august", "september")
_MONTHS += ("october", "november", "december")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70}
_DECADES |= {"eighties": 80, "nineties": 90}
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_COUNTS |= {"eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12}
EXAMPLES = '2021, 2021-06, 2021-06-05, yesterday, "june 2020", "last summer", "3 days ago", "christmas 2019"'

_YEAR = r"(?P<year>1[89]\d\d|2[01]\d\d)"
_MONTH_NAME = r"(?P<month_name>[a-z]{3,9})"
_UNIT = r"(?P<unit>day|week|month|year)s?"
_DAY = r"(?P<day>\d\d?)(?:st|nd|rd|th)?"
_CALENDAR = (
    _YEAR,
    rf"{_YEAR}[-/.](?P<month>\d\d?)",
    rf"{_YEAR}([-/.])(?P<month>\d\d?)\2(?P<day>\d\d?)",
    rf"{_YEAR}(?P<month>\d\d)(?P<day>\d\d)",
    rf"(?P<day>\d\d?)\.(?P<month>\d\d?)\.{_YEAR}",
    r"(?P<decade>(?:1[89]|20)\d)0 ?s",
    rf"{_MONTH_NAME}(?: of)? {_YEAR}",
    rf"{_YEAR} {_MONTH_NAME}",
    rf"{_DAY}(?: of)? {_MONTH_NAME} {_YEAR}",
    rf"{_MONTH_NAME} {_DAY} {_YEAR}",
)
_COUNT = r"(?P<count>\d{1,4}|" + "|".join(_COUNTS) + ")"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The days from `start` up to, and without, `end`."""

    start: date
    end: date


def parse_span(text: str, today: date) -> Span | None:
    """The span a text names, or None if it is not a date we understand.

    `a..b` is from the beginning of `a` to the end of `b`. Never raises, whatever the text.
    """
    words = " ".join(re.sub("[,'\N{RIGHT SINGLE QUOTATION MARK}]", " ", text.casefold()).split())
    words = re.sub(r"^(?:in|on|the|during) ", "", words)
    first, dots, last = words.partition("..")
    try:
        if dots:
            if ".." in last:
                return None  # a range has two ends
            begin, finish = parse_span(first, today), parse_span(last, today)
            return Span(begin.start, finish.end) if begin and finish and begin.start < finish.end else None
        return _calendar(words) or _relative(words, today) or _named(words, today)
    except (ValueError, OverflowError):  # the 31st of June, or a million years ago
        return None


def in_month(year: int, month: int, months: int = 1) -> Span:
    """`months` whole months from the given one on; month may run past 12."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    last = month - 1 + months
    return Span(date(year, month, 1), date(year + last // 12, last % 12 + 1, 1))


def _days(start: date, count: int = 1) -> Span:
    return Span(start, start + timedelta(days=count))


def _month_number(name: str) -> int | None:
    matches = [i for i, month in enumerate(_MONTHS, 1) if month == name or name in (month[:3], month[:4])]
    return matches[0] if matches else None


def _calendar(words: str) -> Span | None:
    """Numbers, and months by name with a year."""
    match = next(filter(None, (re.fullmatch(pattern, words) for pattern in _CALENDAR)), None)
    if match is None:
        return None
    parts = match.groupdict()
    if "decade" in parts:
        return in_month(int(parts["decade"]) * 10, 1, 120)
    year, month = int(parts["year"]), parts.get("month")
    number = _month_number(parts["month_name"]) if "month_name" in parts else int(month) if month else None
    if "day" in parts and number:
        return _days(date(year, number, int(parts["day"])))
    if number is None:
        return in_month(year, 1, 12) if words == parts["year"] else None
    return in_month(date(year, number, 1).year, number)


def _relative(words: str, today: date) -> Span | None:
    """What is counted from today."""
    if words in ("today", "yesterday"):
        return _days(today - timedelta(days=words == "yesterday"))
    if match := re.fullmatch(rf"{_COUNT} {_UNIT} ago", words):
        return _days(_back(today, _count(match["count"]), match["unit"]))
    if match := re.fullmatch(rf"(?:last|past) {_COUNT} {_UNIT}", words):
        return Span(_back(today, _count(match["count"]), match["unit"]), today + timedelta(days=1))
    monday = today - timedelta(days=today.weekday())
    spans = {
        "this week": _days(monday, 7),
        "last week": _days(monday - timedelta(days=7), 7),
        "this weekend": _days(monday + timedelta(days=5), 2),
        "last weekend": _days(monday - timedelta(days=2), 2),
        "this month": in_month(today.year, today.month),
        "last month": in_month(today.year, today.month - 1),
        "this year": in_month(today.year, 1, 12),
        "last year": in_month(today.year - 1, 1, 12),
    }
    return spans.get(words)


def _count(word: str) -> int:
    return _COUNTS.get(word) or int(word)


def _back(today: date, count: int, unit: str) -> date:
    if unit in ("day", "week"):
        return today - timedelta(days=count * (7 if unit == "week" else 1))
    month = in_month(today.year, today.month - count * (12 if unit == "year" else 1))
    return min(month.start.replace(day=1) + timedelta(days=today.day - 1), month.end - timedelta(days=1))


def _named(words: str, today: date) -> Span | None:
    """Seasons, months, weekdays, decades and feasts, alone or with a year, "last" or "this"."""
    match = re.fullmatch(rf"(?:(?P<which>last|this|previous) )?(?P<name>[a-z0-9 ]+?)(?:(?: of)? {_YEAR})?", words)
    if not match:
        return None
    which, name, year = match["which"], match["name"], match["year"]
    if name in _WEEKDAYS and not year:
        back = (today.weekday() - _WEEKDAYS.index(name)) % 7
        return _days(today - timedelta(days=back or (7 if which in ("last", "previous") else 0)))
    if (decade := _decade(name)) is not None:
        century = 1900 if decade > today.year % 100 else 2000
        return in_month(century + decade, 1, 120)
    yearly = _yearly(name)
    if yearly is None:
        return None
    if year or which == "this":
        return yearly(int(year or today.year))
    candidates = [yearly(today.year - back) for back in range(3)]
    # "last summer" in August is last year's; "summer" alone is the one we are in.
    begun = [span for span in candidates if (span.end if which else span.start) <= today]
    return begun[0]


def _decade(name: str) -> int | None:
    return int(name[:2]) if re.fullmatch(r"[0-9]0s", name) else _DECADES.get(name)


def _yearly(name: str) -> Callable[[int], Span] | None:
    """What comes back every year, as year -> span."""
    if name in _SEASONS:
        return lambda year: in_month(year, _SEASONS[name], 3)
    if month := _month_number(name):
        return lambda year: in_month(year, month)
    return _FEASTS.get(re.sub(r" s\b", "", name).removesuffix(" day"))


def _easter(year: int) -> date:
    """Western Easter Sunday (the anonymous Gregorian computus, Nature 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    k = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * k) // 451
    month, day = divmod(h + k - 7 * m + 114, 31)
    return date(year, month, day + 1)


_FEASTS: Mapping[str, Callable[[int], Span]] = {
    "christmas": lambda year: _days(date(year, 12, 24), 3),
    "xmas": lambda year: _days(date(year, 12, 24), 3),
    "easter": lambda year: _days(_easter(year) - timedelta(days=2), 4),
    "halloween": lambda year: _days(date(year, 10, 31)),
    "new year eve": lambda year: _days(date(year, 12, 31)),
    "new year": lambda year: _days(date(year, 1, 1)),
    "valentine": lambda year: _days(date(year, 2, 14)),
}
