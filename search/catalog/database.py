"""One SQLite file: opening it, bringing its schema up to date, and its transactions.

Write-ahead logging lets readers go on while a batch is written; `synchronous=FULL` makes a committed job survive a
power cut. There is one writing connection behind a lock, and one reading connection per thread. The writing one is
opened by the first change: who only asks needs no disk that can be written.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.disk import FORBIDDEN, FULL, obstacle, remedy_for
from config.errors import CatalogError, NewerCatalog
from search.catalog import fulltext
from search.catalog.opening import connect, open_reader, primary_code
from search.catalog.schema import CURRENT, MIGRATIONS

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x52565245  # "RVRE", in the file's header: this SQLite file is a Reverie catalog
WRITER_CACHE_KIB = 16_000
READER_CACHE_KIB = 4_000
WAL_LIMIT_BYTES = 32 << 20
CHECKPOINT_PAGES = 4000
"""The write-ahead log is folded into the file when it has so many pages (of 4 KiB). SQLite's own 1000 are less than two
batches of a large library, whose tags lie on a page of their own each; what several batches change is written once."""


@dataclass(slots=True)
class _Reader:
    connection: sqlite3.Connection
    busy: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    def close(self) -> None:
        with self.busy:
            self.connection.close()
            self.closed = True


class Database:
    """The catalog's file. Raises `CatalogError` for whatever the disk or another process does to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._readers: dict[threading.Thread, _Reader] = {}
        self._readers_lock = threading.Lock()
        try:
            version = self._version()
            if version < CURRENT:
                self._bring_up_to_date(version)
        except BaseException:
            self._close_readers()
            raise

    def close(self) -> None:
        """Close every connection. The last one, if it may write, folds the write-ahead log into the file."""
        self._close_readers()
        with self._write_lock:
            if self._writer is not None:
                with suppress(sqlite3.DatabaseError):  # it only makes later questions quicker; a full disk refuses it
                    self._writer.execute("PRAGMA optimize")
                self._writer.close()
                self._writer = None

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end of the block and rolled back by any exception."""
        with self._write_lock, self._translated():
            writer = self._open_writer()
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:  # after a full disk SQLite has rolled back already
                    writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view: every statement in the block sees the same committed state. No `write` within it."""
        while True:
            reader = self._reader()
            with reader.busy, self._translated():
                if reader.closed:  # the writer was opened meanwhile
                    continue
                reader.connection.execute("BEGIN")
                try:
                    yield reader.connection
                finally:
                    if reader.connection.in_transaction:
                        reader.connection.execute("ROLLBACK")
                return

    def _reader(self) -> _Reader:
        thread = threading.current_thread()
        with self._readers_lock:
            reader = self._readers.get(thread)
            if reader is None or reader.closed:
                for finished in [known for known in self._readers if not known.is_alive()]:
                    self._readers.pop(finished).close()
                with self._translated():
                    connection = open_reader(self.path)
                    connection.execute("PRAGMA query_only = ON")
                    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
                    connection.execute("PRAGMA temp_store = MEMORY")
                reader = self._readers[thread] = _Reader(connection)
            return reader

    def _close_readers(self) -> None:
        with self._readers_lock:
            while self._readers:
                self._readers.popitem()[1].close()

    def _open_writer(self) -> sqlite3.Connection:
        """The writing connection. Opened by the first change that the disk lets through."""
        if self._writer is not None:
            return self._writer
        self._make_file()
        # SQLite shares the log's index among the connections of a process: one that was opened where the disk could not
        # be written would keep it from being written. So none stays, and none comes before the writer is there.
        with self._readers_lock:
            while self._readers:
                self._readers.popitem()[1].close()
            writer = connect(self.path)
            try:
                self._check_owner(writer)
                self._set_up(writer)
                self._migrate(writer)
            except BaseException:
                writer.close()
                raise
        self._writer = writer
        return writer

    def _make_file(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite would create it with the umask's mode; what photos show is nobody else's business.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            title = f"The catalog {self.path} cannot be opened: {error.strerror}."
            raise CatalogError(*(obstacle(self.path) or (title, remedy_for(error)))) from error

    def _version(self) -> int:
        """The schema's version; 0 where there is no file yet, or an empty one."""
        try:
            if self.path.stat().st_size == 0:
                return 0
        except OSError:
            return 0  # making it will say why
        with self.read() as db:
            self._check_owner(db)
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
        if version > CURRENT:
            raise self._newer(version)
        return version

    def _bring_up_to_date(self, version: int) -> None:
        try:
            with self._write_lock, self._translated():
                self._open_writer()
        except NewerCatalog:
            raise
        except CatalogError as error:
            if version:
                title = f"The catalog was written by an earlier version of Reverie and has to be changed. {error.title}"
                raise CatalogError(title, error.remedy) from error
            raise

    def _newer(self, version: int) -> NewerCatalog:
        return NewerCatalog(
            f"The catalog {self.path} was written by a later version of Reverie"
            f" (schema {version}; this version knows {CURRENT}).",
            "Update Reverie, or use another library (--library DIR).",
        )

    def _check_owner(self, db: sqlite3.Connection) -> None:
        owner = db.execute("PRAGMA application_id").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if owner != APPLICATION_ID and (owner or tables):
            raise CatalogError(
                f"{self.path} is the database of another program.",
                "Choose an empty folder for the library (--library DIR).",
            )

    def _set_up(self, writer: sqlite3.Connection) -> None:
        writer.execute("PRAGMA foreign_keys = ON")
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        writer.execute("PRAGMA temp_store = MEMORY")
        writer.execute("PRAGMA analysis_limit = 400")
        mode = writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise CatalogError(
                f"The file system of {self.path} cannot hold the catalog's write-ahead log.",
                "Put the library on a local disk (--library DIR); the photos themselves may stay on the network.",
            )
        writer.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    def _migrate(self, writer: sqlite3.Connection) -> None:
        if writer.execute("PRAGMA user_version").fetchone()[0] == CURRENT:
            return
        writer.execute("BEGIN IMMEDIATE")  # two processes that start together migrate one after the other
        try:
            version = writer.execute("PRAGMA user_version").fetchone()[0]
            if version > CURRENT:
                raise self._newer(version)
            missing = [migration for migration in MIGRATIONS if migration.number > version]
            for migration in missing:
                logger.info("catalog migration %d: %s", migration.number, migration.reason)
                for statement in statements(migration.sql):
                    writer.execute(statement)
            if any(migration.cuts_words for migration in missing):
                fulltext.rewrite_all(writer)
            writer.execute(f"PRAGMA user_version = {CURRENT}")
            writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            writer.execute("COMMIT")
        except BaseException:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what can go wrong outside the program into a CatalogError; a mistake in the program stays what it is."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            explanation = self._explain(primary_code(error))
            if explanation is None:
                raise
            raise CatalogError(*explanation) from error

    def _explain(self, code: int) -> tuple[str, str] | None:
        path = self.path
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return (
                f"The catalog {path} is damaged.",
                "Stop Reverie and move the file away (nothing here deletes it); the next start builds a new one from"
                " the photos. Hand-made tags are kept in authored.json.",
            )
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return f"Another program holds the catalog {path}.", "Close it, or wait until it is done, and try again."
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            return obstacle(path) or (f"The catalog {path} cannot be opened.", FORBIDDEN)
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            says = "is full" if code == sqlite3.SQLITE_FULL else "refuses to read or write it"
            return obstacle(path) or (f"The disk that holds {path} {says}.", FULL)
        return None


def statements(sql: str) -> Iterator[str]:
    """The single statements of a script: `executescript` would commit between them."""
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
