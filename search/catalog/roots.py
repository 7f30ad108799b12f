"""Folders that were given to index, the paths outside them, and paths that are forgotten on purpose."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Container, Iterator, Sequence

from search.catalog import files, fulltext
from search.catalog.rows import Forgettable, KnownFile, Root
from search.catalog.sql import IN_IDS, id_list, within

COLUMNS = "path, origin, device, inode, unsure"

_PATHS_IN_A_STATEMENT = 200
"""SQLite binds 32,766 values to a statement at most, three for each path; and it plans a long condition for longer than
several short ones."""


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


def only_in(db: sqlite3.Connection, path: str) -> list[str]:
    """The live paths that the root `path` holds and no other root."""
    others = {root.path for root in read(db) if root.origin != "dropped" and root.path != path}
    condition, values = within([path])
    rows = db.execute(f"SELECT path FROM file WHERE missing_since IS NULL AND {condition}", values)
    return [one for one in (os.fsdecode(row[0]) for row in rows) if root_above(one, others) is None]


def drop(db: sqlite3.Connection, path: str) -> None:
    """A root is not one of the settings any more."""
    db.execute("UPDATE root SET origin = 'dropped', unsure = 0 WHERE path = ?", (os.fsencode(path),))


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
    rows: dict[int, int | None] = {}
    for some in parts(paths):
        condition, values = within(some)
        rows.update(db.execute(f"SELECT id, media_id FROM file WHERE {condition}", values).fetchall())
    media = id_list({media_id for media_id in rows.values() if media_id is not None})
    held = {
        media_id
        for media_id, number in db.execute(
            f"SELECT media_id, id FROM file WHERE media_id {IN_IDS} AND missing_since IS NULL", (media,)
        )
        if number not in rows
    }
    contents = db.execute(f"SELECT id, content_hash FROM media WHERE id {IN_IDS}", (media,)).fetchall()
    alone = tuple(content_hash for media_id, content_hash in contents if media_id not in held)
    return Forgettable(len(rows), alone, len(held))


def forget(db: sqlite3.Connection, paths: Sequence[str], limit: int) -> tuple[int, list[bytes], set[bytes]]:
    """Drop some of the paths at or below these; returns how many, the content hashes dropped, and those that stay.

    `paths` is one of the `parts` of what is forgotten.
    """
    condition, values = within(paths)
    rows = db.execute(f"SELECT id, media_id FROM file WHERE {condition} LIMIT ?", (*values, limit)).fetchall()
    media = {media_id for _, media_id in rows if media_id is not None}
    db.execute(f"DELETE FROM file WHERE id {IN_IDS}", (id_list(number for number, _ in rows),))
    # A name that the content had before it was moved would keep it.
    db.execute(
        f"DELETE FROM file WHERE media_id {IN_IDS} AND NOT EXISTS (SELECT 1 FROM file AS other"
        " WHERE other.media_id = file.media_id AND other.missing_since IS NULL)",
        (id_list(media),),
    )
    fulltext.rewrite(db, media)  # also of the other halves of Live Photos, which the media still lead to
    dropped = files.drop_orphans(db, f"m.id {IN_IDS}", (id_list(media),))
    kept = db.execute(f"SELECT content_hash FROM media WHERE id {IN_IDS}", (id_list(media),))
    if not rows:
        db.execute(f"DELETE FROM root WHERE origin != 'settings' AND {condition}", values)
        db.execute(f"UPDATE root SET unsure = 0 WHERE {condition}", values)
    return len(rows), dropped, {content_hash for (content_hash,) in kept}


def parts(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    """The paths in parts that are few enough for one statement."""
    for start in range(0, len(paths), _PATHS_IN_A_STATEMENT):
        yield paths[start : start + _PATHS_IN_A_STATEMENT]


def root_above(path: str, roots: Container[str]) -> str | None:
    """The closest root at or above a path."""
    while path not in roots:
        above = os.path.dirname(path)
        if above == path:
            return None
        path = above
    return path


def holds(folder: str, path: str) -> bool:
    """Whether a path is, or lies below, a folder."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
