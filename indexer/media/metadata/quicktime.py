"""When, where and with what a video was taken: what Apple's, Android's and other cameras write into the container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from indexer.media.metadata.exif import camera_name
from indexer.media.metadata.facts import Facts, Place, clean_text, parse_moment, place_or_none
from indexer.media.metadata.live import live_id_of_metadata
from indexer.media.metadata.moments import Moment

_LOCAL_TIMES: Final = ("com.apple.quicktime.creationdate",)
_UTC_TIMES: Final = ("creation_time",)
_PLACES: Final = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
_MAKES: Final = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
_MODELS: Final = ("com.apple.quicktime.model", "com.android.model", "model")
_TITLES: Final = ("com.apple.quicktime.title", "title")
_DESCRIPTIONS: Final = ("com.apple.quicktime.description", "description", "comment")

_EARLIEST: Final = "1971"
"""QuickTime's clock begins in 1904 and Unix's in 1970: cameras without a set clock write either."""

_ISO_6709: Final = re.compile(r"([+-]\d{2,6}(?:\.\d+)?)([+-]\d{3,7}(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?(?:CRS[^/]*)?/?")


def container_facts(metadata: Mapping[str, str]) -> Facts:
    """What a container's metadata (FFmpeg's names) say. Times of QuickTime are UTC; Apple's also state the zone."""
    said = {name.casefold(): text for name, text in metadata.items()}
    place, altitude = _place(_first(said, _PLACES))
    return Facts(
        moments=tuple(_moments(said)),
        place=place,
        altitude=altitude,
        camera=camera_name(_first(said, _MAKES), _first(said, _MODELS)),
        title=clean_text(_first(said, _TITLES)),
        description=clean_text(_first(said, _DESCRIPTIONS)),
        live_id=live_id_of_metadata(said),
    )


def parse_iso6709(text: str) -> tuple[float, float, float | None] | None:
    """Latitude, longitude (degrees) and altitude (metres) from ISO 6709, annex H: "+48.8577+002.2950+035/".

    Degrees, degrees and minutes, or all three with seconds. None when it is none of these.
    """
    match = _ISO_6709.fullmatch(text.strip("\x00 "))
    if match is None:
        return None
    latitude, longitude = _degrees(match[1], 2), _degrees(match[2], 3)
    return latitude, longitude, float(match[3]) if match[3] else None


def _degrees(text: str, digits: int) -> float:
    whole, point, part = text[1:].partition(".")
    # The number of digits before the point says what they are: DD, DDMM or DDMMSS (one more for longitudes).
    fields = [whole[:digits], whole[digits : digits + 2], whole[digits + 2 :]]
    used = [field for field in fields if field]
    used[-1] += point + part
    value = sum((float(field) / 60.0**power for power, field in enumerate(used)), 0.0)
    return -value if text[0] == "-" else value


def _place(text: str) -> tuple[Place | None, float | None]:
    found = parse_iso6709(text)
    if found is None:
        return None, None
    place = place_or_none(found[0], found[1])
    return place, found[2] if place else None


def _moments(said: Mapping[str, str]) -> Iterator[Moment]:
    local = _believable(parse_moment(_first(said, _LOCAL_TIMES), source="QuickTime creationdate"))
    if local is not None:
        yield local
    moment = _believable(parse_moment(_first(said, _UTC_TIMES), source="creation_time"))
    if moment is not None:
        yield replace(moment, utc_offset_minutes=moment.utc_offset_minutes or 0)


def _believable(moment: Moment | None) -> Moment | None:
    return moment if moment is not None and moment.local >= _EARLIEST else None


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if said.get(name)), "")
