"""Where do machine-made tags belong? The same documents in SQLite and in TinyDB, in batches of 32.

    python -m benchmarks.tag_store [--sizes 1000 10000 50000]

A document is what a photo leaves behind: twenty tags, EXIF fields, a text of 300 characters. Both stores are filled to
each size, then timed: a batch of 32 more, a search by tag and year, a search by a word in the text (TinyDB without its
query cache, which every write empties).
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tinydb import TinyDB, where

from benchmarks import report

BATCH = 32
WRITES = {"sqlite": 20, "tinydb": 5}
READS = 5

Document = dict[str, Any]


def document(number: int, chance: random.Random) -> Document:
    """A photo's worth of tags and text."""
    words = [f"word{int(2000 * chance.random() ** 2)}" for _ in range(45)]
    return {
        "id": number,
        "path": f"/photos/{number // 500}/IMG_{number}.jpg",
        "year": 2000 + number % 25,
        "camera": f"Camera {number % 12}",
        "iso": 100 << (number % 6),
        "f_number": 1.8 + number % 7,
        "tags": [
            {"name": f"tag{tag}", "confidence": round(chance.random(), 3)} for tag in chance.sample(range(1000), 20)
        ],
        "text": " ".join(words)[:300],
    }


class Sqlite:
    """Rows, an index, FTS5; each batch a durable transaction in the write-ahead log."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = sqlite3.connect(folder / "tags.sqlite3", isolation_level=None)
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE photo (id INTEGER PRIMARY KEY, path TEXT, year INTEGER, camera TEXT, iso INTEGER,
                f_number REAL);
            CREATE INDEX photo_year ON photo (year);
            CREATE TABLE tag (photo INTEGER, name TEXT, confidence REAL, PRIMARY KEY (photo, name)) WITHOUT ROWID;
            CREATE INDEX tag_name ON tag (name, photo);
            CREATE VIRTUAL TABLE words USING fts5 (tags, text);
        """)

    def write(self, batch: list[Document]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO photo VALUES (:id, :path, :year, :camera, :iso, :f_number)", batch)
        self.db.executemany(
            "INSERT INTO tag VALUES (?, ?, ?)",
            [(one["id"], tag["name"], tag["confidence"]) for one in batch for tag in one["tags"]],
        )
        self.db.executemany(
            "INSERT INTO words (rowid, tags, text) VALUES (?, ?, ?)",
            [(one["id"], " ".join(tag["name"] for tag in one["tags"]), one["text"]) for one in batch],
        )
        self.db.execute("COMMIT")

    def by_tag_and_year(self) -> int:
        return len(
            self.db.execute(
                "SELECT path FROM photo WHERE year = 2010 AND id IN (SELECT photo FROM tag WHERE name = 'tag7')"
            ).fetchall()
        )

    def by_text(self) -> int:
        return len(self.db.execute("SELECT rowid FROM words WHERE text MATCH 'word1900' LIMIT 50").fetchall())

    def close(self) -> None:
        self.db.close()


class Tiny:
    """TinyDB as it comes: one JSON file, rewritten whole."""

    name = "tinydb"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = TinyDB(folder / "tags.json")

    def write(self, batch: list[Document]) -> None:
        self.db.insert_multiple(batch)

    def by_tag_and_year(self) -> int:
        self.db.clear_cache()
        return len(self.db.search((where("year") == 2010) & where("tags").any(where("name") == "tag7")))

    def by_text(self) -> int:
        self.db.clear_cache()
        return len(self.db.search(where("text").search("word1900")))

    def close(self) -> None:
        self.db.close()


def measure(store: Sqlite | Tiny, sizes: list[int]) -> dict[str, object]:
    """One store at every size."""
    chance = random.Random(3)
    count = 0
    figures: dict[str, object] = {}

    def documents(wanted: int) -> list[Document]:
        nonlocal count
        first, count = count, count + wanted
        return [document(number, chance) for number in range(first, count)]

    for size in sizes:
        store.write(documents(size - count))
        batches = [documents(BATCH) for _ in range(WRITES[store.name])]
        figures[str(size)] = {
            "batch_of_32_ms": report.summary([report.milliseconds(partial(store.write, one)) for one in batches]),
            "tag_and_year_ms": report.summary([report.milliseconds(store.by_tag_and_year) for _ in range(READS)]),
            "text_ms": report.summary([report.milliseconds(store.by_text) for _ in range(READS)]),
            "bytes": sum(file.stat().st_size for file in store.folder.iterdir()),
        }
    store.close()
    return figures


def main() -> None:
    """Measure both, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    sizes = parser.parse_args().sizes
    figures: dict[str, object] = {"sqlite_version": sqlite3.sqlite_version}
    for kind in (Sqlite, Tiny):
        with tempfile.TemporaryDirectory() as folder:
            figures[kind.name] = measure(kind(Path(folder)), sizes)
    report.write("tag_store", figures, ["tinydb"])


if __name__ == "__main__":
    main()
