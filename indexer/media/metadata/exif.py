"""What a photo's EXIF block says about it (CIPA DC-008, "Exif 3.0")."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from PIL.ExifTags import GPS, Base

from indexer.media.metadata.coordinates import degrees_of
from indexer.media.metadata.exif_blocks import ExifBlock, as_bytes, comment_text, numbers, text, windows_text
from indexer.media.metadata.facts import (
    Facts,
    Place,
    clean_text,
    clean_words,
    notes,
    parse_moment,
    place_or_none,
    stars_of,
)
from indexer.media.metadata.live import live_id_of_note
from indexer.media.metadata.moments import Meaning, Moment

_MOMENTS: Final = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Meaning.TAKEN),
    (Base.DateTimeDigitized, Base.OffsetTimeDigitized, Meaning.DIGITISED),
)
_COMPANY: Final = re.compile(
    r",? +(corporation|corp\.?|company|co\.?(, ?ltd\.?)?|ltd\.?|inc\.?|imaging|optical|electric)(?= |,|$)",
    re.IGNORECASE,
)
_WINDOWS_RATING: Final = 0x4746
_WINDOWS_PERCENT: Final = 0x4749
_STARS: Final = range(1, 6)
_ALTITUDES: Final = (-11_000.0, 100_000.0)
_BELOW_SEA_LEVEL: Final = (1, 3)
_ISO_IN_ANOTHER_TAG: Final = 65535
_QUARTER_HOUR: Final = 15 * 60
_GPS_TOLERANCE_SECONDS: Final = 10
_FARTHEST_FROM_SOLAR_TIME: Final = 4 * 60


def exif_facts(exif: ExifBlock) -> Facts:
    """What the camera wrote."""
    image, photo, gps = exif.image, exif.photo, exif.gps
    place = _place(gps)
    return Facts(
        moments=tuple(_moments(exif, place)),
        place=place,
        altitude=_altitude(gps),
        camera=camera_name(text(image.get(Base.Make)), text(image.get(Base.Model))),
        lens=clean_text(text(photo.get(Base.LensModel))),
        exposure_seconds=_positive(photo, Base.ExposureTime),
        f_number=_positive(photo, Base.FNumber),
        iso=_iso(photo),
        focal_length_mm=_positive(photo, Base.FocalLength),
        description=clean_text(text(image.get(Base.ImageDescription))),
        notes=notes(
            ("comment", comment_text(photo.get(Base.UserComment))),
            ("artist", text(image.get(Base.Artist))),
            ("document", text(image.get(Base.DocumentName))),
        ),
        live_id=live_id_of_note(as_bytes(photo.get(Base.MakerNote))),
    )


def windows_facts(exif: ExifBlock) -> Facts:
    """What a person wrote with Windows Explorer, which keeps it in EXIF tags of its own."""
    image = exif.image
    rating = _first(image, _WINDOWS_RATING)
    return Facts(
        title=clean_text(windows_text(image.get(Base.XPTitle))),
        description=clean_text(windows_text(image.get(Base.XPComment))),
        keywords=clean_words(windows_text(image.get(Base.XPKeywords)).split(";")),
        rating=int(rating) if rating is not None and rating in _STARS else stars_of(_first(image, _WINDOWS_PERCENT)),
        notes=notes(
            ("subject", windows_text(image.get(Base.XPSubject))), ("artist", windows_text(image.get(Base.XPAuthor)))
        ),
    )


def _first(tags: Mapping[int, Any], tag: int) -> float | None:
    value = next(iter(numbers(tags.get(tag))), math.nan)
    return value if math.isfinite(value) else None


def _positive(tags: Mapping[int, Any], tag: int) -> float | None:
    value = _first(tags, tag)
    return value if value is not None and value > 0 else None


def _iso(photo: Mapping[int, Any]) -> int | None:
    value = _positive(photo, Base.ISOSpeedRatings)
    if value is None or value >= _ISO_IN_ANOTHER_TAG:
        # Two bytes were too few for modern sensors: Exif 2.3 moved larger values.
        value = _positive(photo, Base.RecommendedExposureIndex) or _positive(photo, Base.StandardOutputSensitivity)
    return round(value) if value else None


def camera_name(make: str, model: str) -> str | None:
    """The make without what only a company register needs, and not twice: cameras often repeat it in the model."""
    make = _COMPANY.sub("", make).strip(" ,")
    words = make.casefold().split()
    if words and any(word in words for word in model.casefold().split()[:1]):
        make = ""
    return clean_text(f"{make} {model}")


def _moments(exif: ExifBlock, place: Place | None) -> Iterator[Moment]:
    candidates = [(tag, exif.photo.get(tag), exif.photo.get(zone), meaning) for tag, zone, meaning in _MOMENTS]
    if Base.Make in exif.image or Base.Model in exif.image:
        # DateTime is when the file was last changed: old cameras wrote nothing else, but neither do image editors.
        zone = exif.photo.get(Base.OffsetTime)
        candidates.append((Base.DateTime, exif.image.get(Base.DateTime), zone, Meaning.CHANGED))
    for tag, time, zone, meaning in candidates:
        moment = parse_moment(text(time), text(zone), meaning=meaning, source=f"EXIF {tag.name}")
        if moment is None:
            continue
        if moment.utc_offset_minutes is None and (offset := _offset_by_gps(moment, exif.gps, place)) is not None:
            moment = replace(moment, utc_offset_minutes=offset, zone_source="EXIF GPS time")
        yield moment
    if (fix := _moment_of_fix(exif.gps)) is not None:
        yield fix


def _moment_of_fix(gps: Mapping[int, Any]) -> Moment | None:
    """When the receiver last knew where it was, which it counts in UTC."""
    day = parse_moment(text(gps.get(GPS.GPSDateStamp)), meaning=Meaning.LOCATED, source="EXIF GPS time")
    clock = numbers(gps.get(GPS.GPSTimeStamp))
    if day is None or day.precision != "day" or len(clock) != 3 or not all(map(math.isfinite, clock)):
        return day
    hours, minutes, seconds = map(int, clock)
    moment = parse_moment(f"{day.known} {hours:02}:{minutes:02}:{seconds:02}Z")
    return (
        day
        if moment is None
        else replace(day, local=moment.local, precision="second", utc_offset_minutes=0, in_utc=True)
    )


def _offset_by_gps(moment: Moment, gps: Mapping[int, Any], place: Place | None) -> int | None:
    """The zone as the difference between the camera's clock and GPS time, or None where that is not certain.

    It must be a whole number of quarter hours to within seconds, which a stale GPS fix rarely is, and fit the
    longitude. Zero proves nothing: some phones write local time where UTC belongs.
    """
    clock = numbers(gps.get(GPS.GPSTimeStamp))
    day = parse_moment(text(gps.get(GPS.GPSDateStamp)))
    if day is None or place is None or len(clock) != 3 or not all(math.isfinite(part) for part in clock):
        return None
    hours, minutes, seconds = clock
    local = datetime.fromisoformat(moment.local) - datetime.fromisoformat(day.local)
    difference = local.total_seconds() - (hours * 3600 + minutes * 60 + seconds)
    offset = round(difference / _QUARTER_HOUR) * _QUARTER_HOUR
    solar_minutes = place.longitude * 4
    certain = (
        offset != 0
        and abs(difference - offset) <= _GPS_TOLERANCE_SECONDS
        and abs(offset / 60 - solar_minutes) <= _FARTHEST_FROM_SOLAR_TIME
    )
    return offset // 60 if certain else None


def _place(gps: Mapping[int, Any]) -> Place | None:
    return place_or_none(
        degrees_of(numbers(gps.get(GPS.GPSLatitude)), text(gps.get(GPS.GPSLatitudeRef))),
        degrees_of(numbers(gps.get(GPS.GPSLongitude)), text(gps.get(GPS.GPSLongitudeRef))),
    )


def _altitude(gps: Mapping[int, Any]) -> float | None:
    value = _first(gps, GPS.GPSAltitude)
    if value is None:
        return None
    reference = gps.get(GPS.GPSAltitudeRef)
    # A single byte: an integer from piexif, bytes from Pillow.
    below = (reference[0] if isinstance(reference, bytes) and reference else reference) in _BELOW_SEA_LEVEL
    value = -value if below else value
    return round(value, 2) if _ALTITUDES[0] <= value <= _ALTITUDES[1] else None
