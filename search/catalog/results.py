"""Storing what the stages found, so that a batch is either searchable as a whole or not there at all."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from indexer.records import AUTHORED, Analysis, Detection, Embedding, Failure, MediaInfo, PixelStats, Space, Tag
from search.catalog import fulltext, jobs, sweeping
from search.catalog.sql import storable

logger = logging.getLogger(__name__)

INFO_COLUMNS = (
    "format", "width", "height", "taken_at", "utc_offset_minutes", "latitude", "longitude", "altitude", "camera",
    "lens", "exposure_seconds", "f_number", "iso", "focal_length_mm", "title", "description", "keywords", "people",
    "rating",
)  # fmt: skip
PIXEL_COLUMNS = ("sharpness", "exposure", "contrast", "quality", "brightness", "perceptual_hash")

NORM_TOLERANCE = 0.01
"""How far from 1 the L2 norm of a stored vector may be: float16 rounding stays well below."""


def store(
    db: sqlite3.Connection, analyses: Sequence[Analysis], failures: Sequence[Failure], max_attempts: int, now: float
) -> None:
    """Store a batch; see `Catalog.store`."""
    gone = sweeping.retired(db)
    stored: list[int] = []
    unusable: list[Failure] = []
    for analysis in analyses:
        known = db.execute("SELECT 1 FROM media WHERE id = ?", (analysis.media_id,)).fetchone()
        if known is None:
            continue  # its last path was forgotten while it was analysed
        db.execute("SAVEPOINT one")
        try:
            _store_one(db, analysis, gone, now)
            stored.append(analysis.media_id)
        except (ValueError, OverflowError, sqlite3.IntegrityError) as error:
            # One file's impossible values must not take the rest of the batch with them.
            db.execute("ROLLBACK TO one")
            logger.error("media %d: its analysis cannot be stored: %s", analysis.media_id, error)
            unusable.append(
                Failure(
                    media_id=analysis.media_id,
                    stages=tuple(analysis.stages),
                    title=f"What was found in this file cannot be stored: {error}.",
                    remedy="This is a fault in Reverie: please report it, with the file if you can.",
                    permanent=True,
                )
            )
        db.execute("RELEASE one")
    fulltext.rewrite(db, stored)
    partly = [failure for analysis in analyses for failure in analysis.failed]
    jobs.fail(db, [*failures, *unusable, *partly], max_attempts, now)


def _store_one(db: sqlite3.Connection, analysis: Analysis, gone: sweeping.Retired, now: float) -> None:
    """Store what one media file's stages found, except what belongs to no plan any more."""
    stages = {stage: revision for stage, revision in analysis.stages.items() if stage not in gone.stages}
    embeddings = [embedding for embedding in analysis.embeddings if embedding.space.name not in gone.spaces]
    media_id = analysis.media_id
    if analysis.info is not None:
        _update_media(db, media_id, INFO_COLUMNS, _info_values(analysis.info))
    if analysis.pixels is not None:
        _update_media(db, media_id, PIXEL_COLUMNS, [getattr(analysis.pixels, name) for name in PIXEL_COLUMNS])
    db.executemany(
        "INSERT INTO segment (media_id, ordinal, start_seconds, end_seconds) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (media_id, ordinal) DO UPDATE"
        " SET start_seconds = excluded.start_seconds, end_seconds = excluded.end_seconds",
        [(media_id, segment.ordinal, segment.start, segment.end) for segment in analysis.segments],
    )
    segment_ids = dict(db.execute("SELECT ordinal, id FROM segment WHERE media_id = ?", (media_id,)).fetchall())
    for stage in stages:
        write_tags(db, segment_ids, stage, analysis.tags.get(stage, ()))
        _write_detections(db, segment_ids, stage, analysis.detections.get(stage, ()))
        _write_aesthetic(db, media_id, stage, analysis.aesthetic.get(stage))
    for space in dict.fromkeys(embedding.space for embedding in embeddings):
        space_id = _space_id(db, space)
        marks = ", ".join("?" for _ in segment_ids)
        db.execute(
            f"DELETE FROM vector WHERE space_id = ? AND segment_id IN ({marks})", (space_id, *segment_ids.values())
        )
        db.executemany(
            "INSERT INTO vector (space_id, segment_id, data) VALUES (?, ?, ?)",
            [
                (space_id, segment_ids[embedding.segment], _checked(embedding))
                for embedding in embeddings
                if embedding.space == space
            ],
        )
    jobs.close(db, media_id, stages, now)


