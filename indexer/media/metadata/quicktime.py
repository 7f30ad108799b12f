"""When, where and with what a video was taken: what Apple's, Android's and other cameras write into the container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from indexer.media.metadata.exif import camera_name
from indexer.media.metadata.facts import Facts, Place, clean_words, merge, place_or_none
from indexer.media.metadata.live import live_id_of_metadata
from indexer.media.metadata.moments import Moment
from indexer.media.metadata.recording_dates import recording_moments
from indexer.media.metadata.recording_words import (
    recording_description,
    recording_keywords,
    recording_notes,
    recording_title,
)
from indexer.media.metadata.xmp import xmp_facts

_PLACES: Final = ("com.apple.quicktime.location.iso6709", "location", "location-eng")
_MAKES: Final = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
_MODELS: Final = ("com.apple.quicktime.model", "com.android.model", "model")
_XMP: Final = "xmp"

_ISO_6709: Final = re.compile(r"([+-]\d{2,6}(?:\.\d+)?)([+-]\d{3,7}(?:\.\d+)?)([+-]\d+(?:\.\d+)?)?(?:CRS[^/]*)?/?")


def container_facts(metadata: Mapping[str, str]) -> Facts:
    """What a container's metadata (FFmpeg's names) say. Universal time is marked as such: see `in_local_time`."""
    said = {name.casefold(): text for name, text in metadata.items()}
    place, altitude = _place(_first(said, _PLACES))
    facts = Facts(
        moments=tuple(recording_moments(said)),
        place=place,
        altitude=altitude,
        camera=camera_name(_first(said, _MAKES), _first(said, _MODELS)),
        title=recording_title(said),
        description=recording_description(said),
        keywords=clean_words(recording_keywords(said)),
        notes=tuple(recording_notes(said)),
        live_id=live_id_of_metadata(said),
    )
    if _knows_no_zone(said):
        facts = replace(facts, moments=tuple(map(_as_local, facts.moments)))
    return merge(facts, xmp_facts(said[_XMP].encode())) if _XMP in said else facts


def _knows_no_zone(said: Mapping[str, str]) -> bool:
    """Whether the camera is one that writes its wall clock where universal time belongs: GoPro's and Nikon's do.

    See https://github.com/gopro/labs/pull/5 and https://github.com/Piwigo/piwigo-videojs/issues/98.
    """
    return said.get("major_brand") == "niko" or said.get("handler_name", "").strip("\x0b\t ").startswith("GoPro")


def _as_local(moment: Moment) -> Moment:
    return replace(moment, utc_offset_minutes=None, in_utc=False) if moment.in_utc else moment


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


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if said.get(name)), "")
