"""What it costs an old library when a newer Reverie reads more of what files say about themselves.

    python -m benchmarks.upgrade [--count 1000] [--quick]

A library of photos is indexed; then its jobs are set to an older revision of the stage "metadata", as an update leaves
them, and `reverie index` brings it up to date. The same with an older revision of "describe", which decodes every
photo, is what a change of metadata used to cost. No network may run and no vector change in either: both are checked
in the catalog.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.photos import parser_of, photographs
from indexer.records import Stage
from tests.e2e.driver import Reverie

SIZE = (2000, 1500)


def measure(photos: Path, count: int, folder: Path) -> dict[str, Any]:
    """Seconds of the first indexing and of both kinds of update."""
    library = folder / "library"
    program = Reverie(library, Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"))
    first, _ = _index(program, photos)
    before = _made_by_networks(library)
    seconds, said = {}, {}
    for stage in (Stage.METADATA, Stage.DESCRIBE):
        _make_older(library, stage)
        seconds[stage], said[stage] = _index(program, photos)
    if _made_by_networks(library) != before:
        raise SystemExit("a network ran again")
    return {
        "files": count,
        "seconds": {"first indexing": round(first, 2)}
        | {f"{stage} again": round(one, 2) for stage, one in seconds.items()},
        "said": said,
        "goals": [
            report.goal(
                f"reading the metadata of {count:,} photos again: share of the first indexing",
                seconds[Stage.METADATA] / first,
                at_most=0.25,
            )
        ],
    }


def _index(program: Reverie, photos: Path) -> tuple[float, str]:
    """Seconds of one whole process, and what it said on its way."""
    began = time.perf_counter()
    finished = program.run("index", photos, "--json")
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return time.perf_counter() - began, finished.stderr.strip()


def _make_older(library: Path, stage: str) -> None:
    with closing(sqlite3.connect(library / "catalog.sqlite3")) as db, db:
        db.execute("UPDATE job SET revision = 0 WHERE stage = ?", (stage,))


def _made_by_networks(library: Path) -> list[tuple[int, float]]:
    """(newest vector, when a network last ran) of each media file."""
    with closing(sqlite3.connect(library / "catalog.sqlite3")) as db:
        return db.execute(
            "SELECT vector.id, job.updated_at FROM vector JOIN segment ON segment.id = segment_id"
            " JOIN job ON job.media_id = segment.media_id AND job.stage = ? ORDER BY vector.id",
            (Stage.CONCEPTS,),
        ).fetchall()


def main() -> None:
    """Measure and write."""
    parser = parser_of(__doc__, 1000)
    parser.add_argument("--quick", action="store_true", help="6 photos, and nothing is kept: does it run at all?")
    args = parser.parse_args()
    count = 6 if args.quick else args.count
    paths = photographs(args.photos, count, SIZE)
    with tempfile.TemporaryDirectory(prefix="reverie-upgrade-") as folder:
        figures = measure(paths[0].parent, count, Path(folder))
    report.write("upgrade", figures, ["pillow", "piexif", "lxml"], keep=not args.quick)


if __name__ == "__main__":
    main()
