"""What an NVIDIA card makes of every listed network, and of the whole line from photos and from a film.

    python -m benchmarks.gpu [--photos FOLDER] [--count 200] [--minutes 9] [--tiny]

The networks have the shapes of the listed models, with random weights (benchmarks/shapes.py), so nothing is fetched.
Speech is heard by the network that comes with the program, the only one here that has learnt anything.

- **runtimes**: each network on each runtime of the card, judged by the parity gate and timed beside the reference. The
  quick builds of all networks come first, TensorRT's last: what there was no time for says so.
- **batches**: each network on the runtime that serves it then, in batches of 1 to 512: items a second, and what the
  card says of its utilisation, memory and power meanwhile; and the size that Reverie itself would choose.
- **line**: 12-megapixel JPEGs (benchmarks/photos.py) with embedding, labels, aesthetic score and detection, and a film
  of a minute with all that and actions, sounds and speech: from a folder to the last closed transaction.

It writes results/gpu.json and results/gpu.md. Times are those of the real models. Verdicts, cosines and what is found
are those of random weights. `--tiny` runs tiny networks on the processor: whether all of this works, not how fast.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import report
from benchmarks.encoder import fresh
from benchmarks.gpu_table import table
from benchmarks.photos import SIZE, parser_of, photographs
from benchmarks.shapes import save, save_tiny
from benchmarks.video import make_clip
from config.settings import Settings
from daemon.indexing import Indexing
from daemon.model_report import plan_of
from daemon.setup import policy_of
from indexer.models import action, detection, segmentation, sounds
from indexer.models.hub import pull
from indexer.models.listing import ModelEntry, load_list
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.runtime.batch_sizes import BatchSizes
from indexer.runtime.gpu import GpuMonitor, GpuReading
from indexer.runtime.network import Arrays, NetworkRef
from indexer.runtime.runtimes import Runtime, all_runtimes
from indexer.runtime.samples import gate_samples
from indexer.runtime.selection import EngineSlot, obtain_engine
from indexer.runtime.torch_cpu import REFERENCE
from indexer.runtime.verification import RuntimeVerdict, judge_all
from indexer.runtime.workshop import Workshop
from search.catalog import Catalog

PROFILE = "shapes"
MODELS = (
    "clip-vit-b-32",
    "dfine-s",
    "xclip-b-32",
    "ast-audioset",
    "siglip2-b-16-224",
    "detr-r50",
    "segformer-b0",
    "videomae-b-k400",
    "rtdetr-v2-r18",
    "dfine-l",
    "clip-vit-l-14",
)
"""The models of the profile "standard" come first."""
PHOTO_STAGES = (*(f"{task}:clip-vit-b-32" for task in ("embedding", "labels", "aesthetic")), "detection:dfine-s")
FILM_STAGES = ("action:xclip-b-32", "sounds:ast-audioset", "speech:whisper-tiny-en")
QUICK_FIRST = ("cuda-fp16", "cuda-fp32", "cuda-bf16", "cuda-compiled-fp16", "tensorrt-fp16", "tensorrt-int8")
"""Runtimes are judged in this order. The CPU runtimes are judged only with --tiny."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
JUDGING, BATCHING = 0.6, 0.75
"""The shares of the time after which no more runtimes are judged, and no more batches are run."""
RANDOM = {
    "like the real models": ["items_per_second", "batches", "utilisation", "memory", "power"],
    "of random weights": ["verdict", "cosine", "explained", "whether int8 passes", "boxes, labels and actions found"],
    "of real weights": ["speech"],
}
SEED = {"card": "RTX 2080 Ti", "photos_per_second_clip_and_yolo": 18.9, "photos_per_second_fully_optimised": 9.95}
"""What the project began with, measured on another card and with other photos."""


class Deadline:
    """What there is time for."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._began = seconds, time.monotonic()

    def passed(self, share: float) -> bool:
        """Whether this share of the time is gone."""
        return time.monotonic() - self._began > share * self._seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, report. Without a card, say so and leave."""
    parser = parser_of(__doc__, count=200)
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything")
    parser.add_argument("--tiny", action="store_true", help="tiny networks on the processor: does it run?")
    args = parser.parse_args(arguments)
    if not args.tiny and not GpuMonitor().devices():
        raise SystemExit("No NVIDIA card with a loaded driver was found: there is nothing to measure.")
    deadline = Deadline(60 * args.minutes)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        photos = (scratch / "photos", 4, (1200, 900)) if args.tiny else (args.photos, args.count, SIZE)
        figures = measure(photographs(*photos), scratch, deadline, quick=args.tiny)
    text = table(figures)
    print(text)
    report.write("gpu", figures, ["torch", "transformers", "onnxruntime"], keep=not args.tiny)
    if not args.tiny:
        (report.RESULTS / "gpu.md").write_text(text, encoding="utf-8")


