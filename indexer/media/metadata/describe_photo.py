"""What a photo says about itself: in the blocks inside it, in the files beside it, and by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Final

from indexer.media.metadata.exif import exif_facts, windows_facts
from indexer.media.metadata.exif_blocks import as_bytes, read_exif
from indexer.media.metadata.facts import (
    Facts,
    clean_text,
    clean_words,
    decode_western,
    merge,
    notes,
    parse_moment,
    without_camera_words,
)
from indexer.media.metadata.info import said_by
from indexer.media.metadata.iptc import iptc_facts
from indexer.media.metadata.local_time import in_local_time
from indexer.media.metadata.moments import Meaning, Moment
from indexer.media.metadata.photo_blocks import blocks_of
from indexer.media.metadata.sidecars import NOTHING_BESIDE, Beside
from indexer.media.metadata.xmp import xmp_facts
from indexer.media.photo import Shape
from indexer.records import Kind, MediaInfo

_XMP_TAG: Final = 700


def describe_photo(data: bytes, shape: Shape, beside: Beside = NOTHING_BESIDE) -> MediaInfo:
    """What is known of a photo, without its pixels. Never raises: a broken block says nothing and costs nothing else.

    Fact by fact, the first that says something wins: the sidecars, which a person edited last; EXIF, which the camera
    wrote; embedded XMP; IPTC; Windows Explorer's tags, which repeat XMP with less; comments; what Google Photos and
    Picasa noted beside it; its name. Dates go by their meaning first (`moments.choose`). docs/metadata.md has the
    whole table.
    """
    sources = [beside.stronger, *_embedded(data, shape.format), beside.weaker]
    camera = next((source.camera for source in sources if source.camera), None)
    facts = merge(*(without_camera_words(source, camera) for source in sources))
    facts = replace(
        facts,
        moments=in_local_time(facts.moments, facts.place, 0.0),
        orientation=beside.stronger.orientation,  # the decoder knows what the file itself says
    )
    return MediaInfo(kind=Kind.PHOTO, format=shape.format, width=shape.width, height=shape.height, **said_by(facts))


def _embedded(data: bytes, name: str) -> list[Facts]:
    blocks = blocks_of(data, name)
    exif = read_exif(blocks.exif) if blocks.exif else None
    xmp = blocks.xmp or (as_bytes(exif.image.get(_XMP_TAG)) if exif else b"")
    comments = Facts(notes=notes(("comment", "\n".join(map(decode_western, blocks.comments)))))
    return [
        exif_facts(exif) if exif else Facts(),
        xmp_facts(xmp),
        iptc_facts(blocks.iptc),
        windows_facts(exif) if exif else Facts(),
        _png_facts(blocks.texts),
        comments,
    ]


def _png_facts(texts: Mapping[str, str]) -> Facts:
    """What PNG's own keywords say, and those that other programs have made usual."""
    moment = _png_moment(texts.get("creation time", ""))
    return Facts(
        moments=(moment,) if moment else (),
        title=clean_text(texts.get("title")),
        description=clean_text(texts.get("description") or texts.get("caption")),
        keywords=clean_words((texts.get("keywords") or "").split(",")),
        notes=notes(
            ("comment", texts.get("comment")),
            ("artist", texts.get("author") or texts.get("artist")),
            ("prompt", texts.get("parameters") or texts.get("prompt")),
        ),
    )


def _png_moment(written: str) -> Moment | None:
    """The time of creation, in the form that the specification suggests (RFC 1123) or as EXIF and XMP write it."""
    moment = parse_moment(written, meaning=Meaning.DIGITISED, source="PNG Creation Time")
    if moment is not None:
        return moment
    try:
        parsed = parsedate_to_datetime(written)
    except ValueError:
        return None
    return parse_moment(parsed.isoformat(), meaning=Meaning.DIGITISED, source="PNG Creation Time")
