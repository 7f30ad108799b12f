"""One SQLite file: opening it, bringing its schema up to date, and its transactions.

Write-ahead logging lets readers go on while a batch is written; `synchronous=FULL` makes a committed job survive a
power cut. There is one writing connection behind a lock, and one reading connection per thread.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import CatalogError, NewerCatalog
from search.catalog import fulltext
from search.catalog.schema import CURRENT, MIGRATIONS

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x52565245  # "RVRE", in the file's header: this SQLite file is a Reverie catalog
BUSY_TIMEOUT_SECONDS = 10.0
WRITER_CACHE_KIB = 16_000
READER_CACHE_KIB = 4_000
WAL_LIMIT_BYTES = 32 << 20
CHECKPOINT_PAGES = 4000
"""The write-ahead log is folded into the file when it has so many pages (of 4 KiB). SQLite's own 1000 are less than two
batches of a large library, whose tags lie on a page of their own each; what several batches change is written once."""


class Database:
    """The catalog's file. Raises `CatalogError` for whatever the disk or another process does to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()
        self._readers: dict[threading.Thread, sqlite3.Connection] = {}
        self._readers_lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite would create it with the umask's mode; what photos show is nobody else's business.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise CatalogError(
                f"The catalog {path} cannot be opened: {error.strerror}.",
                "Check that the library's folder exists and belongs to the user that runs Reverie.",
            ) from error
        with self._translated():
            self._writer = self._connect(WRITER_CACHE_KIB)
        try:
            with self._translated():
                self._check_owner()
                self._use_wal()
                self._migrate()
        except BaseException:
            self._writer.close()
            raise

    def close(self) -> None:
        """Close every connection. The last one folds the write-ahead log into the file."""
        with self._readers_lock:
            for reader in self._readers.values():
                reader.close()
            self._readers.clear()
        with self._write_lock, self._translated():
            try:
                self._writer.execute("PRAGMA optimize")
            finally:
                self._writer.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end of the block and rolled back by any exception."""
        with self._write_lock, self._translated():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # after a full disk SQLite has rolled back already
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view: every statement in the block sees the same committed state."""
        reader = self._reader()
        with self._translated():
            reader.execute("BEGIN")
            try:
                yield reader
            finally:
                if reader.in_transaction:
                    reader.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        thread = threading.current_thread()
        with self._readers_lock:
            reader = self._readers.get(thread)
            if reader is None:
                for finished in [known for known in self._readers if not known.is_alive()]:
                    self._readers.pop(finished).close()
                with self._translated():
                    reader = self._connect(READER_CACHE_KIB)
                    reader.execute("PRAGMA query_only = ON")
                self._readers[thread] = reader
            return reader

    def _connect(self, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA analysis_limit = 400")
        return connection

    def _check_owner(self) -> None:
        owner = self._writer.execute("PRAGMA application_id").fetchone()[0]
        tables = self._writer.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if owner != APPLICATION_ID and (owner or tables):
            raise CatalogError(
                f"{self.path} is the database of another program.",
                "Choose an empty folder for the library (--library DIR).",
            )

    def _use_wal(self) -> None:
        mode = self._writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise CatalogError(
                f"The file system of {self.path} cannot hold the catalog's write-ahead log.",
                "Put the library on a local disk (--library DIR); the photos themselves may stay on the network.",
            )
        self._writer.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        self._writer.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")

    def _migrate(self) -> None:
        self._writer.execute("BEGIN IMMEDIATE")  # two processes that start together migrate one after the other
        try:
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version > CURRENT:
                raise NewerCatalog(
                    f"The catalog {self.path} was written by a later version of Reverie"
                    f" (schema {version}; this version knows {CURRENT}).",
                    "Update Reverie, or use another library (--library DIR).",
                )
            missing = [migration for migration in MIGRATIONS if migration.number > version]
            for migration in missing:
                logger.info("catalog migration %d: %s", migration.number, migration.reason)
                for statement in statements(migration.sql):
                    self._writer.execute(statement)
            if any(migration.cuts_words for migration in missing):
                fulltext.rewrite_all(self._writer)
            self._writer.execute(f"PRAGMA user_version = {CURRENT}")
            self._writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what can go wrong outside the program into a CatalogError; a mistake in the program stays what it is."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            explanation = self._explain(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF)
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
        if code == sqlite3.SQLITE_FULL:
            return f"The disk that holds {path} is full.", "Free some space: nothing recorded so far is lost."
        if code == sqlite3.SQLITE_IOERR:
            return (
                f"The disk refuses to read or write {path}.",
                "Check the disk and its free space, then start again: nothing recorded so far is lost.",
            )
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return f"Another program holds the catalog {path}.", "Close it, or wait until it is done, and try again."
        if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
            return (
                f"The catalog {path} cannot be written.",
                "Check that the library's folder and the files in it belong to the user that runs Reverie.",
            )
        return None


def statements(sql: str) -> Iterator[str]:
    """The single statements of a script: `executescript` would commit between them."""
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
