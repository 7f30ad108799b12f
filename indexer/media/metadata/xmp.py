"""What an XMP packet says about a photo, embedded or in a sidecar (ISO 16684-1; MWG guidelines 2.0 for people)."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from indexer.media.border import DECODER_ERRORS
from indexer.media.metadata.facts import Facts, Place, clean_text, clean_words, parse_moment, place_or_none

logger = logging.getLogger(__name__)

_LARGEST_PACKET: Final = 8 << 20
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
_EXIF: Final = "{http://ns.adobe.com/exif/1.0/}"
_TIFF: Final = "{http://ns.adobe.com/tiff/1.0/}"
_PHOTOSHOP: Final = "{http://ns.adobe.com/photoshop/1.0/}"
_LIGHTROOM: Final = "{http://ns.adobe.com/lightroom/1.0/}"
_DIGIKAM: Final = "{http://www.digikam.org/ns/1.0/}"
_IPTC: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_MWG: Final = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_MICROSOFT: Final = "{http://ns.microsoft.com/photo/1.2/t/Region#}"

_MOMENTS: Final = (
    (_EXIF + "DateTimeOriginal", "exif:DateTimeOriginal"),
    (_PHOTOSHOP + "DateCreated", "photoshop:DateCreated"),
)
_HIERARCHIES: Final = ((_LIGHTROOM + "hierarchicalSubject", "|"), (_DIGIKAM + "TagsList", "/"))
_ORIENTATIONS: Final = range(1, 9)
_RATINGS: Final = range(-1, 6)
_COORDINATE: Final = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")


def xmp_facts(packet: bytes) -> Facts:
    """The facts in an XMP packet; none when it is empty, broken, hostile or unreasonably large."""
    if not packet.startswith(_UTF_16_MARKS):
        packet = packet.strip(b"\x00 \r\n\t")
    if not packet or len(packet) > _LARGEST_PACKET:
        return Facts()
    try:
        return _facts(ElementTree.fromstring(packet, forbid_dtd=True))
    except DECODER_ERRORS as error:
        logger.debug("XMP ignored: %s", error)
        return Facts()


def _facts(root: Element) -> Facts:
    descriptions = [node for rdf in root.iter(_RDF + "RDF") for node in rdf.findall(_RDF + "Description")]
    moments = (parse_moment(_text(descriptions, name) or "", source=f"XMP {called}") for name, called in _MOMENTS)
    return Facts(
        moments=tuple(moment for moment in moments if moment is not None),
        place=_place(descriptions),
        title=clean_text(_text(descriptions, _DC + "title")),
        description=clean_text(_text(descriptions, _DC + "description")),
        keywords=clean_words(list(_keywords(descriptions))),
        people=clean_words(list(_people(root, descriptions))),
        rating=_rating(_text(descriptions, _XMP + "Rating")),
        orientation=_orientation(_text(descriptions, _TIFF + "Orientation")),
    )


def _values(nodes: list[Element], name: str) -> list[str]:
    """All values of a property: it may be an attribute, plain text, or the items of a bag, sequence or choice."""
    values = []
    for node in nodes:
        if name in node.attrib:
            values.append(node.attrib[name])
        for element in node.findall(name):
            # The default language comes first among alternatives, wherever it stands.
            items = sorted(element.iter(_RDF + "li"), key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
            values += [item.text or "" for item in items] if items else [element.text or ""]
    return [value.strip() for value in values if value.strip()]


def _text(nodes: list[Element], name: str) -> str | None:
    return next(iter(_values(nodes, name)), None)


def _keywords(descriptions: list[Element]) -> Iterator[str]:
    """Plain keywords, then every level of hierarchical ones: "Animals|Birds" is found as either."""
    yield from _values(descriptions, _DC + "subject")
    for name, separator in _HIERARCHIES:
        for path in _values(descriptions, name):
            yield from path.split(separator)


def _people(root: Element, descriptions: list[Element]) -> Iterator[str]:
    yield from _values(descriptions, _IPTC + "PersonInImage")
    for regions in root.iter(_MWG + "RegionList"):
        for item in regions.iter(_RDF + "li"):
            # A structure is written in the item itself or in a description inside it.
            structure = [item, *item.findall(_RDF + "Description")]
            if (_text(structure, _MWG + "Type") or "").casefold() == "face":
                yield from _values(structure, _MWG + "Name")
    yield from _values(list(root.iter()), _MICROSOFT + "PersonDisplayName")


def _orientation(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() and int(value) in _ORIENTATIONS else None


def _rating(value: str | None) -> int | None:
    try:
        stars = float(value or "")
    except ValueError:
        return None
    return int(stars) if math.isfinite(stars) and int(stars) in _RATINGS else None


def _place(descriptions: list[Element]) -> Place | None:
    latitude, longitude = (_degrees(_text(descriptions, _EXIF + name)) for name in ("GPSLatitude", "GPSLongitude"))
    return place_or_none(latitude, longitude)


def _degrees(value: str | None) -> float | None:
    """From "51,30.5N" or "51,30,30N" (XMP part 2, GPSCoordinate)."""
    match = _COORDINATE.fullmatch(value or "")
    if match is None:
        return None
    degrees, minutes, seconds, side = match.groups()
    size = int(degrees) + float(minutes) / 60 + float(seconds or 0) / 3600
    return size if side in "NE" else -size
