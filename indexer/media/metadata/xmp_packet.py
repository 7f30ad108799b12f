"""Opening an XMP packet, embedded or in a sidecar (ISO 16684-1), and reading the values of its properties.

Programs have written packets with a bare ampersand, a broken byte or the end of a longer packet behind their own; a
strict reader would lose all the words in them. lxml reads what can be read (docs/decisions/xmp-reader.md).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final

from lxml import etree
from lxml.etree import _Element as Element

__all__ = ["RDF", "Element", "descriptions_of", "structures", "text", "values"]

logger = logging.getLogger(__name__)

RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_LARGEST_PACKET: Final = 8 << 20
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_DECLARATION: Final = re.compile(r"<\?xml\b.*?\?>", re.DOTALL)
_ENDS: Final = re.compile(r"</[\w.-]*:?xmpmeta\s*>|</[\w.-]*:?RDF\s*>")
_BARE_AMPERSAND: Final = re.compile(r"&(?!(?:\w+|#\d+|#x[0-9A-Fa-f]+);)")
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def descriptions_of(packet: bytes) -> list[Element]:
    """The descriptions in an XMP packet; none when it is empty, hostile, unreasonably large or no XMP at all."""
    if len(packet) > _LARGEST_PACKET:
        return []
    text = _BARE_AMPERSAND.sub("&amp;", _NO_XML.sub(" ", _first_packet(_decoded(packet))))
    if not text or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return []
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        logger.debug("XMP ignored: %s", error)
        return []
    if root is None:
        return []
    return [node for rdf in root.iter(RDF + "RDF") for node in rdf.findall(RDF + "Description")]


def values(nodes: Iterable[Element], name: str) -> list[str]:
    """All values of a property: it may be an attribute, plain text, or the items of a bag, sequence or choice."""
    found: list[str] = []
    for node in nodes:
        if (attribute := node.get(name)) is not None:
            found.append(attribute)
        for element in node.findall(name):
            # The default language comes first among alternatives, wherever it stands.
            items = sorted(element.iter(RDF + "li"), key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
            found += [item.text or "" for item in items] if items else [element.text or ""]
    return [value.strip() for value in found if value.strip()]


def text(nodes: Iterable[Element], name: str) -> str | None:
    """The first value of a property; None: it has none."""
    return next(iter(values(nodes, name)), None)


def structures(nodes: Iterable[Element], name: str) -> Iterator[list[Element]]:
    """The structures in a property: one, or the items of a bag. Each is written in an item or a description in it."""
    for node in nodes:
        for element in node.findall(name):
            for item in list(element.iter(RDF + "li")) or [element]:
                yield [item, *item.findall(RDF + "Description")]


def _decoded(packet: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if packet.startswith(mark):
            return packet.decode(encoding, "replace")
    return packet.decode("utf-8", "replace")


def _first_packet(content: str) -> str:
    """The first packet alone: what follows its end is the rest of a longer one that stood there before."""
    content = _DECLARATION.sub("", content.strip("\x00 \r\n\t\ufeff"), count=1)
    ends = list(_ENDS.finditer(content))
    outer = next((end for end in ends if "xmpmeta" in end[0]), next(iter(ends), None))
    return content[: outer.end()] if outer is not None else content
