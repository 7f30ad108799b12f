"""The file of a catalog, for tests that look into it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from search.catalog import Catalog


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Catalog]:
    catalog = Catalog(directory)
    try:
        yield catalog
    finally:
        catalog.close()


@contextlib.contextmanager
def sqlite(directory: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(directory / "catalog.sqlite3")
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def assert_sound(directory: Path) -> None:
    with sqlite(directory) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO fulltext (fulltext) VALUES ('integrity-check')")
        db.execute("INSERT INTO spoken (spoken, rank) VALUES ('integrity-check', 1)")
