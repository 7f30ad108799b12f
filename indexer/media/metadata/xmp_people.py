"""Who is in a photo, as programs write the regions of faces into XMP: MWG, Microsoft, ACDSee and IPTC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from indexer.media.metadata.xmp_packet import RDF, Element, text, values

_IPTC: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
_MWG: Final = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_ACDSEE: Final = "{http://ns.acdsee.com/regions/}"
_MICROSOFT: Final = tuple(f"{{http://ns.microsoft.com/photo/{version}/t/Region#}}" for version in ("1.2", "1.1", "1.0"))

_LISTS: Final = ((_MWG, "RegionList"), (_ACDSEE, "RegionList"))
_PERSON: Final = ("human", "face", "person")
"""What the type of an IPTC region is called, by its identifier or its name."""


def names_of(descriptions: list[Element]) -> Iterator[str]:
    """The names of people, first those of whole photos. A region that says no type is a face: that is what most are."""
    yield from values(descriptions, _IPTC + "PersonInImage")
    for person in _items(descriptions, _IPTC + "PersonInImageWDetails"):
        yield from values(person, _IPTC + "PersonName")
    for kind, name in _regions(descriptions):
        if kind in ("", "face"):
            yield name
    for region in _items(descriptions, _IPTC + "ImageRegion"):
        yield from values(region, _IPTC + "PersonInImage")
        types = [
            word.casefold()
            for one in _items(region, _IPTC + "rCtype")
            for word in [*values(one, _XMP + "Identifier"), *values(one, _IPTC + "Name")]
        ]
        if not types or any(person in word for word in types for person in _PERSON):
            yield from values(region, _IPTC + "Name")[:1]
    for description in descriptions:
        for namespace in _MICROSOFT:
            yield from values(list(description.iter()), namespace + "PersonDisplayName")


def pets_of(descriptions: list[Element]) -> Iterator[str]:
    """The names of animals."""
    for kind, name in _regions(descriptions):
        if kind == "pet":
            yield name


def _regions(descriptions: list[Element]) -> Iterator[tuple[str, str]]:
    """(type in lower case, name) of the regions that have one."""
    for description in descriptions:
        for namespace, called in _LISTS:
            for regions in description.iter(namespace + called):
                for item in regions.iter(RDF + "li"):
                    structure = [item, *item.findall(RDF + "Description")]
                    if name := text(structure, namespace + "Name"):
                        yield (text(structure, namespace + "Type") or "").casefold(), name


def _items(nodes: list[Element], name: str) -> Iterator[list[Element]]:
    """The structures among the items of a property, those of properties within them left out."""
    for node in nodes:
        for element in node.findall(name):
            for container in element:
                for item in container.findall(RDF + "li"):
                    yield [item, *item.findall(RDF + "Description")]