def measure(paths: Sequence[Path], scratch: Path, deadline: Deadline, *, quick: bool) -> dict[str, Any]:
    """Every figure."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(scratch / "config"), "XDG_CACHE_HOME": str(scratch / "cache")}
    if quick:
        environ["REVERIE_ANALYSIS__ML_MODELS__DEVICE"] = "cpu"
    settings = fresh(scratch / "library", environ)
    models = MODELS[:4] if quick else MODELS
    resources = install(settings, scratch, models, save_tiny if quick else save)
    listed = load_list(settings.paths.config_folders).models
    refs = {name: network_of(listed[name], resources) for name in models}
    verdicts = judge(refs, resources, deadline, on_gpu=not quick)
    curves = {
        name: batches(name, ref, resources, BATCHES[:2] if quick else BATCHES)
        for name, ref in refs.items()
        if not deadline.passed(BATCHING)
    }
    best = {name: max((one["items_per_second"] or 0.0 for one in rows), default=0.0) for name, rows in verdicts.items()}
    (scratch / "film").mkdir()
    film = make_clip(scratch / "film" / "film.mp4", quick=quick)
    photo_seconds, film_seconds = line(
        settings, paths[0].parent, film.parent, photographs(scratch / "few", 2, (800, 600))
    )
    baseline = best.get("detr-r50")
    goals = [report.goal("detector: times as fast as DETR", best["dfine-s"] / baseline, at_least=5)] if baseline else []
    return {
        "cards": [one.name for one in GpuMonitor().devices()],
        "weights": RANDOM,
        "runtimes": verdicts,
        "batches": curves,
        "line": {
            "photos": len(paths),
            "photos_per_second": round(len(paths) / photo_seconds, 2),
            "film_seconds": round(film_seconds, 1),
            "seed": SEED,
        },
        "goals": goals,
    }


def install(settings: Settings, scratch: Path, models: Sequence[str], make: Callable[[str, Path], Path]) -> Resources:
    """Save the networks, list them in the place of the real ones, and pull them from their folders."""
    source, paths = scratch / "source", settings.paths
    shipped = load_list(()).models
    entries = {name: _entry(shipped[name], make(name, source / name)) for name in models}
    profile = {"about": "Random weights of the real shapes.", "stages": [*PHOTO_STAGES, *FILM_STAGES]}
    config = scratch / "config" / "reverie"
    config.mkdir(parents=True)
    (config / "models.yaml").write_text(yaml.safe_dump({"models": entries, "profiles": {PROFILE: profile}}))
    known, store = load_list(paths.config_folders).models, Store(paths.models)
    for name in models:
        pull(known[name], store, source=source, progress=lambda _: None)
    return Resources(
        models=paths.models,
        model_cache=paths.model_cache,
        config_folders=paths.config_folders,
        thumbnails=paths.thumbnails,
        threads=settings.processing.workers,
        policy=policy_of(settings),
    )


def _entry(listed: ModelEntry, folder: Path) -> dict[str, Any]:
    return {
        "task": listed.task,
        "title": listed.title,
        "about": "Random weights.",
        "licence": "none",
        "repository": f"test/{folder.name}",
        "files": [{"path": path.name} for path in sorted(folder.iterdir()) if path.is_file()],
        "dimension": listed.dimension,
        "options": dict(listed.options),
    }


def network_of(entry: ModelEntry, resources: Resources) -> NetworkRef:
    """The network of an installed model."""
    if entry.task == "embedding":
        folder = Store(resources.models).folder(entry)
        return NetworkRef("indexer.models.dual_encoder:image_network", (str(folder),))
    task: Any = {"detection": detection, "segmentation": segmentation, "action": action, "sounds": sounds}[entry.task]
    ref: NetworkRef = task.network_ref(entry, resources)
    return ref


def judge(
    refs: Mapping[str, NetworkRef], resources: Resources, deadline: Deadline, *, on_gpu: bool
) -> dict[str, list[dict[str, Any]]]:
    """Every network on every runtime, as far as the time goes: one runtime of all networks after the other."""
    by_name = {runtime.name: runtime for runtime in all_runtimes() if runtime.name != REFERENCE}
    order = [by_name[name] for name in QUICK_FIRST] if on_gpu else list(by_name.values())
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in refs}
    for runtime in order:
        for name, ref in refs.items():
            found[name].append(_judged(runtime, ref, resources, late=deadline.passed(JUDGING)))
    return found


def _judged(runtime: Runtime, ref: NetworkRef, resources: Resources, *, late: bool) -> dict[str, Any]:
    if late:
        row = dict.fromkeys(("items_per_second", "times_reference", "cosine", "explained"))
        return {
            "runtime": runtime.title,
            "precision": runtime.precision,
            **row,
            "verdict": "not measured: no time left",
        }
    [one] = judge_all(ref, resources=resources, samples=lambda: gate_samples(resources.thumbnails), runtimes=(runtime,))
    return _row(one)


def _row(one: RuntimeVerdict) -> dict[str, Any]:
    speed, reference = one.items_per_second, one.reference_items_per_second
    return {
        "runtime": one.runtime,
        "precision": one.precision,
        "items_per_second": speed and round(speed, 1),
        "times_reference": round(speed / reference, 1) if speed and reference else None,
        "cosine": one.verdict and round(one.verdict.cosine, 6),
        "explained": one.verdict and round(one.verdict.explained, 6),
        "verdict": one.reason or "passed",
    }


def batches(name: str, ref: NetworkRef, resources: Resources, sizes: Sequence[int]) -> dict[str, Any]:
    """The engine that serves, in batches of growing size, and the size that is chosen for it."""
    network = ref.resolve()

    def example(count: int) -> Arrays:
        return tuple(np.ones((count, *spec.shape), spec.dtype) for spec in network.inputs)

    samples = gate_samples(resources.thumbnails)
    known = [runtime for runtime in all_runtimes() if _is_judged(ref, runtime, resources)]
    engine = obtain_engine(ref, stage=name, model=name, resources=resources, samples=lambda: samples, runtimes=known)
    sizer = BatchSizes(model_key=name, cache=resources.model_cache, fixed=None, example=example)
    chosen = sizer.measure(engine)
    rows = [_timed(engine, example(size)) for size in sizes if size <= 4 * chosen]
    engine.close()
    return {"served_by": f"{engine.info.runtime} {engine.info.precision}", "chosen": chosen, "sizes": rows}


def _is_judged(ref: NetworkRef, runtime: Runtime, resources: Resources) -> bool:
    return runtime.name == REFERENCE or (
        runtime.availability(resources) is None and Workshop(ref, resources).report(runtime) is not None
    )


def _timed(engine: EngineSlot, batch: Arrays) -> dict[str, Any]:
    monitor = GpuMonitor()
    seconds: list[float] = []
    readings: list[GpuReading] = []
    while len(seconds) < 3 or sum(seconds) < 0.5:
        began = time.perf_counter()
        engine(*batch)
        seconds.append(time.perf_counter() - began)
        readings = [*readings, *monitor.devices()[:1]] if len(seconds) % 3 == 0 else readings
    return {
        "batch": len(batch[0]),
        "items_per_second": round(len(batch[0]) / statistics.median(seconds), 1),
        "utilisation": _median(reading.utilisation for reading in readings),
        "memory_megabytes": _median((reading.memory_used or 0) / 1e6 for reading in readings),
        "watts": _median(reading.watts for reading in readings),
    }


def line(settings: Settings, photos: Path, film: Path, few: Sequence[Path]) -> tuple[float, float]:
    """Seconds for the photos of a folder, and for the film in another, once the worker has all that it needs."""
    catalog = Catalog(settings.paths.library)
    catalog.activate(plan_of(PROFILE, settings.paths))
    catalog.close()
    indexing = Indexing(settings)

    def run(folder: Path) -> float:
        time.sleep(settings.watch.quiet_seconds)  # a file that has just been written counts as incomplete
        began = time.perf_counter()
        indexing.intake.scan(str(folder))
        indexing.run(lambda _: None, lambda: False)
        return time.perf_counter() - began

    run(few[0].parent)
    seconds = run(photos), run(film)
    indexing.close()
    return seconds


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 3) if known else None


if __name__ == "__main__":
    main()
