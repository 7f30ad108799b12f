"""What a second run over an unchanged library costs, and one after its folder was renamed.

    python -m benchmarks.unchanged [--files 10000] [--rounds 5] [--quick]

10,000 small photos on disk, known to a library filled as in benchmarks/libraries.py (only their names, times and inodes
matter here: none may be opened). Timed is the whole process `reverie index`, without a service, from its start to its
end. `renamed` is the first run after the folder got another name: nothing may be analysed again, and all must be found
under the new name. The goal: under 2 s unchanged, and no analysis after the rename.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.libraries import fill, small_photos
from config.schema import Watch
from daemon.ignore import IgnoreRules
from daemon.scan import scan_root
from search.catalog import Catalog
from tests.e2e.driver import Reverie


def make_library(photos: Path, library: Path, count: int, model_cache: Path) -> None:
    """Real files, and a library that knows them; returns when they have settled."""
    digests = {os.fspath(path): digest for path, digest in small_photos(photos, count)}
    files = list(scan_root(os.fspath(photos), IgnoreRules()).files.values())
    fill(library, files, [digests[file.path] for file in files], model_cache)
    time.sleep(Watch().quiet_seconds)


def measure(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Seconds of each kind of run."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    photos, library = folder / "photos", folder / "library"
    make_library(photos, library, count, cache / "reverie" / "models")
    program = Reverie(library, cache)
    _index(program, photos)  # writes what a first run leaves behind: the vector index's file
    runs = [_index(program, photos) for _ in range(rounds)]
    renamed, analyses = [], 0
    for number in range(rounds):
        photos = photos.rename(folder / f"renamed-{number}")
        seconds, done = _index(program, photos)
        renamed.append(seconds)
        analyses += done
    catalog = Catalog(library)
    counts, moved = catalog.counts(), catalog.known_files(os.fspath(photos))
    catalog.close()
    found = sum(file.media_id is not None for file in moved.values())
    if (counts.media, found) != (count, count):
        raise SystemExit(f"{found} of {count} files were found again; the library knows {counts.media}")
    unchanged = report.summary([seconds for seconds, _ in runs])
    return {
        "files": count,
        "unchanged_seconds": unchanged,
        "unchanged_analyses": sum(done for _, done in runs),
        "renamed_seconds": report.summary(renamed),
        "renamed_analyses": analyses,
        "goals": [
            report.goal(f"a second run over {count:,} unchanged files", unchanged["median"], unit="s", at_most=2),
            report.goal("analyses after a folder was renamed", analyses, at_most=0),
        ],
    }


def _index(program: Reverie, photos: Path) -> tuple[float, int]:
    """Seconds of one whole process, and how many photos it analysed."""
    began = time.perf_counter()
    finished = program.run("index", photos, "--json")
    seconds = time.perf_counter() - began
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return seconds, int(json.loads(finished.stdout)["done"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small library, nothing kept: does it run?")
    args = parser.parse_args(arguments)
    count, rounds = (50, 1) if args.quick else (args.files, args.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(Path(scratch), count, rounds)
    report.write("unchanged", figures, ["pydantic", "faiss-cpu"], keep=not args.quick)


if __name__ == "__main__":
    main()
