"""What a library knows, without the numbers and times that may differ between two runs over the same files; and how
far it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MEDIA_COLUMNS_THAT_DIFFER = {"id", "added_at"}


def knowledge(library: Path) -> dict[str, Any]:
    """Every photo by content: its facts, tags, vectors, jobs, paths and words; and the thumbnails on disk."""
    db = sqlite3.connect(library / "catalog.sqlite3")
    db.row_factory = sqlite3.Row
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    known = {}
    for media in db.execute("SELECT * FROM media").fetchall():
        number = media["id"]
        known[media["content_hash"].hex()] = {
            "facts": {name: media[name] for name in media.keys() if name not in MEDIA_COLUMNS_THAT_DIFFER},  # noqa: SIM118
            "paths": _rows(db, "SELECT path, size, problem_title FROM file WHERE media_id = ? ORDER BY path", number),
            "tags": {
                key: round(confidence, 4)
                for key, confidence in _rows(
                    db,
                    "SELECT ordinal || stage || source || name, confidence FROM"
                    " (SELECT segment_id, stage, source, name, confidence FROM tag UNION ALL"
                    " SELECT segment_id, stage, source, name, confidence FROM moment_tag)"
                    " JOIN segment ON segment.id = segment_id WHERE media_id = ?",
                    number,
                )
            },
            "vectors": {
                key: np.frombuffer(data, "<f2").astype(np.float64)
                for key, data in _rows(
                    db,
                    "SELECT name || ordinal, data FROM vector JOIN segment ON segment.id = segment_id"
                    " JOIN space ON space.id = space_id WHERE media_id = ?",
                    number,
                )
            },
            "jobs": _rows(
                db, "SELECT stage, revision, state, problem_title FROM job WHERE media_id = ? ORDER BY 1", number
            ),
            "segments": _rows(
                db,
                "SELECT ordinal, start_seconds, end_seconds, keyframe_seconds, quality, shot FROM segment"
                " WHERE media_id = ? ORDER BY 1",
                number,
            ),
            "events": _rows(
                db,
                "SELECT stage, kind, label, start_seconds, end_seconds FROM event WHERE media_id = ? ORDER BY 1, 4, 3",
                number,
            ),
            "utterances": _rows(
                db,
                "SELECT stage, start_seconds, end_seconds, text FROM utterance WHERE media_id = ? ORDER BY 2",
                number,
            ),
            "words": [
                [sorted((text or "").split()) for text in row]
                for row in _rows(db, "SELECT * FROM fulltext WHERE rowid = ?", number)
            ],
        }
    stray = _rows(db, "SELECT path FROM file WHERE media_id IS NULL AND problem_title IS NULL")
    db.close()
    pictures = (library / "thumbnails").rglob("*.*")
    thumbnails = sorted(path.name for path in pictures if path.suffix != ".part")
    return {"media": known, "unidentified": stray, "thumbnails": thumbnails}


def assert_equal(result: dict[str, Any], expected: dict[str, Any]) -> None:
    """Two libraries know the same. Confidences and vectors may differ in their last digits: the sums of a network
    depend on how many photos went through it together."""
    assert result["unidentified"] == expected["unidentified"]
    assert result["thumbnails"] == expected["thumbnails"]
    assert result["media"].keys() == expected["media"].keys()
    for content_hash, theirs in expected["media"].items():
        ours = result["media"][content_hash]
        for name in ("facts", "paths", "jobs", "words", "segments", "events", "utterances"):
            assert ours[name] == theirs[name]
        assert ours["tags"] == pytest.approx(theirs["tags"], abs=0.002)
        assert ours["vectors"].keys() == theirs["vectors"].keys()
        for key, vector in theirs["vectors"].items():
            assert float(vector @ ours["vectors"][key]) > 0.999


def finished(library: Path) -> bool:
    """Whether a library has no work left, read without disturbing who writes it."""
    if not (library / "catalog.sqlite3").exists():
        return False
    db = sqlite3.connect(f"file:{library}/catalog.sqlite3?mode=ro", uri=True, timeout=30)
    try:
        [jobs] = db.execute("SELECT count(*) FROM job").fetchone()
        [open_jobs] = db.execute("SELECT count(*) FROM job WHERE state IN ('pending', 'running')").fetchone()
        [files] = db.execute("SELECT count(*) FROM file WHERE media_id IS NULL").fetchone()
    except sqlite3.OperationalError:
        return False  # its tables are being made
    finally:
        db.close()
    return bool(jobs > 0 and open_jobs == 0 and files == 0)


def worker_of(service: int) -> int | None:
    """The process id of the service's worker, if it has one."""
    try:
        children = Path(f"/proc/{service}/task/{service}/children").read_text(encoding="ascii").split()
        threads = Path(f"/proc/{service}/task").iterdir()
        for thread in threads:
            children += (thread / "children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def do_again(library: Path) -> None:
    """Have all that was done wait to be done."""
    db = sqlite3.connect(library / "catalog.sqlite3", timeout=30)
    with db:
        db.execute("UPDATE job SET state = 'pending' WHERE state = 'done'")
    db.close()


def _rows(db: sqlite3.Connection, sql: str, *values: object) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in db.execute(sql, values)]
