"""Which utterances hold words that are looked for, and when exactly those are said."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from indexer.records import Word
from search.catalog.fulltext import MOST_RANKED
from search.catalog.inside import words_of
from search.catalog.rows import SpokenMatch
from search.catalog.sql import IN_IDS, IN_USE, VISIBLE, id_list
from search.scripts import EDGE, indexed

_MARKED = re.compile("\x01(.*?)\x02", re.DOTALL)


def matches(
    db: sqlite3.Connection, match: str, limit: int, where: str, parameters: Sequence[object]
) -> list[SpokenMatch]:
    """The best `limit` utterances for an FTS5 MATCH expression; see `Catalog.spoken_matches`."""
    source = (
        "FROM spoken CROSS JOIN utterance ON utterance.id = spoken.rowid CROSS JOIN media m ON m.id = media_id"
        f" WHERE spoken MATCH ? AND {IN_USE} AND {VISIBLE} AND ({where})"
    )
    oldest = db.execute(
        f"SELECT spoken.rowid {source} ORDER BY spoken.rowid DESC LIMIT 1 OFFSET ?",
        (match, *parameters, MOST_RANKED - 1),
    ).fetchone()
    ranked = db.execute(
        f"SELECT spoken.rowid, -bm25(spoken) AS score {source} AND spoken.rowid >= ?"
        " ORDER BY score DESC, spoken.rowid LIMIT ?",
        (match, *parameters, oldest[0] if oldest else 0, limit),
    ).fetchall()
    # highlight() marks the words that match; it reads and tokenises the text again, so only the best rows are asked.
    rows = {
        row[0]: row[1:]
        for row in db.execute(
            "SELECT spoken.rowid, media_id, start_seconds, end_seconds, utterance.text, words,"
            " highlight(spoken, 0, char(1), char(2)) FROM spoken CROSS JOIN utterance ON utterance.id = spoken.rowid"
            f" WHERE spoken MATCH ? AND spoken.rowid {IN_IDS}",
            (match, id_list(number for number, _ in ranked)),
        )
    }
    found = []
    for number, score in ranked:
        media_id, start, end, text, words, marked = rows[number]
        said = _said(words_of(words), marked)
        found.append(
            SpokenMatch(media_id, score, said[0].start if said else start, said[-1].end if said else end, text)
        )
    return found


def _said(words: Sequence[Word], marked: str) -> list[Word]:
    """The words that lie in what is marked; none if the words and the text do not agree. Blanks do not count: where
    they stand in text that is cut letter by letter, they need not stand in its words."""
    marked = _solid(marked)
    spans = []
    for number, found in enumerate(_MARKED.finditer(marked)):
        start = found.start() - 2 * number  # two marks around each one before
        spans.append((start, start + len(found[1])))
    text = marked.replace("\x01", "").replace("\x02", "")
    said, at = [], 0
    for word in words:
        piece = _solid(indexed(word.text))
        begin = text.find(piece, at)
        if begin < 0:
            return []
        at = begin + len(piece)
        if any(begin < end and start < at for start, end in spans):
            said.append(word)
    return said


def _solid(text: str) -> str:
    """Text without blanks, nor what stands for edges."""
    return "".join(text.replace(EDGE, "").split()).lower()
