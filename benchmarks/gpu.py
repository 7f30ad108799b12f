"""What an NVIDIA card makes of the networks, and of the whole line.

    python -m benchmarks.gpu [--photos FOLDER] [--count 400] [--tiny]

Networks of the real shapes with random weights: CLIP ViT-B/32, D-FINE (transformers' own default size) and DETR with a
ResNet-50, the seed's detector. The time is that of the real ones; what they say means nothing.

- **runtimes**: each network on every runtime of this machine, judged by the parity gate and timed in the same run:
  TensorRT FP16 and INT8 where its libraries are installed, CUDA in mixed precision with and without compiling, float32.
- **batches**: the encoder on the runtime that serves, in batches of 1 to 512: photos a second, and what the card says
  of its utilisation, memory and power meanwhile.
- **line**: 12-megapixel JPEGs (benchmarks/photos.py) from a folder to the last closed transaction, with the embedding,
  labels, aesthetic score and detection. Beside it the seed's own figures, measured on another card (RTX 2080 Ti) and
  with other photos: 18.9 photos/s of CLIP and YOLO, and 5,372 photos in 9 minutes.

The goal is for the detector: 5 times as fast as DETR on its best runtime. `--tiny` runs tiny networks on the
processor: whether all of this works, not how fast it is.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transformers
import yaml

from benchmarks import report
from benchmarks.encoder import QUICK_SHAPE, enlarge, fresh
from benchmarks.indexing import ours
from benchmarks.photos import SIZE, parser_of, photographs
from config.settings import Settings
from daemon.model_report import plan_of
from daemon.setup import policy_of
from indexer.models.detection import network_ref
from indexer.models.hub import pull
from indexer.models.listing import load_list
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.runtime.gpu import GpuMonitor, GpuReading
from indexer.runtime.network import NetworkRef
from indexer.runtime.samples import gate_samples
from indexer.runtime.selection import obtain_engine
from indexer.runtime.verification import RuntimeVerdict, judge_all
from tests.tiny_models import list_entry, save_dual_encoder
from tests.tiny_tasks import save_detector

CLIP, DETECTOR, BASELINE = "clip-vit-b-32-shape", "d-fine-shape", "detr-r50-shape"
SHAPE = {"width": 768, "layers": 12, "heads": 12, "side": 224, "patch": 32, "dimension": 512}
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SEED = {
    "card": "RTX 2080 Ti",
    "photos_per_second_clip_and_yolo": 18.9,
    "photos_per_second_fully_optimised": round(5372 / (9 * 60), 2),
}
BUILD_SECONDS = 3600.0
"""How long engines may take to be built before the first of them is timed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, report. Without a card, say so and leave."""
    parser = parser_of(__doc__, count=400)
    parser.add_argument("--tiny", action="store_true", help="tiny networks on the processor: does it run?")
    args = parser.parse_args(arguments)
    if not args.tiny and not GpuMonitor().devices():
        raise SystemExit("No NVIDIA card with a loaded driver was found: there is nothing to measure.")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        photos = (scratch, 6, (1200, 900)) if args.tiny else (args.photos, args.count, SIZE)
        figures = measure(photographs(*photos), scratch, quick=args.tiny)
    report.write("gpu", figures, ["torch", "transformers", "onnxruntime"], keep=not args.tiny)


def measure(paths: Sequence[Path], scratch: Path, *, quick: bool) -> dict[str, Any]:
    """Every figure."""
    environ = {**os.environ, "XDG_CONFIG_HOME": str(scratch / "config"), "XDG_CACHE_HOME": str(scratch / "cache")}
    if quick:
        environ["REVERIE_ANALYSIS__ML_MODELS__DEVICE"] = "cpu"
    settings = fresh(scratch / "library", environ)
    resources = install(settings, scratch, quick=quick)
    listed = load_list(settings.paths.config_folders).models
    encoder = NetworkRef("indexer.models.dual_encoder:image_network", (str(resources.models / CLIP),))
    refs = {CLIP: encoder} | {name: network_ref(listed[name], resources) for name in (DETECTOR, BASELINE)}
    verdicts = {
        name: judge_all(ref, resources=resources, samples=lambda: gate_samples(resources.thumbnails))
        for name, ref in refs.items()
    }
    best = {name: max((one.items_per_second or 0.0 for one in found), default=0.0) for name, found in verdicts.items()}
    curve = batches(encoder, resources, BATCHES[:3] if quick else BATCHES)
    for path in paths:
        path.read_bytes()
    time.sleep(settings.watch.quiet_seconds)
    few = photographs(scratch, 2, (800, 600))
    line = ours(paths, settings, before=few, plan=plan_of(CLIP, settings.paths))
    return {
        "cards": [one.name for one in GpuMonitor().devices()],
        "runtimes": {name: [_verdict(one) for one in found] for name, found in verdicts.items()},
        "batches": curve,
        "line": {"photos": len(paths), "photos_per_second": round(1 / line, 2), "seed": SEED},
        "goals": [report.goal("detector: times as fast as DETR", best[DETECTOR] / (best[BASELINE] or 1), at_least=5)],
    }


def install(settings: Settings, scratch: Path, *, quick: bool) -> Resources:
    """Save the three networks, list them with a profile, and pull them from their folders, as a person would."""
    source = scratch / "source"
    enlarge(save_dual_encoder("clip", source / CLIP), QUICK_SHAPE if quick else SHAPE)
    if quick:
        save_detector("d-fine", source / DETECTOR)
        save_detector("detr", source / BASELINE)
    else:
        _save_detectors(source)
    dimension = (QUICK_SHAPE if quick else SHAPE)["dimension"]
    listed = {
        "models": {CLIP: list_entry(source / CLIP, dimension=dimension)}
        | {
            name: {**list_entry(source / name), "task": "detection", "dimension": None} for name in (DETECTOR, BASELINE)
        },
        "profiles": {
            CLIP: {
                "about": "Random weights of the real shapes.",
                "stages": [
                    *(f"{task}:{CLIP}" for task in ("embedding", "labels", "aesthetic")),
                    f"detection:{DETECTOR}",
                ],
            }
        },
    }
    config = scratch / "config" / "reverie"
    config.mkdir(parents=True)
    (config / "models.yaml").write_text(yaml.safe_dump(listed))
    paths = settings.paths
    known, store = load_list(paths.config_folders).models, Store(paths.models)
    for name in (CLIP, DETECTOR, BASELINE):
        pull(known[name], store, source=source, progress=lambda _: None)
    return Resources(
        models=paths.models,
        model_cache=paths.model_cache,
        config_folders=paths.config_folders,
        thumbnails=paths.thumbnails,
        threads=settings.processing.workers,
        policy=policy_of(settings),
    )


def _save_detectors(source: Path) -> None:
    """D-FINE at transformers' default size, and DETR with a ResNet-50, each with its maker's image size."""
    configurations: Any = transformers  # they take more than their types say
    backbone = configurations.ResNetConfig(out_features=["stage4"])
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        DETECTOR: (
            transformers.DFineForObjectDetection(transformers.DFineConfig()),
            {
                "image_processor_type": "RTDetrImageProcessor",
                "size": {"height": 640, "width": 640},
                "do_normalize": False,
            },
        ),
        BASELINE: (
            transformers.DetrForObjectDetection(
                configurations.DetrConfig(
                    backbone_config=backbone, use_timm_backbone=False, use_pretrained_backbone=False
                )
            ),
            {"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 800, "longest_edge": 1333}},
        ),
    }
    for name, (model, processor) in kinds.items():
        model.save_pretrained(source / name)
        settings = {"do_resize": True, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255} | processor
        settings |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
        settings = {"do_normalize": True, "do_pad": name == BASELINE} | settings
        (source / name / "preprocessor_config.json").write_text(json.dumps(settings))


def batches(ref: NetworkRef, resources: Resources, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """The serving engine in batches of growing size, with what the card says of itself meanwhile."""
    engine = obtain_engine(
        ref,
        stage=f"embedding:{CLIP}",
        model=CLIP,
        resources=resources,
        samples=lambda: gate_samples(resources.thumbnails),
    )
    engine.wait(BUILD_SECONDS)
    monitor, [spec] = GpuMonitor(), ref.resolve().inputs
    rows = []
    for size in sizes:
        batch = np.random.default_rng(0).standard_normal((size, *spec.shape), np.float32)
        engine(batch)
        seconds: list[float] = []
        readings: list[GpuReading] = []
        while len(seconds) < 5 or sum(seconds) < 1:
            began = time.perf_counter()
            engine(batch)
            seconds.append(time.perf_counter() - began)
            readings = [*readings, *monitor.devices()[:1]] if len(seconds) % 5 == 0 else readings
        rows.append(
            {
                "batch": size,
                "photos_per_second": round(size / statistics.median(seconds), 1),
                "utilisation": _median(reading.utilisation for reading in readings),
                "memory_megabytes": _median((reading.memory_used or 0) / 1e6 for reading in readings),
                "watts": _median(reading.watts for reading in readings),
                "served_by": f"{engine.info.runtime} {engine.info.precision}",
            }
        )
    engine.close()
    return rows


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 3) if known else None


def _verdict(one: RuntimeVerdict) -> dict[str, Any]:
    return {
        "runtime": one.runtime,
        "passed": one.verdict is not None and one.verdict.passed,
        "cosine": one.verdict and round(one.verdict.cosine, 6),
        "overlap": one.verdict and round(one.verdict.overlap, 4),
        "items_per_second": one.items_per_second and round(one.items_per_second, 1),
        "reference_items_per_second": one.reference_items_per_second and round(one.reference_items_per_second, 1),
        "reason": one.reason,
    }


if __name__ == "__main__":
    main()
