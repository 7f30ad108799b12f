"""From facts to the record of a media file."""

from __future__ import annotations

from typing import TypedDict

from indexer.media.metadata.facts import Facts
from indexer.media.metadata.moments import choose
from indexer.records import MediaInfo, Note, Stage, Tag
from indexer.vocabulary import KEYWORD_SOURCE


class Said(TypedDict):
    """What stage "metadata" contributes to a `MediaInfo`."""

    taken_at: str | None
    taken_precision: str | None
    taken_source: str | None
    utc_offset_minutes: int | None
    zone_source: str | None
    latitude: float | None
    longitude: float | None
    altitude: float | None
    camera: str | None
    lens: str | None
    exposure_seconds: float | None
    f_number: float | None
    iso: int | None
    focal_length_mm: float | None
    title: str | None
    description: str | None
    keywords: tuple[str, ...]
    people: tuple[str, ...]
    rating: int | None
    notes: tuple[Note, ...]
    sidecar_orientation: int | None
    live_id: str | None


def said_by(facts: Facts) -> Said:
    """What a file and its sidecars say, as the fields of its `MediaInfo`."""
    moment, place = choose(facts.moments), facts.place
    return {
        "taken_at": moment.local if moment else None,
        "taken_precision": moment.precision if moment else None,
        "taken_source": moment.source or None if moment else None,
        "utc_offset_minutes": moment.utc_offset_minutes if moment else None,
        "zone_source": moment.zone_source if moment else None,
        "latitude": place.latitude if place else None,
        "longitude": place.longitude if place else None,
        "altitude": facts.altitude,
        "camera": facts.camera,
        "lens": facts.lens,
        "exposure_seconds": facts.exposure_seconds,
        "f_number": facts.f_number,
        "iso": facts.iso,
        "focal_length_mm": facts.focal_length_mm,
        "title": facts.title,
        "description": facts.description,
        "keywords": facts.keywords,
        "people": facts.people,
        "rating": facts.rating,
        "notes": facts.notes,
        "sidecar_orientation": facts.orientation,
        "live_id": facts.live_id,
    }


def says_something(info: MediaInfo) -> bool:
    """Whether a file says more about itself than what it is."""
    return any(getattr(info, name) not in (None, ()) for name in Said.__annotations__)


def keyword_tags(info: MediaInfo) -> dict[str, tuple[Tag, ...]]:
    """The keywords of a file as tags, so that `tag:` knows them, by the stage that read them."""
    tags = tuple(Tag(word.casefold(), 1.0, KEYWORD_SOURCE) for word in info.keywords)
    return {Stage.METADATA: tags} if tags else {}
