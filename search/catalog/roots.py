"""Folders that were given to index, the paths outside them, and paths that are forgotten on purpose."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence

from search.catalog import files, fulltext
from search.catalog.rows import Forgettable, KnownFile, Root
from search.catalog.sql import IN_IDS, id_list, within

COLUMNS = "path, origin, device, inode, unsure"


def read(db: sqlite3.Connection) -> list[Root]:
    """Every root, by path."""
    rows = db.execute(f"SELECT {COLUMNS} FROM root ORDER BY path").fetchall()
    return [
        Root(os.fsdecode(path), origin, None if inode is None else (device, inode), unsure)
        for path, origin, device, inode, unsure in rows
    ]


def configure(db: sqlite3.Connection, folders: Collection[str]) -> list[str]:
    """Remember the folders of the settings; see `Catalog.configure_roots`."""
    db.executemany(
        "INSERT INTO root (path, origin) VALUES (?, 'settings') ON CONFLICT (path) DO UPDATE SET origin = 'settings'",
        [(os.fsencode(folder),) for folder in folders],
    )
    return [root.path for root in read(db) if root.origin == "settings" and root.path not in folders]


def ask(db: sqlite3.Connection, path: str) -> None:
    """Remember a folder that was named in a command; see `Catalog.ask_root`."""
    if not any(root.origin != "dropped" and holds(root.path, path) for root in read(db)):
        db.execute(
            "INSERT INTO root (path, origin) VALUES (?, 'asked') ON CONFLICT (path) DO UPDATE SET origin = 'asked'",
            (os.fsencode(path),),
        )


def hide(db: sqlite3.Connection, path: str, limit: int, now: float) -> int:
    """Hide some of the paths that only the root `path` holds; the root is dropped when none are left."""
    others = [root.path for root in read(db) if root.origin != "dropped" and root.path != path]
    inside, values = within([path])
    other, others_values = within(others)
    rows = db.execute(
        f"SELECT path FROM file WHERE missing_since IS NULL AND {inside} AND NOT {other} LIMIT ?",
        (*values, *others_values, limit),
    )
    paths = [os.fsdecode(one) for (one,) in rows]
    files.record_missing(db, paths, now)
    if not paths:
        db.execute("UPDATE root SET origin = 'dropped', unsure = 0 WHERE path = ?", (os.fsencode(path),))
    return len(paths)


def note(db: sqlite3.Connection, path: str, identity: tuple[int, int] | None, unsure: int) -> None:
    """What a look at a root found; see `Catalog.note_root`."""
    device, inode = identity or (None, None)
    db.execute(
        "UPDATE root SET device = coalesce(?1, device), inode = coalesce(?2, inode), unsure = ?3 WHERE path = ?4"
        " AND (device, inode, unsure) IS NOT (coalesce(?1, device), coalesce(?2, inode), ?3)",  # write only news
        (device, inode, unsure, os.fsencode(path)),
    )


def drop_empty(db: sqlite3.Connection) -> None:
    """Forget the roots that are no folders of the settings and that nothing is known in any more."""
    for root in read(db):
        if root.origin != "settings" and not known_in(db, root.path):
            db.execute("DELETE FROM root WHERE path = ?", (os.fsencode(root.path),))


def known_in(db: sqlite3.Connection, path: str) -> int:
    """How many paths are known at or below one, tombstones included."""
    condition, values = within([path])
    return int(db.execute(f"SELECT count(*) FROM file WHERE {condition}", values).fetchone()[0])


def outside(db: sqlite3.Connection, folders: Sequence[str]) -> list[KnownFile]:
    """The live paths at or below none of these folders."""
    condition, values = within(folders)
    return files.select(db, f"missing_since IS NULL AND NOT {condition}", values)


def copies(db: sqlite3.Connection, media_ids: Collection[int]) -> list[KnownFile]:
    """The live paths of those of these media that have several."""
    condition = (
        f"missing_since IS NULL AND media_id {IN_IDS} AND EXISTS (SELECT 1 FROM file AS other"
        " WHERE other.media_id = file.media_id AND other.id != file.id AND other.missing_since IS NULL)"
    )
    return files.select(db, condition, (id_list(media_ids),))


def media_of(db: sqlite3.Connection, paths: Sequence[str]) -> set[int]:
    """The media that these paths hold, as far as that is known."""
    rows = (db.execute("SELECT media_id FROM file WHERE path = ?", (os.fsencode(path),)).fetchone() for path in paths)
    return {row[0] for row in rows if row is not None and row[0] is not None}


def forgettable(db: sqlite3.Connection, paths: Sequence[str]) -> Forgettable:
    """What forgetting these paths, with all below them, would drop."""
    condition, values = within(paths)
    [count] = db.execute(f"SELECT count(*) FROM file WHERE {condition}", values).fetchone()
    media = db.execute(
        f"SELECT content_hash, EXISTS (SELECT 1 FROM file WHERE media_id = m.id AND NOT {condition}) FROM media m"
        f" WHERE id IN (SELECT media_id FROM file WHERE {condition})",
        (*values, *values),
    ).fetchall()
    alone = tuple(content_hash for content_hash, shared in media if not shared)
    return Forgettable(count, alone, len(media) - len(alone))


def forget(db: sqlite3.Connection, paths: Sequence[str], limit: int) -> tuple[int, list[bytes], set[bytes]]:
    """Drop some of the paths at or below these; returns how many, the content hashes dropped, and those that stay."""
    condition, values = within(paths)
    rows = db.execute(f"SELECT id, media_id FROM file WHERE {condition} LIMIT ?", (*values, limit)).fetchall()
    media = {media_id for _, media_id in rows if media_id is not None}
    db.execute(f"DELETE FROM file WHERE id {IN_IDS}", (id_list(number for number, _ in rows),))
    fulltext.rewrite(db, media)  # also of the other halves of Live Photos, which the media still lead to
    dropped = files.drop_orphans(db, f"m.id {IN_IDS}", (id_list(media),))
    kept = db.execute(f"SELECT content_hash FROM media WHERE id {IN_IDS}", (id_list(media),))
    if not rows:
        db.execute(f"DELETE FROM root WHERE origin != 'settings' AND {condition}", values)
        db.execute(f"UPDATE root SET unsure = 0 WHERE {condition}", values)
    return len(rows), dropped, {content_hash for (content_hash,) in kept}


def holds(folder: str, path: str) -> bool:
    """Whether a path is, or lies below, a folder."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
