"""Storing what is inside videos and sounds: moments, what hangs on them, events, and what is said."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from indexer.records import Detection, Event, Segment, Tag, Transcript
from search.catalog.sql import storable
from search.scripts import indexed

OF_MEDIA = "IN (SELECT id FROM segment WHERE media_id = ?)"
"""Membership in the segments of one media file, however many there are."""


def write_segments(db: sqlite3.Connection, media_id: int, segments: Sequence[Segment]) -> bool:
    """Make these the segments of a media file. What hangs on one that was there and still is stays; what hangs on one
    that is gone goes with it. True if moments that were there are others now. Raises ValueError."""
    if [segment.ordinal for segment in segments] != list(range(len(segments))) or not segments:
        raise ValueError("its moments are not numbered one after the other")
    before = db.execute(
        "SELECT ordinal, start_seconds, end_seconds, keyframe_seconds FROM segment"
        " WHERE media_id = ? AND ordinal > 0 ORDER BY ordinal",
        (media_id,),
    ).fetchall()
    db.execute("DELETE FROM segment WHERE media_id = ? AND ordinal >= ?", (media_id, len(segments)))
    db.executemany(
        "INSERT INTO segment (media_id, ordinal, start_seconds, end_seconds, keyframe_seconds, quality, shot)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (media_id, ordinal) DO UPDATE SET"
        " start_seconds = excluded.start_seconds, end_seconds = excluded.end_seconds,"
        " keyframe_seconds = excluded.keyframe_seconds, quality = excluded.quality, shot = excluded.shot",
        [(media_id, one.ordinal, one.start, one.end, one.keyframe, one.quality, one.shot) for one in segments],
    )
    return bool(before) and before != [(one.ordinal, one.start, one.end, one.keyframe) for one in segments[1:]]


def segment_ids(db: sqlite3.Connection, media_id: int) -> dict[int, int]:
    """Ordinal to id of the segments of a media file; the whole is made if it is not there yet."""
    db.execute("INSERT OR IGNORE INTO segment (media_id, ordinal) VALUES (?, 0)", (media_id,))
    return dict(db.execute("SELECT ordinal, id FROM segment WHERE media_id = ?", (media_id,)).fetchall())


def write_tags(db: sqlite3.Connection, media_id: int, ids: Mapping[int, int], stage: str, tags: Iterable[Tag]) -> None:
    """Replace what `stage` says about a media file and its moments; `ids`: ordinal to segment id.

    Of a name said twice the surer one stays. The whole has every tag that one of its moments has. Raises ValueError.
    """
    surest: dict[tuple[int, str], Tag] = {}
    for tag in tags:
        name = storable(tag.name) or ""
        for ordinal in (_known(ids, tag.segment), 0):
            key = (ordinal, name)
            if key not in surest or tag.confidence > surest[key].confidence:
                surest[key] = tag
    db.execute(f"DELETE FROM tag WHERE stage = ? AND segment_id {OF_MEDIA}", (stage, media_id))
    if len(ids) > 1:
        db.execute(f"DELETE FROM moment_tag WHERE stage = ? AND segment_id {OF_MEDIA}", (stage, media_id))
    for table, of_moments in (("tag", False), ("moment_tag", True)):
        db.executemany(
            f"INSERT INTO {table} (segment_id, stage, source, name, confidence, count) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (ids[ordinal], stage, tag.source, name, tag.confidence, tag.count)
                for (ordinal, name), tag in surest.items()
                if (ordinal > 0) == of_moments
            ],
        )


def write_detections(
    db: sqlite3.Connection, media_id: int, ids: Mapping[int, int], stage: str, detections: Iterable[Detection]
) -> None:
    """Replace what `stage` has found in a media file's segments. Raises ValueError."""
    db.execute(f"DELETE FROM detection WHERE stage = ? AND segment_id {OF_MEDIA}", (stage, media_id))
    db.executemany(
        "INSERT INTO detection (segment_id, stage, label, score, box_left, box_top, box_right, box_bottom)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(ids[_known(ids, one.segment)], stage, storable(one.label), one.score, *one.box) for one in detections],
    )


def write_vectors(
    db: sqlite3.Connection, media_id: int, ids: Mapping[int, int], space_id: int, vectors: Iterable[tuple[int, bytes]]
) -> None:
    """Replace the vectors of a media file in one space; `vectors`: (segment ordinal, vector). Raises ValueError."""
    db.execute(f"DELETE FROM vector WHERE space_id = ? AND segment_id {OF_MEDIA}", (space_id, media_id))
    db.executemany(
        "INSERT INTO vector (space_id, segment_id, data) VALUES (?, ?, ?)",
        [(space_id, ids[_known(ids, ordinal)], data) for ordinal, data in vectors],
    )


def write_events(db: sqlite3.Connection, media_id: int, stage: str, events: Iterable[Event]) -> None:
    """Replace what `stage` says happens in a media file. Raises ValueError."""
    db.execute("DELETE FROM event WHERE media_id = ? AND stage = ?", (media_id, stage))
    db.executemany(
        "INSERT INTO event (media_id, stage, kind, label, start_seconds, end_seconds, confidence, path)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (media_id, stage, one.kind, storable(one.label), *_span(one.start, one.end), one.confidence, _path(one))
            for one in events
        ],
    )


def write_transcript(db: sqlite3.Connection, media_id: int, stage: str, transcript: Transcript | None) -> None:
    """Replace what `stage` has heard; None: it has not listened. Raises ValueError."""
    db.execute("DELETE FROM utterance WHERE media_id = ? AND stage = ?", (media_id, stage))
    db.execute("DELETE FROM transcript WHERE media_id = ? AND stage = ?", (media_id, stage))
    if transcript is None:
        return
    db.execute(
        "INSERT INTO transcript (media_id, stage, language, language_confidence) VALUES (?, ?, ?, ?)",
        (media_id, stage, transcript.language, transcript.language_confidence),
    )
    db.executemany(
        "INSERT INTO utterance (media_id, stage, start_seconds, end_seconds, confidence, text, searched, words)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                media_id,
                stage,
                *_span(one.start, one.end),
                one.confidence,
                storable(one.text),
                None if one.text.isascii() else indexed(storable(one.text) or ""),
                json.dumps(
                    [(storable(word.text), word.start, word.end, word.confidence) for word in one.words],
                    ensure_ascii=False,
                    allow_nan=False,
                ),
            )
            for one in transcript.utterances
        ],
    )


def forget_happenings(db: sqlite3.Connection, media_id: int) -> None:
    """Remove all events and transcripts of a media file."""
    for table in ("event", "utterance", "transcript"):
        db.execute(f"DELETE FROM {table} WHERE media_id = ?", (media_id,))


def _known(ids: Mapping[int, int], ordinal: int) -> int:
    if ordinal not in ids:
        raise ValueError(f"something was found in moment {ordinal}, which does not exist")
    return ordinal


def _span(start: float, end: float) -> tuple[float, float]:
    if not 0 <= start <= end < float("inf"):  # written so that NaN is refused too
        raise ValueError(f"something lasts from second {start} to {end}")
    return start, end


def _path(event: Event) -> bytes | None:
    return np.array([(one.time, *one.box) for one in event.path], "<f8").tobytes() if event.path else None
