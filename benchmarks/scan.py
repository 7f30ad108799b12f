"""What a second run over an unchanged library costs: walk it, read what is known, compare.

    python -m benchmarks.scan [--files 10000]

The goal: under 2 s for 10,000 files, start of the program not included. Empty files are enough: none is opened.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from pathlib import Path

from benchmarks.report import milliseconds, summary, write
from daemon.ignore import IgnoreRules
from daemon.scan import compare, scan_root
from indexer.records import Kind
from indexer.stages import STAGES
from search.catalog import Catalog

FILES_PER_FOLDER = 200
ROUNDS = 15


def make_library(root: Path, files: int) -> None:
    """Folders of photos by name, a sidecar beside each tenth."""
    for number in range(files):
        folder = root / f"{number // FILES_PER_FOLDER:04}"
        folder.mkdir(exist_ok=True)
        (folder / f"IMG_{number:06}.JPG").touch()
        if number % 10 == 0:
            (folder / f"IMG_{number:06}.xmp").touch()


def measure(folder: Path, files: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each step, and of all, over an unchanged library."""
    root, rules = str(folder / "photos"), IgnoreRules()
    os.mkdir(root)
    make_library(Path(root), files)
    catalog = Catalog(folder / "library")
    stats = list(scan_root(root, rules).files.values())
    catalog.record_files(stats)
    catalog.identify([(stat, hashlib.sha256(stat.path.encode()).digest(), Kind.PHOTO) for stat in stats], STAGES)

    def second_run() -> None:
        changes = compare(scan_root(root, rules), catalog.known_files(root))
        if changes.changed or changes.missing:
            raise SystemExit("the library was to be unchanged")

    scan, known = scan_root(root, rules), catalog.known_files(root)
    steps = {
        "scan": lambda: scan_root(root, rules),
        "read what is known": lambda: catalog.known_files(root),
        "compare": lambda: compare(scan, known),
        "all": second_run,
    }
    figures = {name: summary([milliseconds(step) for _ in range(ROUNDS)]) for name, step in steps.items()}
    catalog.close()
    return figures


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as folder:
        figures = {"files": files, "goal_milliseconds": 2000, "milliseconds": measure(Path(folder), files)}
    write("scan", figures, [])


if __name__ == "__main__":
    main()
