"""What an XMP packet says about a photo (ISO 16684-1; the namespaces of Adobe, IPTC, MWG, Microsoft and others)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from indexer.media.metadata.coordinates import parse_degrees
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
from indexer.media.metadata.moments import Meaning, Moment
from indexer.media.metadata.xmp_packet import Element, descriptions_of, structures, text, values
from indexer.media.metadata.xmp_people import names_of, pets_of
from indexer.records import Note

_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
_EXIF: Final = "{http://ns.adobe.com/exif/1.0/}"
_TIFF: Final = "{http://ns.adobe.com/tiff/1.0/}"
_PHOTOSHOP: Final = "{http://ns.adobe.com/photoshop/1.0/}"
_DYNAMIC_MEDIA: Final = "{http://ns.adobe.com/xmp/1.0/DynamicMedia/}"
_LIGHTROOM: Final = "{http://ns.adobe.com/lightroom/1.0/}"
_DIGIKAM: Final = "{http://www.digikam.org/ns/1.0/}"
_ACDSEE: Final = "{http://ns.acdsee.com/iptc/1.0/}"
_CORE: Final = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_EXTENSION: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_MICROSOFT: Final = "{http://ns.microsoft.com/photo/1.0/}"

_MOMENTS: Final = (
    (_EXIF + "DateTimeOriginal", "exif:DateTimeOriginal", Meaning.TAKEN),
    (_PHOTOSHOP + "DateCreated", "photoshop:DateCreated", Meaning.TAKEN),
    (_DYNAMIC_MEDIA + "shotDate", "xmpDM:shotDate", Meaning.TAKEN),
    (_ACDSEE + "datetime", "acdsee:datetime", Meaning.TAKEN),
    (_XMP + "CreateDate", "xmp:CreateDate", Meaning.DIGITISED),
    (_EXIF + "DateTimeDigitized", "exif:DateTimeDigitized", Meaning.DIGITISED),
    (_EXIF + "GPSTimeStamp", "exif:GPSTimeStamp", Meaning.LOCATED),
)
_HIERARCHIES: Final = (
    (_LIGHTROOM + "hierarchicalSubject", "|"),
    (_DIGIKAM + "TagsList", "/"),
    (_MICROSOFT + "LastKeywordXMP", "/"),
)
_NOTES: Final = (
    ("comment", _EXIF + "UserComment"),
    ("headline", _PHOTOSHOP + "Headline"),
    ("artist", _DC + "creator"),
    ("place", _CORE + "Location"),
    ("city", _PHOTOSHOP + "City"),
    ("state", _PHOTOSHOP + "State"),
    ("country", _PHOTOSHOP + "Country"),
    ("event", _EXTENSION + "Event"),
    ("alternative text", _CORE + "AltTextAccessibility"),
    ("description", _CORE + "ExtDescrAccessibility"),
    ("instructions", _PHOTOSHOP + "Instructions"),
    ("notes", _ACDSEE + "notes"),
)
_LOCATION: Final = (
    ("place", _EXTENSION + "Sublocation"),
    ("city", _EXTENSION + "City"),
    ("state", _EXTENSION + "ProvinceState"),
    ("country", _EXTENSION + "CountryName"),
)
_ORIENTATIONS: Final = range(1, 9)
_RATINGS: Final = range(-1, 6)
_ALTITUDES: Final = (-11_000.0, 100_000.0)
_BELOW_SEA_LEVEL: Final = "1"


def xmp_facts(packet: bytes) -> Facts:
    """The facts in an XMP packet; none when it is empty, hostile, unreasonably large or no XMP."""
    return _facts(descriptions_of(packet)) if packet else Facts()


def sidecar_facts(packet: bytes, suffix: str) -> Facts:
    """The same of a sidecar beside a file with this suffix; none when it says that it is of one with another."""
    descriptions = descriptions_of(packet)
    only = text(descriptions, _PHOTOSHOP + "SidecarForExtension")
    if only is not None and only.lstrip(".").casefold() != suffix.lstrip(".").casefold():
        return Facts()
    return _facts(descriptions)


def _facts(descriptions: list[Element]) -> Facts:
    place = _place(descriptions)
    return Facts(
        moments=tuple(_moments(descriptions)),
        place=place,
        altitude=_altitude(descriptions) if place else None,
        title=clean_text(text(descriptions, _DC + "title")),
        description=_first(
            descriptions,
            _DC + "description",
            _TIFF + "ImageDescription",
            _ACDSEE + "caption",
            _DYNAMIC_MEDIA + "logComment",
        ),
        keywords=clean_words([*_keywords(descriptions), *pets_of(descriptions)]),
        people=clean_words(list(names_of(descriptions))),
        rating=_rating(descriptions),
        notes=_notes(descriptions),
        orientation=_orientation(text(descriptions, _TIFF + "Orientation")),
    )


def _first(descriptions: list[Element], *names: str) -> str | None:
    return next((cleaned for name in names if (cleaned := clean_text(text(descriptions, name)))), None)


def _moments(descriptions: list[Element]) -> Iterator[Moment]:
    for name, called, meaning in _MOMENTS:
        moment = parse_moment(text(descriptions, name) or "", meaning=meaning, source=f"XMP {called}")
        if moment is not None:
            yield moment


def _keywords(descriptions: list[Element]) -> Iterator[str]:
    """Plain keywords, then every level of hierarchical ones: "Animals|Birds" is found as either."""
    yield from values(descriptions, _DC + "subject")
    for name, separator in _HIERARCHIES:
        for path in values(descriptions, name):
            yield from path.split(separator)


def _notes(descriptions: list[Element]) -> tuple[Note, ...]:
    labelled = [(label, ", ".join(values(descriptions, name))) for label, name in _NOTES]
    for shown in ("LocationShown", "LocationCreated"):
        for place in structures(descriptions, _EXTENSION + shown):
            labelled += [(label, text(place, name) or "") for label, name in _LOCATION]
    first: dict[str, str] = {}
    for label, words in labelled:
        if words:
            first.setdefault(label, words)
    return notes(*first.items())


def _rating(descriptions: list[Element]) -> int | None:
    for name in (_XMP + "Rating", _ACDSEE + "rating"):
        stars = _number(text(descriptions, name))
        if stars is not None and int(stars) in _RATINGS:
            return int(stars)
    return stars_of(_number(text(descriptions, _MICROSOFT + "Rating")))


def _orientation(value: str | None) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number in _ORIENTATIONS else None


def _place(descriptions: list[Element]) -> Place | None:
    return place_or_none(
        _degrees(descriptions, _EXIF + "GPSLatitude", "NS"), _degrees(descriptions, _EXIF + "GPSLongitude", "EW")
    )


def _degrees(descriptions: list[Element], name: str, sides: str) -> float | None:
    side = text(descriptions, f"{name}Ref") or ""
    return parse_degrees(text(descriptions, name) or "", side, sides=sides)


def _altitude(descriptions: list[Element]) -> float | None:
    value = _number(text(descriptions, _EXIF + "GPSAltitude"))
    if value is None:
        return None
    value = -value if text(descriptions, _EXIF + "GPSAltitudeRef") == _BELOW_SEA_LEVEL else value
    return round(value, 2) if _ALTITUDES[0] <= value <= _ALTITUDES[1] else None


def _number(value: str | None) -> float | None:
    """A number, also as a fraction ("700/1"); None for what is none."""
    numerator, slash, denominator = (value or "").partition("/")
    try:
        number = float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) else None
