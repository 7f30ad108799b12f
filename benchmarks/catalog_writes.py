"""Does writing slow down as the library grows? A batch of 32 photos at 1,000, 10,000 and 100,000 photos.

    python -m benchmarks.catalog_writes [--sizes 1000 10000 100000] [--quick]

A batch is what the service does for 32 new files: record, identify, claim, store, make the vectors searchable. The
library is filled through the same calls. The goal: at the largest size a batch costs at most twice what it costs at the
smallest. Also measured at each size: reading back every known path, which each scan does, and the counts of `status`.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import report
from indexer.records import Analysis, Embedding, Kind, MediaInfo, PixelStats, Space, Stage, Tag
from search.catalog import Catalog, FileStat
from search.vectors import VectorIndex

STAGES: dict[str, int] = {Stage.METADATA: 1, Stage.DESCRIBE: 1, Stage.PIXELS: 1, Stage.CONCEPTS: 1}
SPACE = Space("benchmark", 384)
BATCH = 32
RUNS = 40


class Filler:
    """Makes photos with plausible words, tags and vectors, always the same."""

    def __init__(self, catalog: Catalog, index: VectorIndex) -> None:
        self.catalog = catalog
        self.index = index
        self.random = np.random.default_rng(1)
        self.words = [f"word{number}" for number in range(5000)]
        self.count = 0

    def files(self, count: int) -> list[FileStat]:
        first, self.count = self.count, self.count + count
        return [
            FileStat(f"/photos/{number // 500:04}/IMG_{number:06}.jpg", 3_000_000 + number, 10**18 + number, number, 1)
            for number in range(first, self.count)
        ]

    def analysis(self, media_id: int) -> Analysis:
        vector = self.random.standard_normal(SPACE.dimension)
        chosen = (5000 * self.random.random(12) ** 3).astype(int)  # some words are common, most are rare
        return Analysis(
            media_id=media_id,
            stages=STAGES,
            info=MediaInfo(
                kind=Kind.PHOTO, format="JPEG", width=4000, height=3000, taken_at="2021-06-01T12:00:00",
                latitude=52.5, longitude=13.4, camera="Canon EOS 5D", iso=400, f_number=4.0,
            ),
            pixels=PixelStats(
                sharpness=0.5, exposure=0.5, contrast=0.5, quality=0.5, brightness=0.5, perceptual_hash=media_id
            ),
            tags={
                Stage.PIXELS: (Tag("red", 0.5, "colour"), Tag("dark", 0.5, "light")),
                Stage.CONCEPTS: tuple(Tag(self.words[number], 0.5, "imagenet") for number in set(chosen.tolist())),
            },
            embeddings=(Embedding(SPACE, (vector / np.linalg.norm(vector)).astype("<f2").tobytes()),),
        )  # fmt: skip

    def write(self, size: int) -> tuple[float, float, float, float]:
        """One batch; returns the milliseconds to record and identify, to claim, to store, and to refresh the index."""
        files = self.files(size)
        digests = [(one, hashlib.sha256(one.path.encode()).digest(), Kind.PHOTO) for one in files]
        start = time.perf_counter()
        self.catalog.record_files(files)
        self.catalog.identify(digests, STAGES)
        identified = time.perf_counter()
        work = self.catalog.claim(size)
        claimed = time.perf_counter()
        analyses = [self.analysis(one.media_id) for one in work]
        ready = time.perf_counter()
        self.catalog.store(analyses, [])
        stored = time.perf_counter()
        self.index.refresh()
        refreshed = time.perf_counter()
        steps = (identified - start, claimed - identified, stored - ready, refreshed - stored)
        return 1000 * steps[0], 1000 * steps[1], 1000 * steps[2], 1000 * steps[3]


def main() -> None:
    """Fill, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--quick", action="store_true", help="small libraries, nothing kept: does it run?")
    args = parser.parse_args()
    sizes = [50, 200] if args.quick else args.sizes
    figures: dict[str, object] = {}
    totals = []
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder))
        filler = Filler(catalog, VectorIndex(catalog, SPACE, Path(folder)))
        for size in sizes:
            started = time.perf_counter()
            before = filler.count
            while filler.count < size:
                filler.write(min(500, size - filler.count))
            filled = time.perf_counter() - started
            runs = [filler.write(BATCH) for _ in range(RUNS)]
            total = report.summary([sum(run) for run in runs])
            totals.append(total["median"])
            figures[str(size)] = {
                "fill_files_per_second": round((size - before) / filled),
                "record_and_identify_ms": report.summary([run[0] for run in runs]),
                "claim_ms": report.summary([run[1] for run in runs]),
                "store_ms": report.summary([run[2] for run in runs]),
                "refresh_index_ms": report.summary([run[3] for run in runs]),
                "batch_ms": total,
                "known_files_ms": report.summary(
                    [report.milliseconds(lambda: catalog.known_files("/photos")) for _ in range(3)]
                ),
                "counts_ms": report.summary([report.milliseconds(catalog.counts) for _ in range(3)]),
                "catalog_bytes": sum(file.stat().st_size for file in Path(folder).iterdir()),
            }
        catalog.close()
    growth = totals[-1] / totals[0]
    figures["last_batch_to_first"] = round(growth, 2)
    what = f"a 32-file batch at {sizes[-1]:,} files, times that at {sizes[0]:,}"
    figures["goals"] = [report.goal(what, growth, at_most=2)]
    figures["sqlite"] = sqlite3.sqlite_version
    report.write("catalog_writes", figures, ["numpy", "faiss-cpu"], keep=not args.quick)


if __name__ == "__main__":
    main()
