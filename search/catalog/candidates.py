"""What ranking asks about many media at once: little of each, and only of those that search may show."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from search.catalog.rows import Brief, TagMatch
from search.catalog.sql import AESTHETIC, IN_IDS, VISIBLE, id_list, marks

ORDERS = {
    "date": "m.taken_at IS NULL, m.taken_at DESC, m.id DESC",
    "-date": "m.taken_at IS NULL, m.taken_at, m.id",
    "quality": "m.quality IS NULL, m.quality DESC, m.id DESC",
    "aesthetic": "aesthetic IS NULL, aesthetic DESC, m.id DESC",
}
"""How media can be listed; what is unknown comes last."""

_COLUMNS = f"m.id, m.taken_at, m.quality, {AESTHETIC} AS aesthetic, m.perceptual_hash, m.kind, m.duration"


def brief(db: sqlite3.Connection, media_ids: Collection[int]) -> dict[int, Brief]:
    """What ranking needs of each of these media; those that search must not show are left out."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM media m WHERE m.id {IN_IDS} AND {VISIBLE}", (id_list(media_ids),))
    return {row[0]: Brief(*row) for row in rows}


def listed(db: sqlite3.Connection, where: str, parameters: Sequence[object], order: str, limit: int) -> list[Brief]:
    """The first `limit` media in one of `ORDERS` that fulfil an SQL condition on `m`."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM media m WHERE {VISIBLE} AND ({where}) ORDER BY {ORDERS[order]} LIMIT ?",
        (*parameters, limit),
    )
    return [Brief(*row) for row in rows]


def tagged(
    db: sqlite3.Connection, name: str, where: str, parameters: Sequence[object], *, limit: int, at_least: int | None
) -> list[tuple[int, float]]:
    """The `limit` media surest to have a tag, and that fulfil an SQL condition on `m`: (media id, confidence).

    `at_least`: only where so many were counted.
    """
    counted = "" if at_least is None else f" AND tag.count >= {at_least:d}"
    rows = db.execute(
        # CROSS JOIN keeps this order: surest tags first, and no further than the limit.
        "SELECT m.id, tag.confidence FROM tag CROSS JOIN segment ON segment.id = tag.segment_id"
        f" CROSS JOIN media m ON m.id = segment.media_id WHERE tag.name = ?{counted} AND {VISIBLE} AND ({where})"
        " ORDER BY tag.confidence DESC LIMIT ?",
        (name, *parameters, limit),
    )
    return list(rows)


def tags_among(db: sqlite3.Connection, names: Collection[str], media_ids: Collection[int]) -> list[TagMatch]:
    """Which of these media have which of these tags."""
    return _tags_among(db, "tag", names, media_ids)


def moment_tags_among(db: sqlite3.Connection, names: Collection[str], media_ids: Collection[int]) -> list[TagMatch]:
    """Which moments of these media have which of these tags."""
    return _tags_among(db, "moment_tag", names, media_ids)


def _tags_among(
    db: sqlite3.Connection, table: str, names: Collection[str], media_ids: Collection[int]
) -> list[TagMatch]:
    rows = db.execute(
        # The + and the CROSS JOIN begin with the few media, not with everything that has such a tag.
        "SELECT segment.media_id, one.name, max(one.confidence), max(one.count), segment.ordinal FROM segment"
        f" CROSS JOIN {table} AS one ON one.segment_id = segment.id WHERE segment.media_id {IN_IDS}"
        f" {'AND segment.ordinal = 0' if table == 'tag' else ''} AND +one.name IN ({marks(names)})"
        " GROUP BY segment.media_id, segment.ordinal, one.name",
        (id_list(media_ids), *names),
    )
    return [TagMatch(*row) for row in rows]
