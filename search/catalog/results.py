"""Storing what the stages found, so that a batch is either searchable as a whole or not there at all."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from indexer.records import (
    AUTHORED,
    Analysis,
    Embedding,
    Failure,
    Kind,
    MediaInfo,
    Note,
    PixelStats,
    Space,
    Stage,
    Tag,
)
from search.catalog import fulltext, inside_writes, jobs, plans, sweeping
from search.catalog.sql import storable

logger = logging.getLogger(__name__)

SHAPE_COLUMNS = (
    "format", "width", "height", "duration", "fps", "variable_rate", "video_codec", "audio_codec", "bit_rate", "hdr",
)  # fmt: skip
"""What stage "describe" tells."""
SAID_COLUMNS = (
    "taken_at", "taken_precision", "taken_source", "utc_offset_minutes", "zone_source", "latitude", "longitude",
    "altitude", "camera", "lens", "exposure_seconds", "f_number", "iso", "focal_length_mm", "title", "description",
    "keywords", "people", "rating", "notes", "sidecar_orientation", "live_id",
)  # fmt: skip
"""What stage "metadata" tells."""
INFO_COLUMNS = SHAPE_COLUMNS + SAID_COLUMNS
PIXEL_COLUMNS = ("sharpness", "exposure", "contrast", "quality", "brightness", "perceptual_hash")

NORM_TOLERANCE = 0.01
"""How far from 1 the L2 norm of a stored vector may be: float16 rounding stays well below."""


def store(
    db: sqlite3.Connection, analyses: Sequence[Analysis], failures: Sequence[Failure], max_attempts: int, now: float
) -> None:
    """Store a batch; see `Catalog.store`."""
    gone = sweeping.retired(db)
    stored: set[int] = set()
    unusable: list[Failure] = []
    for analysis in analyses:
        known = db.execute("SELECT kind, live_id FROM media WHERE id = ?", (analysis.media_id,)).fetchone()
        if known is None:
            continue  # its last path was forgotten while it was analysed
        db.execute("SAVEPOINT one")
        try:
            _store_one(db, analysis, Kind(known[0]), gone, now)
            stored.add(analysis.media_id)
            said = analysis.info if Stage.METADATA in analysis.stages else None
            if known[1] is not None and said is not None and said.live_id != known[1]:
                # What a photo stood for that it no longer belongs to is shown again.
                stored.update(row[0] for row in db.execute("SELECT id FROM media WHERE live_id = ?", (known[1],)))
        except (ValueError, OverflowError, sqlite3.IntegrityError) as error:
            # One file's impossible values must not take the rest of the batch with them.
            db.execute("ROLLBACK TO one")
            logger.error("media %d: its analysis cannot be stored: %s", analysis.media_id, error)
            unusable.append(
                Failure(
                    media_id=analysis.media_id,
                    stages=jobs.unanswered(db, analysis),
                    title=f"What was found in this file cannot be stored: {error}.",
                    remedy="This is a fault in Reverie: please report it, with the file if you can.",
                    permanent=True,
                )
            )
        db.execute("RELEASE one")
    fulltext.rewrite(db, stored)
    partly = [failure for analysis in analyses for failure in analysis.failed]
    jobs.fail(db, [*failures, *unusable, *partly], max_attempts, now)


def _store_one(db: sqlite3.Connection, analysis: Analysis, kind: Kind, gone: sweeping.Retired, now: float) -> None:
    """Store what one media file's stages found, except what belongs to no plan any more."""
    stages = {stage: revision for stage, revision in analysis.stages.items() if stage not in gone.stages}
    embeddings = [embedding for embedding in analysis.embeddings if embedding.space.name not in gone.spaces]
    media_id = analysis.media_id
    if analysis.info is not None:
        if analysis.info.kind != kind:
            _correct_kind(db, analysis, now)
            kind = analysis.info.kind
        _store_info(db, media_id, analysis.info, stages, now)
    if analysis.pixels is not None:
        _update_media(db, media_id, PIXEL_COLUMNS, [getattr(analysis.pixels, name) for name in PIXEL_COLUMNS])
    if Stage.DESCRIBE in stages and inside_writes.write_segments(db, media_id, analysis.segments):
        jobs.reopen_looks(db, media_id, stages, now)
    ids = inside_writes.segment_ids(db, media_id)
    for stage in stages:
        inside_writes.write_tags(db, media_id, ids, stage, analysis.tags.get(stage, ()))
        inside_writes.write_detections(db, media_id, ids, stage, analysis.detections.get(stage, ()))
        _write_aesthetic(db, media_id, stage, analysis.aesthetic.get(stage))
        if kind != Kind.PHOTO:
            inside_writes.write_events(db, media_id, stage, analysis.events.get(stage, ()))
            inside_writes.write_transcript(db, media_id, stage, analysis.transcripts.get(stage))
    for space in dict.fromkeys(embedding.space for embedding in embeddings):
        vectors = [(one.segment, _checked(one)) for one in embeddings if one.space == space]
        inside_writes.write_vectors(db, media_id, ids, _space_id(db, space), vectors)
    jobs.close(db, media_id, stages, now)


