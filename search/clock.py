"""Times in a video or sound, as players show them, and lengths that agree with them."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(?:(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,4}):)?(?P<seconds>\d{1,6}(?:\.\d{1,6})?)", re.ASCII)


def clock(seconds: float) -> str:
    """A time: "0:42", "1:02:03"."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def length(seconds: float) -> str:
    """A length in words: "6 seconds", "1 hour 2 minutes". What is begun does not count, as in `clock`."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    named = [(hours, "hour"), (minutes, "minute"), (0 if hours else whole % 60, "second")]
    words = [f"{number} {unit}{'s' * (number != 1)}" for number, unit in named if number]
    return " ".join(words) or "less than a second"


def span(start: float, end: float) -> str:
    """From when to when: "0:42-0:51"; what lies within one second is that second."""
    first, last = clock(start), clock(end)
    return first if first == last else f"{first}-{last}"


def seconds_of(text: str) -> float | None:
    """The time that somebody wrote as "42", "0:42", "1:02:03" or "0:42.5"; None: it is no time."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    return 3600 * int(match["hours"] or 0) + 60 * int(match["minutes"] or 0) + float(match["seconds"])
