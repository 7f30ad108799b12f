"""The chapters of a film, a recording or an audiobook: titles with their spans."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from typing import Final

from config.errors import MediaError
from indexer.media.container import Source
from indexer.media.metadata.facts import Facts, notes
from indexer.records import Event
from indexer.vocabulary import CHAPTER_KIND

logger = logging.getLogger(__name__)

_MOST: Final = 2_000
_LONGEST: Final = 200
"""Letters of a title that are kept."""
_NUMBER: Final = re.compile(
    r"(?:(?:chapter|kapitel|chapitre|cap[ií]tulo|capitolo|hoofdstuk|track|titel?|title|part|scene|marker)?[ _#.-]*\d+)?"
    r"(?:[:.,]\d+)*\W*",
    re.IGNORECASE,
)
"""A title that only counts, or says the time: "Chapter 01", "00:05:00.000"."""


def chapters_in(source: Source) -> tuple[Event, ...]:
    """The chapters that have a title, in order of their beginning; none where there is only one."""
    try:
        with source.container() as container:
            chapters = container.chapters()[:_MOST]
    except MediaError as error:
        logger.info("chapters are passed over: %s", error.title)
        return ()
    found = []
    for chapter in chapters if len(chapters) > 1 else ():
        title = " ".join(str(chapter["metadata"].get("title", "")).split())[:_LONGEST]
        tick = chapter["time_base"] or Fraction(0)
        start, end = float(chapter["start"] * tick), float(chapter["end"] * tick)
        if end > start >= 0 and not _NUMBER.fullmatch(title):
            found.append(Event(CHAPTER_KIND, title, start, end, 1.0))
    return tuple(sorted(found, key=lambda one: (one.start, one.end)))


def chapter_facts(chapters: tuple[Event, ...]) -> Facts:
    """The titles, so that the file is found by them."""
    titles = "; ".join(dict.fromkeys(one.label for one in chapters))
    return Facts(notes=notes(("chapters", titles))) if titles else Facts()
