"""How fast photos become searchable, against what this machine's parts allow and against rclip's way of working.

    python -m benchmarks.indexing [--photos FOLDER] [--count 200] [--rounds 3] [--quick]

On the same 12-megapixel JPEGs (see benchmarks/photos.py), one after the other in each round, so that whatever else the
machine does meets all alike; figures are medians of the rounds:

- **ours**: the real line from a folder to the last closed transaction, with a fresh library: scan, content hash,
  decode, EXIF, thumbnail, colours and quality, network, catalog, vector index. `warm` is what the service does: its
  worker is there and has its network. `cold` is what `reverie index` does: the worker's start and its loading count as
  well; over more photos it comes near to warm.
- **the parts**: only what no design can leave out, each measured alone with every core: reading and decoding by
  libjpeg's scaled decoding to the size we work with, in as many threads as there are cores; then resizing to the
  network's input and the network, batch after batch. Their times are added, because both use all cores. The goal: warm
  at 0.8 of it or more.
- **rclip's method** (benchmarks/rclip_method.py): full decode and CLIP ViT-B/32 in fp32, its network loaded
  beforehand. It is another and better model, so this compares what a person waits for, not quality. The goal: warm 4
  times as fast. It runs over the first photos only, enough for a rate.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rclip_method, report
from benchmarks.photos import SIZE, parser_of, photographs
from config.settings import Settings, load
from daemon.indexing import Indexing
from indexer.media.limits import Limits
from indexer.media.photo import Photo, decode_photo
from indexer.models.builtin import load_concept_model
from indexer.models.concept_stage import BATCH_SIZE
from indexer.models.concepts import ConceptModel
from indexer.records import Plan
from search.catalog import Catalog

RCLIP_SHARE = 3
"""rclip's method is run on one photo of so many."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every round, report."""
    parser = parser_of(__doc__, count=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a few small photos, nothing kept: does it run?")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if args.quick:
            figures = measure(photographs(Path(scratch), 6, (1200, 900)), 1, Path(scratch))
        else:
            figures = measure(photographs(args.photos, args.count, SIZE), args.rounds, Path(scratch))
    report.write("indexing", figures, ["numpy", "pillow", "onnxruntime"], keep=not args.quick)


def measure(paths: Sequence[Path], rounds: int, scratch: Path) -> dict[str, Any]:
    """Seconds per photo of each way, and the ratios."""
    cores = len(os.sched_getaffinity(0))
    compared = paths[: max(1, len(paths) // RCLIP_SHARE)]
    few = photographs(scratch, 2, (800, 600))
    for path in paths:
        path.read_bytes()  # every way finds the files in memory
    vision = rclip_method.open_network(cores)
    runs: list[dict[str, float]] = []
    for number in range(rounds):

        def fresh(name: str, number: int = number) -> Settings:
            return load(environ=os.environ, files=[], flags={"library": str(scratch / f"{name}-{number}")})

        settings = fresh("cold")
        time.sleep(settings.watch.quiet_seconds)  # a photo made just now would have to settle first
        model = load_concept_model(settings.paths.model_cache, threads=cores)
        cold = ours(paths, settings)
        warm = ours(paths, fresh("warm"), before=few)
        parts = the_parts(paths, model, settings, cores)
        began = time.perf_counter()
        rclip_method.index(compared, scratch / f"rclip-{number}.sqlite3", vision, threads=cores)
        rclip = (time.perf_counter() - began) / len(compared)
        runs.append({"cold": cold, "warm": warm, "rclip_method": rclip, **parts})
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    ratios = {
        f"{name}_to_{other}": statistics.median(sum(run[part] for part in parts) / run[name] for run in runs)
        for name in ("warm", "cold")
        for other, parts in {"parts": ("decode", "network"), "rclip_method": ("rclip_method",)}.items()
    }
    return {
        "photos": len(paths),
        "photos_rclip_method": len(compared),
        "megabytes_per_photo": round(statistics.mean(path.stat().st_size for path in paths) / 1e6, 2),
        "milliseconds_per_photo": {name: round(1000 * value, 2) for name, value in medians.items()},
        "photos_per_second": {
            "warm": round(1 / medians["warm"], 1),
            "cold": round(1 / medians["cold"], 1),
            "parts": round(1 / (medians["decode"] + medians["network"]), 1),
            "rclip_method": round(1 / medians["rclip_method"], 1),
        },
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "rounds": [{name: round(1000 * value, 2) for name, value in run.items()} for run in runs],
        "goals": [
            report.goal(
                "indexing: share of what decoding and the network allow", ratios["warm_to_parts"], at_least=0.8
            ),
            report.goal("indexing: times as fast as rclip's method", ratios["warm_to_rclip_method"], at_least=4),
        ],
    }


def ours(paths: Sequence[Path], settings: Settings, *, before: Sequence[Path] = (), plan: Plan | None = None) -> float:
    """Seconds per photo of the real line, from a folder of these photos to the last stored result.

    With the photos `before` indexed first, so that the worker is there, and their time not counted. `plan` is of the
    profile to use; None: the builtin one.
    """
    if plan is not None:
        catalog = Catalog(settings.paths.library)
        catalog.activate(plan)
        catalog.close()
    indexing = Indexing(settings)
    if before:
        indexing.intake.scan(str(before[0].parent))
        indexing.run(lambda _: None, lambda: False)
    began = time.perf_counter()
    indexing.intake.scan(str(paths[0].parent))
    indexing.run(lambda _: None, lambda: False)
    seconds = time.perf_counter() - began
    searchable = len(indexing.answers.index)
    indexing.close()
    if searchable != len(paths) + len(before):
        raise SystemExit(f"only {searchable} photos are searchable")
    return seconds / len(paths)


def the_parts(paths: Sequence[Path], model: ConceptModel, settings: Settings, cores: int) -> dict[str, float]:
    """Seconds per photo of decoding, and of the network, each alone."""
    processing = settings.processing
    limits = Limits(
        max_pixels=processing.max_megapixels * 1_000_000, max_bytes=processing.max_file_megabytes * 1_000_000
    )
    size = settings.analysis.ml_models.batch_size or BATCH_SIZE
    with ThreadPoolExecutor(cores) as pool:

        def infer(batch: Sequence[Photo]) -> None:
            model.infer(np.stack(list(pool.map(lambda photo: model.prepare(photo.pixels), batch))))

        began = time.perf_counter()
        photos = list(pool.map(lambda path: decode_photo(path.read_bytes(), limits=limits), paths))
        decode = time.perf_counter() - began
        infer(photos[:size])
        began = time.perf_counter()
        for start in range(0, len(photos), size):
            infer(photos[start : start + size])
        network = time.perf_counter() - began
    return {"decode": decode / len(paths), "network": network / len(paths)}


if __name__ == "__main__":
    main()
