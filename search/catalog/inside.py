"""What is inside videos and sounds: their moments, what happens in them, and what is said."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection

import numpy as np

from indexer.records import Event, Kind, Place, Segment, Tag, Transcript, Utterance, Word
from search.catalog.rows import EventMatch
from search.catalog.sql import IN_IDS, IN_USE, id_list, marks

PLACE_VALUES = 5
"""Of each place on a path: seconds, left, top, right, bottom."""

_EVENT_COLUMNS = "media_id, kind, label, start_seconds, end_seconds, confidence, path"


def segments_of(
    db: sqlite3.Connection, media_ids: Collection[int], *, moments: bool = True
) -> dict[int, tuple[Segment, ...]]:
    """The segments of each of these media, in order; without `moments` the whole alone."""
    found: defaultdict[int, list[Segment]] = defaultdict(list)
    for media_id, *values in db.execute(
        "SELECT media_id, ordinal, start_seconds, end_seconds, keyframe_seconds, quality, shot FROM segment"
        f" WHERE media_id {IN_IDS}{'' if moments else ' AND ordinal = 0'} ORDER BY media_id, ordinal",
        (id_list(media_ids),),
    ):
        found[media_id].append(Segment(*values))
    return {media_id: tuple(segments) for media_id, segments in found.items()}


def tags_of_moments(
    db: sqlite3.Connection, moments: Collection[tuple[int, int]]
) -> dict[tuple[int, int], tuple[Tag, ...]]:
    """The tags of some moments; see `Catalog.tags_of_moments`."""
    found: defaultdict[tuple[int, int], list[Tag]] = defaultdict(list)
    for media_id, *values in db.execute(
        "SELECT segment.media_id, one.name, one.confidence, one.source, segment.ordinal, one.count"
        " FROM json_each(?) AS asked CROSS JOIN segment ON segment.media_id = asked.value ->> 0"
        " AND segment.ordinal = asked.value ->> 1 CROSS JOIN moment_tag AS one ON one.segment_id = segment.id"
        " ORDER BY one.confidence DESC, one.name",
        (json.dumps(list(moments)),),
    ):
        tag = Tag(*values)
        found[media_id, tag.segment].append(tag)
    return {moment: tuple(tags) for moment, tags in found.items()}


def events_of(
    db: sqlite3.Connection, media_ids: Collection[int], kind: str | None = None
) -> dict[int, tuple[Event, ...]]:
    """What happens in each of these media; see `Catalog.events_of`."""
    found: defaultdict[int, list[Event]] = defaultdict(list)
    for row in db.execute(
        f"SELECT {_EVENT_COLUMNS} FROM event WHERE media_id {IN_IDS} AND {IN_USE}"
        f"{'' if kind is None else ' AND kind = ?'} ORDER BY media_id, start_seconds, end_seconds, id",
        (id_list(media_ids), *([] if kind is None else [kind])),
    ):
        found[row[0]].append(_event(row))
    return {media_id: tuple(events) for media_id, events in found.items()}


def events_among(
    db: sqlite3.Connection, labels: Collection[str], media_ids: Collection[int], kind: str | None
) -> list[EventMatch]:
    """Which of these happen in these media; see `Catalog.events_among`."""
    rows = db.execute(
        # The + begins with the few media, not with everything in which such a thing happens.
        f"SELECT {_EVENT_COLUMNS} FROM event WHERE media_id {IN_IDS} AND +label IN ({marks(labels)})"
        f"{'' if kind is None else ' AND kind = ?'} AND {IN_USE} ORDER BY media_id, start_seconds, id",
        (id_list(media_ids), *labels, *([] if kind is None else [kind])),
    )
    return [EventMatch(row[0], _event(row)) for row in rows]


def transcripts_of(db: sqlite3.Connection, media_ids: Collection[int]) -> dict[int, tuple[Transcript, ...]]:
    """What is said in each of these media; see `Catalog.transcripts_of`."""
    found: defaultdict[int, list[Transcript]] = defaultdict(list)
    for media_id, stage, language, confidence in db.execute(
        "SELECT media_id, stage, language, language_confidence FROM transcript"
        f" WHERE media_id {IN_IDS} AND {IN_USE} ORDER BY media_id, stage",
        (id_list(media_ids),),
    ).fetchall():
        said = db.execute(
            "SELECT text, start_seconds, end_seconds, confidence, words FROM utterance"
            " WHERE media_id = ? AND stage = ? ORDER BY start_seconds, id",
            (media_id, stage),
        )
        utterances = tuple(
            Utterance(text, start, end, belief, words_of(words)) for text, start, end, belief, words in said
        )
        found[media_id].append(Transcript(language, confidence, utterances))
    return {media_id: tuple(transcripts) for media_id, transcripts in found.items()}


def words_of(stored: str) -> tuple[Word, ...]:
    """The words in the column of that name."""
    return tuple(Word(*values) for values in json.loads(stored))


def other_halves(db: sqlite3.Connection, media_ids: Collection[int]) -> dict[int, str]:
    """Of the halves of Live Photos among these media, the first live path of the other half."""
    rows = db.execute(
        "SELECT m.id, min(file.path) FROM media m CROSS JOIN media other ON other.live_id = m.live_id"
        " CROSS JOIN file ON file.media_id = other.id AND file.missing_since IS NULL"
        f" WHERE m.id {IN_IDS} AND m.live_id IS NOT NULL AND other.live_id IS NOT NULL"
        f" AND (m.kind, other.kind) IN (VALUES ('{Kind.PHOTO}', '{Kind.VIDEO}'), ('{Kind.VIDEO}', '{Kind.PHOTO}'))"
        " GROUP BY m.id",
        (id_list(media_ids),),
    )
    return {media_id: os.fsdecode(path) for media_id, path in rows}


def _event(row: tuple[int, str, str, float, float, float, bytes | None]) -> Event:
    _, kind, label, start, end, confidence, path = row
    places = np.frombuffer(path or b"", "<f8").reshape(-1, PLACE_VALUES).tolist()
    return Event(kind, label, start, end, confidence, tuple(Place(place[0], tuple(place[1:])) for place in places))