def _store_info(db: sqlite3.Connection, media_id: int, info: MediaInfo, stages: Collection[str], now: float) -> None:
    """Store what each of the two stages that describe a file tells of it."""
    undescribed, turned = db.execute(
        "SELECT format IS NULL, sidecar_orientation FROM media WHERE id = ?", (media_id,)
    ).fetchone()
    # The header tells as much, so that a photo is found whose picture cannot be decoded; it does not overrule pixels.
    if Stage.DESCRIBE in stages or undescribed:
        _update_media(db, media_id, SHAPE_COLUMNS, _info_values(info, SHAPE_COLUMNS))
    if Stage.METADATA in stages:
        _update_media(db, media_id, SAID_COLUMNS, _info_values(info, SAID_COLUMNS))
        if Stage.DESCRIBE not in stages and info.sidecar_orientation != turned:
            jobs.reopen_pictures(db, media_id, now)


def _correct_kind(db: sqlite3.Connection, analysis: Analysis, now: float) -> None:
    """A media file is of another kind than it was taken for when it was identified: from now on it owes the stages of
    that kind, and nothing else."""
    kind = analysis.info.kind if analysis.info is not None else Kind.PHOTO
    db.execute("UPDATE media SET kind = ? WHERE id = ?", (kind, analysis.media_id))
    # What the worker says nothing about it has not tried, knowing that it was given the wrong stages.
    spoken_for = {*analysis.stages, *(stage for failure in analysis.failed for stage in failure.stages)}
    jobs.give_back_but(db, analysis.media_id, spoken_for, now)
    jobs.follow_kind(db, analysis.media_id, kind, plans.read(db).stages, now)
    if kind == Kind.PHOTO:
        inside_writes.forget_happenings(db, analysis.media_id)


def set_authored_tags(db: sqlite3.Connection, media_id: int, names: Iterable[str]) -> None:
    """Replace the hand-made tags of a media file; see `Catalog.set_authored_tags`."""
    db.execute("INSERT OR IGNORE INTO segment (media_id, ordinal) SELECT id, 0 FROM media WHERE id = ?", (media_id,))
    segment = db.execute("SELECT id FROM segment WHERE media_id = ? AND ordinal = 0", (media_id,)).fetchone()
    if segment is not None:
        tags = [Tag(name, 1.0, AUTHORED) for name in names]
        inside_writes.write_tags(db, media_id, {0: segment[0]}, AUTHORED, tags)
        fulltext.rewrite(db, [media_id])


def _write_aesthetic(db: sqlite3.Connection, media_id: int, stage: str, score: float | None) -> None:
    db.execute("DELETE FROM aesthetic WHERE media_id = ? AND stage = ?", (media_id, stage))
    if score is not None:
        db.execute("INSERT INTO aesthetic (media_id, stage, score) VALUES (?, ?, ?)", (media_id, stage, score))


def _update_media(db: sqlite3.Connection, media_id: int, columns: Sequence[str], values: Sequence[object]) -> None:
    assignments = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE media SET {assignments} WHERE id = ?", (*values, media_id))


def _info_values(info: MediaInfo, columns: Sequence[str]) -> list[object]:
    return [_info_value(getattr(info, name)) for name in columns]


def _info_value(value: object) -> object:
    if isinstance(value, tuple):
        items = [[storable(one.label), storable(one.text)] if isinstance(one, Note) else storable(one) for one in value]
        return json.dumps(items, ensure_ascii=False)
    return storable(value) if isinstance(value, str) else value


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
    """The MediaInfo in the columns INFO_COLUMNS; None while neither "describe" nor "metadata" has run."""
    fields = dict(zip(INFO_COLUMNS, values, strict=True))
    if fields["format"] is None:
        return None
    for name in ("keywords", "people"):
        fields[name] = tuple(json.loads(str(fields[name])))
    fields["notes"] = tuple(Note(label, text) for label, text in json.loads(str(fields["notes"])))
    for name in ("variable_rate", "hdr"):
        fields[name] = None if fields[name] is None else bool(fields[name])
    return MediaInfo(kind=kind, **fields)  # type: ignore[arg-type]


def pixels_of(values: Sequence[object]) -> PixelStats | None:
    """The PixelStats in the columns PIXEL_COLUMNS; None while stage "pixels" has not run."""
    if values[0] is None:
        return None
    return PixelStats(**dict(zip(PIXEL_COLUMNS, values, strict=True)))  # type: ignore[arg-type]
