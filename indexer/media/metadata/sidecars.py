"""What the files beside a media file, and its name, say about it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from config.errors import MediaError
from indexer.media.files import read_file
from indexer.media.limits import Limits
from indexer.media.metadata.facts import Facts, merge
from indexer.media.metadata.xmp import xmp_facts

logger = logging.getLogger(__name__)

_NOTHING: Final = Facts()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is said about a media file outside of it."""

    stronger: Facts = _NOTHING
    """Goes before what the file itself says: a person edited it last."""
    weaker: Facts = _NOTHING
    """Speaks where the file is silent."""


NOTHING_BESIDE: Final = Beside()


def facts_beside(path: str, sidecars: Sequence[str], limits: Limits) -> Beside:
    """What the sidecars of the media file `path` say, the most specific sidecar first.

    A sidecar that cannot be read is passed over: it must not cost us the file it belongs to.
    """
    return Beside(stronger=merge(*(xmp_facts(data) for data in _readable(sidecars, limits))))


def _readable(sidecars: Sequence[str], limits: Limits) -> list[bytes]:
    found = []
    for sidecar in sidecars:
        try:
            found.append(read_file(sidecar, None, limits))
        except MediaError as error:
            logger.info("%s is passed over: %s", sidecar, error.title)
    return found
