"""What the files beside a media file, and its name, say about it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from config.errors import MediaError
from indexer.media.files import read_file
from indexer.media.limits import Limits
from indexer.media.metadata import picasa, takeout
from indexer.media.metadata.companions import XMP
from indexer.media.metadata.embedded_text import Subtitles
from indexer.media.metadata.facts import Facts, merge
from indexer.media.metadata.file_name import named_moment
from indexer.media.metadata.subtitle_files import parse_subtitles
from indexer.media.metadata.subtitle_names import is_subtitle, language_of
from indexer.media.metadata.telemetry import is_telemetry, telemetry_facts
from indexer.media.metadata.xmp import sidecar_facts

logger = logging.getLogger(__name__)

_NOTHING: Final = Facts()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is said about a media file outside of it."""

    stronger: Facts = _NOTHING
    """Goes before what the file itself says: a person edited it last."""
    weaker: Facts = _NOTHING
    """Speaks where the file is silent."""
    subtitles: tuple[Subtitles, ...] = ()


NOTHING_BESIDE: Final = Beside()


def facts_beside(path: str, sidecars: Sequence[str], limits: Limits) -> Beside:
    """What the sidecars and the name of the media file `path` say, the most specific sidecar first.

    An XMP sidecar goes before the file: an editor of photos wrote it. What Google Photos and Picasa knew was mostly
    read off the file, so it only fills in what the file leaves open, and its name is the last resort.
    A sidecar that cannot be read is passed over: it must not cost us the file it belongs to.
    """
    stronger, weaker, subtitles = [], [], []
    for sidecar, data in _readable(sidecars, limits):
        name = PurePath(sidecar)
        if name.suffix.lower() == XMP:
            stronger.append(sidecar_facts(data, PurePath(path).suffix))
        elif name.suffix.lower() == takeout.SUFFIX:
            weaker.append(takeout.takeout_facts(data))
        elif is_subtitle(sidecar):
            said = parse_subtitles(data)
            if is_telemetry(said):
                weaker.append(telemetry_facts(said))
            elif said:
                subtitles.append(Subtitles(language_of(name.name), said))
        else:
            weaker.append(picasa.picasa_facts(data, PurePath(path).name))
    named = named_moment(path)
    return Beside(merge(*stronger), merge(*weaker, Facts(moments=(named,) if named else ())), tuple(subtitles))


def _readable(sidecars: Sequence[str], limits: Limits) -> Iterator[tuple[str, bytes]]:
    for sidecar in sidecars:
        try:
            yield sidecar, read_file(sidecar, None, limits)
        except MediaError as error:
            logger.info("%s is passed over: %s", sidecar, error.title)
