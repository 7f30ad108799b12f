"""The full-text row of each media file that search may show."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from indexer.vocabulary import KEYWORD_SOURCE
from search.catalog.rows import TextMatch
from search.catalog.sql import IN_IDS, VISIBLE, id_list
from search.scripts import indexed

COLUMN_WEIGHTS = {
    "title": 10.0,
    "description": 6.0,
    "keywords": 8.0,
    "people": 10.0,
    "tags": 4.0,
    "path": 3.0,
    "camera": 2.0,
    "notes": 5.0,
}
"""What a word counts for, by where it stands: words that a person wrote about a photo before guesses about it.
The order is the table's."""

AT_ONCE = 1_000
"""Media whose rows are written together."""

_MARKED_NOTES = f"highlight(fulltext, {list(COLUMN_WEIGHTS).index('notes')}, char(1), '')"

MOST_RANKED = 5_000
"""Ranking costs some microseconds a row; words that stand with more photos than this tell little, so only the photos
added last are ranked then."""


def rewrite(db: sqlite3.Connection, media_ids: Collection[int]) -> None:
    """Make the full-text rows of these media agree with the tables; hidden media get none."""
    if not media_ids:
        return
    ids = id_list({*media_ids, *_other_halves(db, media_ids)})
    db.execute(f"DELETE FROM fulltext WHERE rowid {IN_IDS}", (ids,))
    paths: dict[int, list[str]] = {}
    for media_id, path in db.execute(
        f"SELECT media_id, path FROM file WHERE media_id {IN_IDS} AND missing_since IS NULL ORDER BY path", (ids,)
    ):
        paths.setdefault(media_id, []).append(path.decode("utf-8", "replace").replace("/", " ").strip())
    tags: dict[int, list[str]] = {}
    for media_id, name in db.execute(
        "SELECT media_id, name FROM tag JOIN segment ON segment.id = segment_id"
        f" WHERE media_id {IN_IDS} AND ordinal = 0 AND source != ? GROUP BY media_id, name"
        " ORDER BY media_id, max(confidence) DESC",
        (ids, KEYWORD_SOURCE),  # keywords have a column of their own
    ):
        tags.setdefault(media_id, []).append(name)
    rows = db.execute(
        f"SELECT id, title, description, keywords, people, camera, notes FROM media m WHERE id {IN_IDS} AND {VISIBLE}",
        (ids,),
    ).fetchall()
    db.executemany(
        "INSERT INTO fulltext (rowid, title, description, keywords, people, tags, path, camera, notes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                media_id,
                indexed(title or ""),
                indexed(description or ""),
                indexed("\n".join(json.loads(keywords))),
                indexed("\n".join(json.loads(people))),
                indexed("\n".join(tags.get(media_id, ()))),
                indexed("\n".join(paths.get(media_id, ()))),
                indexed(camera or ""),
                indexed("\n".join(text for _, text in notes_of(notes))),
            )
            for media_id, title, description, keywords, people, camera, notes in rows
        ),
    )


def rewrite_all(db: sqlite3.Connection) -> None:
    """Cut all words anew: of what is written, and of what is said."""
    ids = [media_id for (media_id,) in db.execute("SELECT id FROM media ORDER BY id")]
    for start in range(0, len(ids), AT_ONCE):
        rewrite(db, ids[start : start + AT_ONCE])
    utterances = db.execute("SELECT id, text FROM utterance").fetchall()
    db.executemany(
        "UPDATE utterance SET searched = ? WHERE id = ?",
        ((indexed(text), number) for number, text in utterances if not text.isascii()),
    )
    db.execute("INSERT INTO spoken (spoken) VALUES ('rebuild')")


def notes_of(stored: str) -> list[tuple[str, str]]:
    """The (label, text) pairs in the column of that name, each text as one line."""
    return [(label, " ".join(text.split())) for label, text in json.loads(stored)]


def _other_halves(db: sqlite3.Connection, media_ids: Collection[int]) -> list[int]:
    """The videos of Live Photos whose photos are among these media: whether they are shown depends on those."""
    rows = db.execute(
        "SELECT other.id FROM media m CROSS JOIN media other ON other.live_id = m.live_id"
        f" WHERE m.id {IN_IDS} AND m.live_id IS NOT NULL AND other.live_id IS NOT NULL",
        (id_list(media_ids),),
    )
    return [number for (number,) in rows]


def matches(
    db: sqlite3.Connection, match: str, limit: int, where: str = "1", parameters: Sequence[object] = ()
) -> list[TextMatch]:
    """The best `limit` media for an FTS5 MATCH expression that fulfil a condition on `m`, best first."""
    # Asked of each row that matches, and of no other: there are far fewer of those than of media that fulfil it.
    filtered = "" if where == "1" else f"AND EXISTS (SELECT 1 FROM media m WHERE m.id = fulltext.rowid AND ({where}))"
    weights = ", ".join(str(weight) for weight in COLUMN_WEIGHTS.values())
    oldest = db.execute(
        f"SELECT rowid FROM fulltext WHERE fulltext MATCH ? {filtered} ORDER BY rowid DESC LIMIT 1 OFFSET ?",
        (match, *parameters, MOST_RANKED - 1),
    ).fetchone()
    scores = dict(
        db.execute(
            f"SELECT rowid, -bm25(fulltext, {weights}) AS score FROM fulltext WHERE fulltext MATCH ? {filtered}"
            " AND rowid >= ? ORDER BY score DESC, rowid LIMIT ?",
            (match, *parameters, oldest[0] if oldest else 0, limit),
        ).fetchall()
    )
    # highlight() marks the matching words; a column with a mark has matched. Asked for the best rows only,
    # because it reads and tokenises the whole text of each.
    marked = ", ".join(
        f"instr(highlight(fulltext, {number}, char(1), ''), char(1)) > 0" for number in range(len(COLUMN_WEIGHTS))
    )
    found = {
        media_id: TextMatch(
            media_id,
            scores[media_id],
            tuple(column for column, hit in zip(COLUMN_WEIGHTS, hits, strict=True) if hit),
            tuple(note for note, line in zip(notes_of(notes), lines.split("\n"), strict=False) if "\x01" in line),
        )
        for media_id, notes, lines, *hits in db.execute(
            f"SELECT rowid, (SELECT notes FROM media WHERE id = fulltext.rowid), {_MARKED_NOTES}, {marked}"
            f" FROM fulltext WHERE fulltext MATCH ? AND rowid {IN_IDS}",
            (match, id_list(scores)),
        )
    }
    return [found[media_id] for media_id in scores]
