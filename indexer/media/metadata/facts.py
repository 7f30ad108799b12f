"""What one source (EXIF, XMP, IPTC, a container) says about a file, and how several sources become one answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Final

from indexer.media.border import DECODER_ERRORS
from indexer.media.metadata.camera_words import is_camera_text
from indexer.media.metadata.moments import Meaning, Moment, Precision
from indexer.records import Note

_EARLIEST_YEAR: Final = 1826
"""The oldest surviving photograph."""

_MOMENT: Final = re.compile(
    r"(?P<year>\d{4})(?:[:/.-](?P<month>\d{1,2}|  )(?:[:/.-](?P<day>\d{1,2}|  ))?)?"
    r"(?:[T ] ?(?P<hour>\d{1,2}|  ): ?(?P<minute>\d{1,2}|  )(?:: ?(?P<second>\d{1,2}|  ))?"
    r"(?:[.,]\d+)? ?(?P<zone>Z|[+-]\S+)?)?"
)
_LAST_HOUR, _LAST_MINUTE, _LAST_SECOND = 23, 59, 59
_ZONE: Final = re.compile(r"(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d{2})")
_WIDEST_OFFSET: Final = 14 * 60
_LONGEST_TEXT: Final = 10_000
_LONGEST_WORD: Final = 200
_MOST_WORDS: Final = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees, WGS 84, north and east positive."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one source says. Empty is "does not say"; names and units as in `MediaInfo`."""

    moments: tuple[Moment, ...] = ()
    """Most trusted first among those of one meaning."""
    place: Place | None = None
    altitude: float | None = None
    camera: str | None = None
    lens: str | None = None
    exposure_seconds: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    rating: int | None = None
    notes: tuple[Note, ...] = ()
    """At most one of each label."""
    orientation: int | None = None
    """As EXIF counts it, 1 to 8; only sidecars say it here, the decoder knows the file's own."""
    live_id: str | None = None


def merge(*sources: Facts) -> Facts:
    """Per fact, the first source that says something; the dates of all, and of the notes the first of each label."""
    merged: dict[str, Any] = {}
    for field in fields(Facts):
        said = [value for source in sources if (value := getattr(source, field.name)) not in (None, ())]
        if said:
            merged[field.name] = said[0]
    merged["moments"] = tuple(moment for source in sources for moment in source.moments)
    notes = {note.label: note for source in reversed(sources) for note in source.notes}
    merged["notes"] = tuple(notes.values())
    return Facts(**merged)


def parse_moment(
    text: str, zone: str | None = None, *, meaning: Meaning = Meaning.TAKEN, source: str = ""
) -> Moment | None:
    """A date as EXIF ("2021:06:01 12:00:00") or XMP (ISO 8601) writes it; None for impossible ones.

    Zeros and blanks stand for what is not known: "1993:08:00" is a month, "1961" a year. Some cameras count the hour
    after midnight as the 24th, of the day that begins. Impossible are days that no calendar has, and years before
    photography or after the next one.
    """
    match = _MOMENT.fullmatch(text.strip("\x00 ").rstrip(":-/. "))
    if match is None:
        return None
    year, month, day = (int((match[name] or "").strip() or 0) for name in ("year", "month", "day"))
    hour, minute, second = ((match[name] or "").strip() for name in ("hour", "minute", "second"))
    precision: Precision = "year" if not month else "month" if not day else "day"
    clock = (0, 0, 0)
    if precision == "day" and hour and minute and int(hour) <= _LAST_HOUR + 1 and int(minute) <= _LAST_MINUTE:
        precision = "second" if second else "minute"
        clock = (int(hour) % (_LAST_HOUR + 1), int(minute), min(int(second or 0), _LAST_SECOND))
    try:
        moment = datetime(year, month or 1, (day or 1) if month else 1, *clock)
    except DECODER_ERRORS:
        return None
    if not _EARLIEST_YEAR <= moment.year <= date.today().year + 1:
        return None
    offset = parse_offset(zone or match["zone"] or "") if precision in ("minute", "second") else None
    return Moment(moment.isoformat(), precision, offset, meaning, source)


def parse_offset(text: str) -> int | None:
    """Minutes east of UTC from "+02:00", "-0330" or "Z"; None when it is none of these."""
    text = text.strip("\x00 ")
    if text == "Z":
        return 0
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    offset = int(match["hours"]) * 60 + int(match["minutes"])
    return None if offset > _WIDEST_OFFSET else offset if match["sign"] == "+" else -offset


def place_or_none(latitude: float | None, longitude: float | None) -> Place | None:
    """A place on Earth. Both zero is what receivers write when they know nothing."""
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None
    # A comparison with NaN is false, so an unknown part makes an unknown place.
    return Place(round(latitude, 7), round(longitude, 7)) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def notes(*labelled: tuple[str, str | None]) -> tuple[Note, ...]:
    """Those of these texts in which a person wrote something, each with its label."""
    cleaned = ((label, clean_text(text)) for label, text in labelled)
    return tuple(Note(label, text) for label, text in cleaned if text and not is_camera_text(text))


def stars_of(percent: float | None) -> int | None:
    """Stars from Microsoft's rating in percent: 1, 25, 50, 75 and 99 are one to five."""
    if percent is None or not 0 < percent <= 100:
        return None
    return min(5, 1 + round(percent / 25))


def decode_western(value: bytes) -> str:
    """UTF-8 where it is valid, which Western text of other encodings rarely is; else Windows-1252, which is Latin-1
    with quotation marks and dashes in place of control characters."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not value[: error.start].isascii():
            return value[: error.start].decode()  # the field was full in the middle of a letter
        return "".join(bytes([byte]).decode("cp1252", "replace").replace("\ufffd", " ") for byte in value)


def without_camera_words(facts: Facts, camera: str | None) -> Facts:
    """The facts without a title or description that the camera or a program wrote."""
    return replace(
        facts,
        title=None if facts.title and is_camera_text(facts.title, camera) else facts.title,
        description=None if facts.description and is_camera_text(facts.description, camera) else facts.description,
    )


def clean_text(text: str | None) -> str | None:
    """Text fit to store and show: no control characters or lone surrogates, not endless; None when nothing is left."""
    if text is None:
        return None
    kept = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text[:_LONGEST_TEXT])
    return kept.strip() or None


def clean_words(words: list[str]) -> tuple[str, ...]:
    """Keywords or names: each once, whatever its case, in the order given."""
    kept: dict[str, str] = {}
    for word in words[:_MOST_WORDS]:
        cleaned = clean_text(word[:_LONGEST_WORD])
        if cleaned:
            kept.setdefault(cleaned.casefold(), cleaned)
    return tuple(kept.values())
