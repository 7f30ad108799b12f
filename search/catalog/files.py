"""Paths: what was seen where, what each holds, and which are gone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.records import Kind, Stage
from search.catalog import fulltext, jobs
from search.catalog.rows import FileStat, KnownFile
from search.catalog.sql import IN_IDS, STAT_COLUMNS, id_list, stat_of, stat_values, storable, within

TWIN = "inode = ? AND device = ? AND size = ? AND mtime_ns = ? AND path != ?"


def known(db: sqlite3.Connection, under: str) -> dict[str, KnownFile]:
    """Every path at or below a folder, tombstones included."""
    condition, values = within([under])
    return {file.path: file for file in select(db, condition, values)}


def select(db: sqlite3.Connection, condition: str, values: Sequence[object]) -> list[KnownFile]:
    """The paths that fulfil an SQL condition on their rows."""
    rows = db.execute(
        f"SELECT {STAT_COLUMNS}, media_id, missing_since, problem_title FROM file WHERE {condition}", values
    )
    decode = os.fsdecode
    return [
        KnownFile(decode(row[0]), row[1], row[2], row[3], row[4], row[5] and decode(row[5]), *row[6:]) for row in rows
    ]


def record(db: sqlite3.Connection, seen: Sequence[FileStat], now: float) -> None:
    """Remember what was seen; see `Catalog.record_files`."""
    # All answers before any change: two files that swapped names each find the other's old row.
    twins = [_twin(db, stat) for stat in seen]
    touched: set[int] = set()
    for stat, twin in zip(seen, twins, strict=True):
        touched |= _record_one(db, stat, twin, now)
    fulltext.rewrite(db, touched)


def _record_one(db: sqlite3.Connection, stat: FileStat, twin: _Row | None, now: float) -> set[int]:
    """Upsert one path. Returns the media whose live paths changed."""
    path = os.fsencode(stat.path)
    old = _row(db, "path = ?", path)
    same = old is not None and old.signature == stat.signature
    source = old if same else twin
    media_id = source.media_id if source else None
    db.execute(
        f"INSERT INTO file ({STAT_COLUMNS}, media_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " inode = excluded.inode, device = excluded.device, media_id = excluded.media_id,"
        " sidecar = excluded.sidecar, sidecar_mtime_ns = excluded.sidecar_mtime_ns, missing_since = NULL",
        (*stat_values(stat), media_id),
    )
    if not same:
        _set_problem(db, path, None, None, None)
        if twin is not None:
            db.execute(f"DELETE FROM file WHERE {TWIN} AND missing_since IS NOT NULL", _twin_values(stat))
    if media_id is not None and source is not None and source.sidecar_mtime_ns != stat.sidecar_mtime_ns:
        jobs.reopen(db, media_id, Stage.DESCRIBE, now)
    if same and old is not None and not old.missing:
        return set()
    return {number for number in (old.media_id if old else None, media_id) if number is not None}


def record_missing(db: sqlite3.Connection, paths: Sequence[str], now: float) -> None:
    """Hide paths that are gone; see `Catalog.record_missing`."""
    touched: set[int] = set()
    for path in map(os.fsencode, paths):
        old = _row(db, "path = ? AND missing_since IS NULL", path)
        if old is None:
            continue
        # Nothing to keep for a file whose content is unknown, nor for one that lives on under another name.
        if old.media_id is None or _twin(db, old.stat, "missing_since IS NULL") is not None:
            db.execute("DELETE FROM file WHERE path = ?", (path,))
        else:
            db.execute("UPDATE file SET missing_since = ? WHERE path = ?", (now, path))
        if old.media_id is not None:
            touched.add(old.media_id)
    fulltext.rewrite(db, touched)


def purge(db: sqlite3.Connection, before: float) -> list[bytes]:
    """Forget old tombstones and the media that no path holds any more; returns the content hashes of those."""
    db.execute("DELETE FROM file WHERE missing_since < ?", (before,))
    return drop_orphans(db, "TRUE", ())


def drop_orphans(db: sqlite3.Connection, condition: str, values: Sequence[object]) -> list[bytes]:
    """Delete the media that fulfil an SQL condition on `m` and that no path holds any more; returns their content
    hashes, and notes them as forgotten until their pictures are gone, too."""
    orphans = db.execute(
        f"SELECT id, content_hash FROM media m WHERE {condition}"
        " AND NOT EXISTS (SELECT 1 FROM file WHERE media_id = m.id)",
        values,
    ).fetchall()
    ids = id_list(media_id for media_id, _ in orphans)
    db.executemany("INSERT OR REPLACE INTO forgotten (media_id, content_hash) VALUES (?, ?)", orphans)
    db.execute(f"DELETE FROM fulltext WHERE rowid {IN_IDS}", (ids,))
    db.execute(f"DELETE FROM media WHERE id {IN_IDS}", (ids,))
    return [content_hash for _, content_hash in orphans]


def unidentified(db: sqlite3.Connection, limit: int) -> list[FileStat]:
    """Live paths that still have to be read once, oldest first."""
    rows = db.execute(
        f"SELECT {STAT_COLUMNS} FROM file"
        " WHERE media_id IS NULL AND missing_since IS NULL AND problem_title IS NULL ORDER BY id LIMIT ?",
        (limit,),
    )
    return [stat_of(row) for row in rows]


def identify(
    db: sqlite3.Connection, items: Sequence[tuple[FileStat, bytes, Kind]], stages: Mapping[str, int], now: float
) -> None:
    """Say what paths hold; see `Catalog.identify`."""
    touched: set[int] = set()
    for stat, digest, kind in items:
        path = os.fsencode(stat.path)
        old = _row(db, "path = ? AND missing_since IS NULL", path)
        if old is None or old.signature != stat.signature:
            continue  # it changed while it was read: whoever saw that has recorded it for another look
        known_media = db.execute("SELECT id, kind FROM media WHERE content_hash = ?", (digest,)).fetchone()
        if known_media is None:
            known_kind = kind
            media_id = db.execute(
                "INSERT INTO media (content_hash, kind, size, added_at) VALUES (?, ?, ?, ?) RETURNING id",
                (digest, kind, stat.size, now),
            ).fetchone()[0]
        else:
            # Its worker may have found what it is; a look at its beginning, or at its name, cannot know better.
            media_id, known_kind = known_media[0], Kind(known_media[1])
        db.execute("UPDATE file SET media_id = ? WHERE path = ?", (media_id, path))
        _set_problem(db, path, None, None, None)
        jobs.create(db, media_id, known_kind, stages, now)
        if known_media is not None and old.stat.sidecar is not None:
            jobs.reopen(db, media_id, Stage.DESCRIBE, now)
        touched |= {number for number in (old.media_id, media_id) if number is not None}
    fulltext.rewrite(db, touched)


def record_problem(db: sqlite3.Connection, path: str, title: str, remedy: str, now: float) -> None:
    """Remember why a path could not be read; it is left alone until it changes or a retry is asked for."""
    _set_problem(db, os.fsencode(path), storable(title), storable(remedy), now)


def clear_problems(db: sqlite3.Connection) -> int:
    """Have every path that could not be read tried again; returns how many.

    One that has been read keeps its note: that of its odd name.
    """
    return db.execute(
        "UPDATE file SET problem_title = NULL, problem_remedy = NULL, problem_since = NULL"
        " WHERE problem_title IS NOT NULL AND media_id IS NULL"
    ).rowcount


@dataclass(frozen=True, slots=True)
class _Row:
    stat: FileStat
    media_id: int | None
    missing: bool

    @property
    def signature(self) -> tuple[int, int, int]:
        return self.stat.signature

    @property
    def sidecar_mtime_ns(self) -> int | None:
        return self.stat.sidecar_mtime_ns


def _row(db: sqlite3.Connection, where: str, *values: object) -> _Row | None:
    row = db.execute(
        f"SELECT {STAT_COLUMNS}, media_id, missing_since IS NOT NULL FROM file WHERE {where} LIMIT 1", values
    ).fetchone()
    return None if row is None else _Row(stat_of(row[:-2]), row[-2], bool(row[-1]))


def _twin(db: sqlite3.Connection, stat: FileStat, condition: str = "TRUE") -> _Row | None:
    """Another path of the very same file: a hard link, or the name it had before it was moved.

    Same inode, size and modification time on the same device is the same content, without reading it.
    """
    return _row(db, f"{TWIN} AND media_id IS NOT NULL AND {condition}", *_twin_values(stat))


def _twin_values(stat: FileStat) -> tuple[int, int, int, int, bytes]:
    return stat.inode, stat.device, stat.size, stat.mtime_ns, os.fsencode(stat.path)


def _set_problem(
    db: sqlite3.Connection, path: bytes, title: str | None, remedy: str | None, since: float | None
) -> None:
    db.execute(
        "UPDATE file SET problem_title = ?, problem_remedy = ?, problem_since = ? WHERE path = ?",
        (title, remedy, since, path),
    )
