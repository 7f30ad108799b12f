"""Opening the catalog's file to read it, wherever it lies: also on a full disk, and on one that cannot be written.

A database with a write-ahead log needs the file `-wal`, and an index of it in shared memory, the file `-shm`. Readers
make both where they are missing, which a full disk or a read-only one does not allow (https://sqlite.org/wal.html,
"Read-Only Databases").
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

BUSY_TIMEOUT_SECONDS = 10.0

SHARED = "mode=ro"
"""As everybody does."""

OWN_INDEX = "mode=ro&readonly_shm=1"
"""With an index of the log in this connection's own memory: there is no room for `-shm` to grow. A writer that comes
meanwhile is noticed by SQLite."""

NO_LOCKS = "mode=ro&vfs=unix-none"
"""With a log, but nowhere to put its index, nor any lock: only for a disk that nobody can write to."""

IMMUTABLE = "mode=ro&immutable=1"
"""Without a log: all there is has been folded into the file. Again, nobody else can write to it."""

_UNWRITABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that reads `path`, in the first way that the disk allows. Raises sqlite3.DatabaseError."""
    problem: sqlite3.DatabaseError | None = None
    for way in _ways(path):
        connection = connect(f"{path.absolute().as_uri()}?{way}", uri=True)
        try:
            if way == NO_LOCKS:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps the log's index in memory
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            connection.close()
            if primary_code(error) not in _UNWRITABLE:
                raise
            problem = problem or error  # what the usual way met says most
            continue
        return connection
    assert problem is not None  # noqa: S101 - there is more than one way
    raise problem


def connect(database: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode that threads may hand to one another."""
    return sqlite3.connect(
        database, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, uri=uri
    )


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension (https://sqlite.org/rescode.html)."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _ways(path: Path) -> Iterator[str]:
    yield SHARED
    yield OWN_INDEX
    log = path.with_name(f"{path.name}-wal")
    yield NO_LOCKS if log.exists() and log.stat().st_size else IMMUTABLE
