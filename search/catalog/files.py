"""Paths: what was seen where, what each holds, and which are gone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from indexer.records import Kind, Stage
from search.catalog import fulltext, jobs
from search.catalog.rows import FileStat, KnownFile, Sampled
from search.catalog.sql import IN_IDS, STAT_COLUMNS, id_list, paths_of, stat_of, stat_values, storable, within

TWIN = "inode = ? AND inode != 0 AND device = ? AND size = ? AND mtime_ns = ? AND path != ?"

WHOLLY, SAMPLE = 1, 2
"""How a file is to be read again (`file.reread`; 0: it is not)."""


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
        KnownFile(decode(row[0]), row[1], row[2], row[3], row[4], paths_of(row[5]), row[6], *row[8:], ctime_ns=row[7])
        for row in rows
    ]


def record(db: sqlite3.Connection, seen: Sequence[FileStat], written: Collection[str], now: float) -> None:
    """Remember what was seen; see `Catalog.record_files`."""
    # All answers before any change: two files that swapped names each find the other's old row.
    twins = [_twin(db, stat, "reread = 0") for stat in seen]
    touched: set[int] = set()
    outgrown: set[int] = set()
    for stat, twin in zip(seen, twins, strict=True):
        old = _row(db, "path = ?", os.fsencode(stat.path))
        touched |= _record_one(db, stat, old, twin, written=stat.path in written, now=now)
        if old is not None and old.media_id is not None and _outgrew(stat, old.stat):
            outgrown.add(old.media_id)
    # A recording that went on is another content by now, and nobody asks for its first part.
    drop_orphans(db, f"m.id {IN_IDS} AND m.kind != '{Kind.PHOTO}'", (id_list(outgrown),))
    fulltext.rewrite(db, touched)


def _record_one(
    db: sqlite3.Connection, stat: FileStat, old: _Row | None, twin: _Row | None, *, written: bool, now: float
) -> set[int]:
    """Upsert one path. Returns the media whose live paths changed."""
    path = os.fsencode(stat.path)
    same = old is not None and stat.continues(old.stat)
    if old is not None and old.stat.inode == stat.inode:
        twin = None  # another name of a file that may have been changed in place knows no better
    source = old if same or (twin is None and old is not None and stat.resembles(old.stat)) else twin
    media_id = source.media_id if source else None
    reread = 0
    if old is not None and source is old:
        if not same and media_id is not None:
            reread = _how_to_reread(stat, old.stat)
        elif same:
            reread = WHOLLY if written or old.refused else old.reread
    db.execute(
        f"INSERT INTO file ({STAT_COLUMNS}, media_id, reread) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " inode = excluded.inode, device = excluded.device, ctime_ns = excluded.ctime_ns,"
        " media_id = excluded.media_id, reread = excluded.reread,"
        " sidecars = excluded.sidecars, sidecars_stamp = excluded.sidecars_stamp, missing_since = NULL",
        (*stat_values(stat), media_id, reread),
    )
    if not same and not reread:
        _set_problem(db, path, None, None, None)
    if source is twin and twin is not None:
        db.execute(f"DELETE FROM file WHERE {TWIN} AND missing_since IS NOT NULL", _twin_values(stat))
        # The new name explains the inode's new time.
        db.execute(f"UPDATE file SET ctime_ns = ? WHERE {TWIN}", (stat.ctime_ns, *_twin_values(stat)))
    elif not same:
        db.execute(
            "UPDATE file SET reread = ? WHERE inode = ? AND inode != 0 AND device = ? AND path != ?"
            " AND media_id IS NOT NULL AND missing_since IS NULL AND ctime_ns != ?",
            (WHOLLY, stat.inode, stat.device, path, stat.ctime_ns),
        )
    if media_id is not None:
        jobs.retry_refused(db, [media_id], now)
        if source is not None and source.sidecars_stamp != stat.sidecars_stamp:
            jobs.reopen(db, media_id, Stage.METADATA, now)
    if source is old and old is not None and not old.missing:
        return set()
    return {number for number in (old.media_id if old else None, media_id) if number is not None}


def _how_to_reread(stat: FileStat, old: FileStat) -> int:
    """A file that took the place of another of the same size and time was most likely copied with its times, and a
    sample shows it. A whole second is no sign of that: programs that set a time back by hand drop its fraction."""
    return SAMPLE if old.inode not in (0, stat.inode) and stat.mtime_ns % 10**9 else WHOLLY


def _outgrew(stat: FileStat, old: FileStat) -> bool:
    """Whether the same file has only become longer, as a recording does."""
    return stat.inode == old.inode and stat.size > old.size


def note(db: sqlite3.Connection, seen: Sequence[FileStat]) -> None:
    """Remember what a look told about unchanged files; see `Catalog.note_files`."""
    db.executemany(
        "UPDATE file SET mtime_ns = ?, inode = ?, device = ?, ctime_ns = ? WHERE path = ?",
        [(stat.mtime_ns, stat.inode, stat.device, stat.ctime_ns, os.fsencode(stat.path)) for stat in seen],
    )


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
    """Live paths that are to be read: for the first time, oldest first, and then again."""
    rows = db.execute(
        f"SELECT {STAT_COLUMNS} FROM (SELECT * FROM file"
        " WHERE media_id IS NULL AND missing_since IS NULL AND problem_title IS NULL AND reread = 0"
        " ORDER BY id LIMIT ?1)",
        (limit,),
    ).fetchall()
    rows += db.execute(
        f"SELECT {STAT_COLUMNS} FROM file WHERE reread != 0 AND missing_since IS NULL ORDER BY id LIMIT ?",
        (limit - len(rows),),
    ).fetchall()
    return [stat_of(row) for row in rows]


def sampled(db: sqlite3.Connection, path: str) -> Sampled | None:
    """What a path held, if a sample is enough to tell whether it still does."""
    row = db.execute(
        "SELECT content_hash, kind, sample FROM file JOIN media ON media.id = media_id"
        " WHERE path = ? AND reread = ? AND sample NOT NULL",
        (os.fsencode(path), SAMPLE),
    ).fetchone()
    return None if row is None else Sampled(row[0], Kind(row[1]), row[2])


def identify(
    db: sqlite3.Connection,
    items: Sequence[tuple[FileStat, bytes, Kind]],
    stages: Mapping[str, int],
    samples: Mapping[bytes, bytes],
    now: float,
) -> None:
    """Say what paths hold; see `Catalog.identify`."""
    touched: set[int] = set()
    for stat, digest, kind in items:
        path = os.fsencode(stat.path)
        old = _row(db, "path = ? AND missing_since IS NULL", path)
        if old is None or old.stat.signature != stat.signature or old.stat.ctime_ns != stat.ctime_ns:
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
        db.execute("UPDATE file SET media_id = ?, reread = 0 WHERE path = ?", (media_id, path))
        if digest in samples:
            db.execute("UPDATE media SET sample = ? WHERE id = ?", (samples[digest], media_id))
        _set_problem(db, path, None, None, None)
        if media_id == old.media_id:
            continue  # it was read again, and is what it was
        jobs.create(db, media_id, known_kind, stages, now)
        if known_media is not None and old.stat.sidecars:
            jobs.reopen(db, media_id, Stage.METADATA, now)
        touched |= {number for number in (old.media_id, media_id) if number is not None}
    fulltext.rewrite(db, touched)


def record_problem(
    db: sqlite3.Connection, path: str, title: str, remedy: str, now: float, *, refused: bool = False
) -> None:
    """Remember what is wrong with a path; see `Catalog.record_problem`."""
    _set_problem(db, os.fsencode(path), storable(title), storable(remedy), now, refused=refused)
    db.execute("UPDATE file SET reread = 0 WHERE path = ?", (os.fsencode(path),))


def clear_problems(db: sqlite3.Connection) -> int:
    """Have every path that could not be read tried again; returns how many.

    One that has been read keeps its note: that of its odd name.
    """
    return db.execute(
        "UPDATE file SET problem_title = NULL, problem_remedy = NULL, problem_since = NULL, refused = 0,"
        f" reread = CASE WHEN media_id IS NULL THEN 0 ELSE {WHOLLY} END"
        " WHERE problem_title IS NOT NULL AND (media_id IS NULL OR refused)"
    ).rowcount


def retry_refused(db: sqlite3.Connection, under: str, now: float) -> int:
    """Try again what the system did not let us read; see `Catalog.retry_refused`."""
    below, values = within([under])
    paths = db.execute(
        f"UPDATE file SET reread = ? WHERE problem_title IS NOT NULL AND refused AND missing_since IS NULL AND {below}",
        (WHOLLY, *values),
    ).rowcount
    media = db.execute(
        "SELECT DISTINCT media_id FROM job JOIN file USING (media_id) WHERE state = 'quarantined' AND state != 'done'"
        f" AND job.refused AND missing_since IS NULL AND {below}",
        values,
    ).fetchall()
    jobs.retry_refused(db, [media_id for (media_id,) in media], now)
    return paths + len(media)


def try_again(db: sqlite3.Connection, path: str, now: float) -> None:
    """Give one path a fresh start, whatever was wrong with it."""
    retry_refused(db, path, now)
    media = db.execute("SELECT media_id FROM file WHERE path = ? AND media_id NOT NULL", (os.fsencode(path),))
    for (media_id,) in media.fetchall():
        jobs.retry(db, now, media_id)


@dataclass(frozen=True, slots=True)
class _Row:
    stat: FileStat
    media_id: int | None
    missing: bool
    reread: int
    refused: bool

    @property
    def sidecars_stamp(self) -> int | None:
        return self.stat.sidecars_stamp


def _row(db: sqlite3.Connection, where: str, *values: object) -> _Row | None:
    row = db.execute(
        f"SELECT {STAT_COLUMNS}, media_id, missing_since IS NOT NULL, reread, refused FROM file WHERE {where} LIMIT 1",
        values,
    ).fetchone()
    return None if row is None else _Row(stat_of(row[:-4]), row[-4], bool(row[-3]), row[-2], bool(row[-1]))


def _twin(db: sqlite3.Connection, stat: FileStat, condition: str = "TRUE") -> _Row | None:
    """Another path of the very same file: a hard link, or the name it had before it was moved.

    Same inode, size and modification time on the same device is the same content, without reading it.
    """
    return _row(db, f"{TWIN} AND media_id IS NOT NULL AND {condition}", *_twin_values(stat))


def _twin_values(stat: FileStat) -> tuple[int, int, int, int, bytes]:
    return stat.inode, stat.device, stat.size, stat.mtime_ns, os.fsencode(stat.path)


def _set_problem(
    db: sqlite3.Connection,
    path: bytes,
    title: str | None,
    remedy: str | None,
    since: float | None,
    *,
    refused: bool = False,
) -> None:
    """A problem that stays the same keeps its time."""
    db.execute(
        "UPDATE file SET problem_title = ?1, problem_remedy = ?2, refused = ?4, problem_since ="
        " CASE WHEN problem_title IS ?1 THEN problem_since ELSE ?3 END WHERE path = ?5",
        (title, remedy, since, refused, path),
    )
