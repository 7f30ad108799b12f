"""Removes what plans of the past have left, a little in each transaction.

A retired stage goes in two steps: all of its jobs first, then its tags, detections, scores, events and transcripts.
Vectors go when no retired stage has a job left. Each step remembers how far it came, so a kill costs no more than one
transaction.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

from search.catalog import fulltext
from search.catalog.sql import IN_IDS, id_list

JOBS_AT_ONCE = 1000
RESULTS_AT_ONCE = 200
"""Media whose results go in one transaction: the full text of each that loses a tag is written anew."""
PARTS_AT_ONCE = 5000
"""Moments and utterances whose results go in one transaction: a long video alone has thousands of them."""
VECTORS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Retired:
    """What must not be stored any more."""

    stages: frozenset[str]
    spaces: frozenset[str]


def retired(db: sqlite3.Connection) -> Retired:
    """The stages and spaces that a plan had once and none has now."""
    rows = db.execute("SELECT kind, name FROM retired").fetchall()
    return Retired(
        frozenset(name for kind, name in rows if kind == "stage"),
        frozenset(name for kind, name in rows if kind == "space"),
    )


def needed(db: sqlite3.Connection) -> bool:
    """Whether anything is left to remove."""
    return db.execute("SELECT 1 FROM retired WHERE step != 'swept' LIMIT 1").fetchone() is not None


def step(db: sqlite3.Connection, limit: int) -> int:
    """Remove a little; returns how many media or vectors were looked at, 0 when nothing is left."""
    row = db.execute(
        # Every 'jobs' before any 'results', stages before spaces: `plans` relies on that order.
        "SELECT kind, name, step, position FROM retired WHERE step != 'swept' ORDER BY step, kind DESC, name LIMIT 1"
    ).fetchone()
    if row is None:
        return 0
    kind, name, at, position = row
    if kind == "space":
        count = _vectors(db, name, min(limit, VECTORS_AT_ONCE))
        following = "swept"
    elif at == "jobs":
        count, position = _jobs(db, name, position, min(limit, JOBS_AT_ONCE))
        following = "results"
    else:
        count, position = _results(db, name, position, min(limit, RESULTS_AT_ONCE))
        following = "swept"
    db.execute(
        "UPDATE retired SET step = ?, position = ? WHERE kind = ? AND name = ?",
        (at if count else following, position if count else 0, kind, name),
    )
    return max(count, 1)


def _media_after(db: sqlite3.Connection, position: int, limit: int) -> list[int]:
    return [row[0] for row in db.execute("SELECT id FROM media WHERE id > ? ORDER BY id LIMIT ?", (position, limit))]


def _jobs(db: sqlite3.Connection, stage: str, position: int, limit: int) -> tuple[int, int]:
    media_ids = _media_after(db, position, limit)
    db.executemany("DELETE FROM job WHERE media_id = ? AND stage = ?", [(number, stage) for number in media_ids])
    return len(media_ids), max(media_ids, default=0)


def _results(db: sqlite3.Connection, stage: str, position: int, limit: int) -> tuple[int, int]:
    media_ids = _no_more_than(db, _media_after(db, position, limit), stage)
    segments = db.execute(
        f"SELECT id, media_id, ordinal FROM segment WHERE media_id {IN_IDS}", (id_list(media_ids),)
    ).fetchall()
    untagged = {
        media_id
        for segment, media_id, ordinal in segments
        if ordinal == 0 and db.execute("DELETE FROM tag WHERE segment_id = ? AND stage = ?", (segment, stage)).rowcount
    }
    moments = [(segment, stage) for segment, _, ordinal in segments if ordinal > 0]
    db.executemany("DELETE FROM moment_tag WHERE segment_id = ? AND stage = ?", moments)
    db.executemany(
        "DELETE FROM detection WHERE segment_id = ? AND stage = ?", [(segment, stage) for segment, *_ in segments]
    )
    for table in ("aesthetic", "event", "utterance", "transcript"):
        db.executemany(
            f"DELETE FROM {table} WHERE media_id = ? AND stage = ?", [(number, stage) for number in media_ids]
        )
    fulltext.rewrite(db, untagged)
    return len(media_ids), max(media_ids, default=0)


def _no_more_than(db: sqlite3.Connection, media_ids: list[int], stage: str) -> list[int]:
    """As many of these media, one at least, as have `PARTS_AT_ONCE` parts together."""
    ids = id_list(media_ids)
    parts = Counter(
        dict(db.execute(f"SELECT media_id, count(*) FROM segment WHERE media_id {IN_IDS} GROUP BY 1", (ids,)))
    )
    parts.update(
        dict(
            db.execute(
                f"SELECT media_id, count(*) FROM utterance WHERE media_id {IN_IDS} AND stage = ? GROUP BY 1",
                (ids, stage),
            )
        )
    )
    sums = accumulate(parts[media_id] for media_id in media_ids)
    return [
        one
        for number, (one, total) in enumerate(zip(media_ids, sums, strict=True))
        if not number or total <= PARTS_AT_ONCE
    ]


def _vectors(db: sqlite3.Connection, space: str, limit: int) -> int:
    removed = db.execute(
        "DELETE FROM vector WHERE id IN (SELECT id FROM vector"
        " WHERE space_id = (SELECT id FROM space WHERE name = ?) ORDER BY id LIMIT ?)",
        (space, limit),
    ).rowcount
    if not removed:
        db.execute("DELETE FROM space WHERE name = ?", (space,))
    return int(removed)