def set_authored_tags(db: sqlite3.Connection, media_id: int, names: Iterable[str]) -> None:
    """Replace the hand-made tags of a media file; see `Catalog.set_authored_tags`."""
    db.execute("INSERT OR IGNORE INTO segment (media_id, ordinal) SELECT id, 0 FROM media WHERE id = ?", (media_id,))
    segment = db.execute("SELECT id FROM segment WHERE media_id = ? AND ordinal = 0", (media_id,)).fetchone()
    if segment is not None:
        write_tags(db, {0: segment[0]}, AUTHORED, [Tag(name, 1.0, AUTHORED) for name in names])
        fulltext.rewrite(db, [media_id])


def write_tags(db: sqlite3.Connection, segment_ids: dict[int, int], stage: str, tags: Iterable[Tag]) -> None:
    """Replace what `stage` says about these segments (ordinal to id). Of a name said twice the surer one stays."""
    db.executemany(
        "DELETE FROM tag WHERE segment_id = ? AND stage = ?", [(number, stage) for number in segment_ids.values()]
    )
    db.executemany(
        "INSERT INTO tag (segment_id, stage, source, name, confidence, count) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE"
        " SET confidence = excluded.confidence, source = excluded.source, count = excluded.count"
        " WHERE excluded.confidence > confidence",
        [(segment_ids[tag.segment], stage, tag.source, storable(tag.name), tag.confidence, tag.count) for tag in tags],
    )


def _write_detections(
    db: sqlite3.Connection, segment_ids: dict[int, int], stage: str, detections: Iterable[Detection]
) -> None:
    db.executemany(
        "DELETE FROM detection WHERE segment_id = ? AND stage = ?", [(number, stage) for number in segment_ids.values()]
    )
    db.executemany(
        "INSERT INTO detection (segment_id, stage, label, score, box_left, box_top, box_right, box_bottom)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(segment_ids[one.segment], stage, storable(one.label), one.score, *one.box) for one in detections],
    )


def _write_aesthetic(db: sqlite3.Connection, media_id: int, stage: str, score: float | None) -> None:
    db.execute("DELETE FROM aesthetic WHERE media_id = ? AND stage = ?", (media_id, stage))
    if score is not None:
        db.execute("INSERT INTO aesthetic (media_id, stage, score) VALUES (?, ?, ?)", (media_id, stage, score))


def _update_media(db: sqlite3.Connection, media_id: int, columns: Sequence[str], values: Sequence[object]) -> None:
    assignments = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE media SET {assignments} WHERE id = ?", (*values, media_id))


def _info_values(info: MediaInfo) -> list[object]:
    values = (getattr(info, name) for name in INFO_COLUMNS)
    return [
        json.dumps([storable(item) for item in value], ensure_ascii=False)
        if isinstance(value, tuple)
        else storable(value)
        if isinstance(value, str)
        else value
        for value in values
    ]


def _space_id(db: sqlite3.Connection, space: Space) -> int:
    row = db.execute("SELECT id, dimension FROM space WHERE name = ?", (space.name,)).fetchone()
    if row is None:
        return int(
            db.execute(
                "INSERT INTO space (name, dimension) VALUES (?, ?) RETURNING id", (space.name, space.dimension)
            ).fetchone()[0]
        )
    if row[1] != space.dimension:
        raise ValueError(f"space {space.name} has {row[1]} dimensions, not {space.dimension}")
    return int(row[0])


def _checked(embedding: Embedding) -> bytes:
    """The vector, if it is one that can be searched. Raises ValueError."""
    if len(embedding.vector) != 2 * embedding.space.dimension:
        raise ValueError(f"an embedding of {len(embedding.vector)} bytes for {embedding.space.dimension} dimensions")
    norm = float(np.linalg.norm(np.frombuffer(embedding.vector, "<f2").astype(np.float32)))
    if not abs(norm - 1) <= NORM_TOLERANCE:  # written so that NaN is refused too
        raise ValueError(f"an embedding of length {norm:.3g} instead of 1")
    return embedding.vector


def info_of(kind: str, values: Sequence[object]) -> MediaInfo | None:
    """The MediaInfo in the columns INFO_COLUMNS; None while stage "describe" has not run."""
    fields = dict(zip(INFO_COLUMNS, values, strict=True))
    if fields["format"] is None:
        return None
    for name in ("keywords", "people"):
        fields[name] = tuple(json.loads(str(fields[name])))
    return MediaInfo(kind=kind, **fields)  # type: ignore[arg-type]


def pixels_of(values: Sequence[object]) -> PixelStats | None:
    """The PixelStats in the columns PIXEL_COLUMNS; None while stage "pixels" has not run."""
    if values[0] is None:
        return None
    return PixelStats(**dict(zip(PIXEL_COLUMNS, values, strict=True)))  # type: ignore[arg-type]
