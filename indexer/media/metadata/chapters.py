"""The chapters of a film, a recording or an audiobook: titles with their spans."""

from __future__ import annotations

import itertools
import logging
import re
import unicodedata
from fractions import Fraction
from typing import Final

from config.errors import MediaError
from indexer.media.container import Source
from indexer.media.metadata.facts import Facts, clean_text, notes
from indexer.records import Event
from indexer.vocabulary import CHAPTER_KIND

logger = logging.getLogger(__name__)

_MOST: Final = 2_000
_LONGEST: Final = 200
"""Letters of a title that are kept."""
_PIECES: Final = re.compile(r"[^\W\d_]+|\d+")
_ROMAN: Final = re.compile(r"[ivxlc]+")
_COUNTING: Final = """
    chapter chap chapitre kapitel kap capítulo capitulo capitolo hoofdstuk kapittel kapitola rozdział rozdzial fejezet
    bölüm luku глава розділ κεφάλαιο 第 章 チャプター 챕터 track title titel titre título titulo titolo part teil
    partie parte deel część scene szene scène escena abschnitt section marker disc cd untitled
"""
"""The words with which programs number chapters."""


def chapters_in(source: Source, seconds: float) -> tuple[Event, ...]:
    """The chapters that have a title, in order of their beginning; none where the only one begins with the file.

    `seconds` is how long the file is: no chapter reaches beyond its end.
    """
    try:
        with source.container() as container:
            chapters = container.chapters()
    except MediaError as error:
        logger.info("chapters are passed over: %s", error.title)
        return ()
    times = sorted(
        (max(0.0, float(one["start"] * tick)), float(one["end"] * tick), number)
        for number, one in enumerate(chapters)
        for tick in [one["time_base"] or Fraction(0)]
    )
    listed = [(start, end, _title(chapters[number]["metadata"].get("title"))) for start, end, number in times[:_MOST]]
    if len(listed) == 1 and listed[0][0] == 0:
        return ()
    found = []
    # A chapter without a length of its own lasts until the next one begins.
    for (start, end, title), following in itertools.zip_longest(listed, [start for start, _, _ in listed[1:]]):
        until = min(end if end > start else following if following is not None else seconds, seconds)
        if until > start and title and not _only_counts(title):
            found.append(Event(CHAPTER_KIND, title, start, until, 1.0))
    return tuple(found)


def chapter_facts(chapters: tuple[Event, ...]) -> Facts:
    """The titles, so that the file is found by them."""
    titles = "; ".join(dict.fromkeys(one.label for one in chapters))
    return Facts(notes=notes(("chapters", titles))) if titles else Facts()


def _title(text: str | None) -> str:
    return " ".join((clean_text(text) or "").split())[:_LONGEST]


def _only_counts(title: str) -> bool:
    """Whether a title only counts, or says the time: "Chapter 01", "Kapitel IV", "第3章", "00:05:00.000"."""
    pieces = _PIECES.findall(unicodedata.normalize("NFKC", title).casefold())
    words = [piece for piece in pieces if not piece.isdecimal()]
    counting = frozenset(_COUNTING.split())
    counted = not counting.isdisjoint(words)
    return all(word in counting or (counted and _ROMAN.fullmatch(word)) for word in words)
