"""A dual encoder on this machine's processor: the runtime that was chosen against plain PyTorch, the stage against its
network, and the whole line against rclip's way of working.

    python -m benchmarks.encoder [--photos FOLDER] [--count 60] [--rounds 3] [--tiny]

The network has the shape of the one that rclip uses, CLIP ViT-B/32 at 256 pixels, with random weights: the arithmetic,
so the time, is the same; the vectors mean nothing. It is listed, installed and taken into use as a model of the hub is.

- **runtime**: the same batches through PyTorch (eager, float32) and through the runtime that the parity gate let serve,
  in turns. The goal: 1.7 times as fast. **overlap@10**: of the ten nearest to each of some hundred pieces of real
  photos, as PyTorch orders them, how many the chosen runtime finds again. The goal: 0.98.
- **stage**: prepared photos through the stage, and through the bare network in a loop. The goal: 0.9 of its speed.
- **line**: 12-megapixel JPEGs (benchmarks/photos.py) from a folder to the last closed transaction, thumbnails, EXIF,
  colours and all, warm, against rclip's method (benchmarks/rclip_method.py: full decode, ONNX Runtime in fp32). The
  goal: 2.5 times as fast.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPConfig, CLIPModel

from benchmarks import rclip_method, report
from benchmarks.indexing import ours
from benchmarks.photos import SIZE, SOURCES, parser_of, photographs
from config.settings import Settings, load
from daemon.model_report import plan_of
from daemon.setup import policy_of
from indexer.models.dual_encoder import EmbeddingStage, ImageNetwork, image_network
from indexer.models.hub import pull
from indexer.models.listing import load_list
from indexer.models.loading import load_stage
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.records import Kind, MediaInfo
from indexer.runtime.engines import Engine
from indexer.runtime.network import NetworkRef
from indexer.runtime.samples import gate_samples
from indexer.runtime.selection import obtain_engine
from indexer.runtime.verification import judge_all
from indexer.stage import View
from tests.sample_photos import locate
from tests.tiny_models import list_entry, save_dual_encoder

MODEL = "rclip-shape"
STAGE = f"embedding:{MODEL}"
BATCH = 16
PIECES = 40
"""Of each source photo, for the ranking."""
SHAPE = {"width": 768, "layers": 12, "heads": 12, "side": 256, "patch": 32, "dimension": 512}
QUICK_SHAPE = {"width": 32, "layers": 2, "heads": 2, "side": 64, "patch": 32, "dimension": 16}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every round, report."""
    parser = parser_of(__doc__, count=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a tiny network and few photos, nothing kept")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if args.tiny:
            figures = measure(photographs(Path(scratch), 6, (1200, 900)), QUICK_SHAPE, 1, Path(scratch))
        else:
            figures = measure(photographs(args.photos, args.count, SIZE), SHAPE, args.rounds, Path(scratch))
    report.write("encoder", figures, ["torch", "transformers", "onnxruntime", "pillow"], keep=not args.tiny)


def measure(paths: Sequence[Path], shape: dict[str, int], rounds: int, scratch: Path) -> dict[str, Any]:
    """Every figure, and the goals."""
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    environ = {**os.environ, "XDG_CONFIG_HOME": str(scratch / "config"), "XDG_CACHE_HOME": str(scratch / "cache")}
    settings = fresh(scratch / "first", environ)
    resources = install(settings, shape, scratch)
    network = image_network(str(resources.models / MODEL))
    ref = NetworkRef("indexer.models.dual_encoder:image_network", (str(resources.models / MODEL),))
    verdicts = judge_all(ref, resources=resources, samples=lambda: gate_samples(resources.thumbnails))
    stage = load_stage(STAGE, resources)
    if not isinstance(stage, EmbeddingStage) or stage.report is None:
        raise SystemExit("the stage has no network")
    bare = obtain_engine(
        ref, stage=STAGE, model=MODEL, resources=resources, samples=lambda: gate_samples(resources.thumbnails)
    )
    runtimes = _runtimes(network, stage, bare, rounds)
    vision, few = rclip_method.open_network(cores), photographs(scratch, 2, (800, 600))
    for path in paths:
        path.read_bytes()  # both ways find the files in memory
    lines = []
    for number in range(rounds):
        line = fresh(scratch / f"line-{number}", environ)
        os.symlink(resources.models, line.paths.models)
        time.sleep(line.watch.quiet_seconds)  # a photo made just now would have to settle first
        ours_ = ours(paths, line, before=few, plan=plan_of(MODEL, line.paths))
        began = time.perf_counter()
        rclip_method.index(paths, scratch / f"rclip-{number}.sqlite3", vision, threads=cores)
        lines.append((ours_, (time.perf_counter() - began) / len(paths)))
    against_rclip = statistics.median(rclip / mine for mine, rclip in lines)
    return {
        "network": {"shape": shape, "weights": "random", "batch": BATCH, "served_by": stage.report.runtime,
                    "precision": stage.report.precision, "measured_batch": stage.report.batch_size},
        "gate": [
            {
                "runtime": one.runtime,
                "passed": one.verdict is not None and one.verdict.passed,
                "cosine": one.verdict and round(one.verdict.cosine, 6),
                "reason": one.reason,
            }
            for one in verdicts
        ],
        **runtimes,
        "line": {
            "photos": len(paths),
            "photos_per_second": round(1 / statistics.median(mine for mine, _ in lines), 2),
            "photos_per_second_rclip_method": round(1 / statistics.median(rclip for _, rclip in lines), 2),
            "ratio": round(against_rclip, 3),
        },
        "goals": [
            report.goal("CLIP on the processor: times as fast as PyTorch", runtimes["ratio"], at_least=1.7),
            report.goal("CLIP on the processor: overlap of the ten nearest", runtimes["overlap_at_10"], at_least=0.98),
            report.goal("CLIP on the processor: stage against bare network", runtimes["stage_share"], at_least=0.9),
            report.goal("CLIP on the processor: times as fast as rclip's method", against_rclip, at_least=2.5),
        ],
    }  # fmt: skip


def install(settings: Settings, shape: dict[str, int], scratch: Path) -> Resources:
    """Save the network, list it in the user's settings, and pull it from its folder, as a person would."""
    folder = save_dual_encoder("clip", scratch / "source" / MODEL)
    enlarge(folder, shape)
    entry = list_entry(folder, dimension=shape["dimension"])
    listed = {
        "models": {MODEL: entry},
        "profiles": {MODEL: {"about": "The shape of rclip's network, random weights.", "stages": [STAGE]}},
    }
    config = scratch / "config" / "reverie"
    config.mkdir(parents=True)
    (config / "models.yaml").write_text(yaml.safe_dump(listed))
    paths = settings.paths
    known = load_list(paths.config_folders)
    pull(known.models[MODEL], Store(paths.models), source=scratch / "source", progress=lambda _: None)
    return Resources(
        models=paths.models,
        model_cache=paths.model_cache,
        config_folders=paths.config_folders,
        thumbnails=paths.thumbnails,
        threads=settings.processing.workers,
        policy=policy_of(settings),
    )


def enlarge(folder: Path, shape: dict[str, int]) -> None:
    """Give the saved tiny model an image tower of this shape. Its text tower stays tiny: no photo meets it."""
    config: Any = CLIPConfig.from_pretrained(folder)
    vision = config.vision_config
    vision.hidden_size, vision.intermediate_size = shape["width"], 4 * shape["width"]
    vision.num_hidden_layers, vision.num_attention_heads = shape["layers"], shape["heads"]
    vision.image_size, vision.patch_size = shape["side"], shape["patch"]
    vision.projection_dim = config.text_config.projection_dim = config.projection_dim = shape["dimension"]
    torch.manual_seed(5)
    CLIPModel(config).save_pretrained(folder)
    pictures = json.loads((folder / "preprocessor_config.json").read_text())
    pictures["size"] = pictures["crop_size"] = shape["side"]
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))


def _runtimes(network: ImageNetwork, stage: EmbeddingStage, chosen: Engine, rounds: int) -> dict[str, Any]:
    """PyTorch, the chosen runtime in a loop, and the stage, in turns over the same pictures."""
    reference = network.load()
    pieces = _pieces()
    [pictures] = network.prepare(pieces)
    batch = pictures[:BATCH]
    info = MediaInfo(kind=Kind.PHOTO, format="JPEG", width=1, height=1)
    prepared = [stage.prepare(View(piece, piece.shape[1], piece.shape[0], info)) for piece in pieces]

    def eager() -> None:
        with torch.inference_mode():
            reference(torch.from_numpy(np.asarray(batch)))

    def whole_stage() -> None:
        stage.analyse(prepared)

    def bare() -> None:
        size = stage.report.batch_size if stage.report else BATCH
        for start in range(0, len(pictures), size):
            chosen(pictures[start : start + size])

    runs = [
        {
            "eager": BATCH / _seconds(eager),
            "chosen": BATCH / _seconds(lambda: chosen(batch)),
            "stage": len(prepared) / _seconds(whole_stage),
            "bare": len(pictures) / _seconds(bare),
        }
        for _ in range(max(3, rounds))
    ]
    with torch.inference_mode():
        wanted = np.concatenate([reference(torch.from_numpy(np.asarray(pictures[i : i + BATCH]))).numpy()
                                 for i in range(0, len(pictures), BATCH)])  # fmt: skip
    found = np.concatenate(
        [chosen(pictures[i : i + BATCH])[0].astype(np.float32) for i in range(0, len(pictures), BATCH)]
    )
    return {
        "photos_per_second": {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]},
        "ratio": statistics.median(run["chosen"] / run["eager"] for run in runs),
        "stage_share": statistics.median(run["stage"] / run["bare"] for run in runs),
        "overlap_at_10": round(_overlap(found, wanted), 4),
        "overlap_over": len(pictures),
    }


def _pieces() -> list[NDArray[np.uint8]]:
    """Random squares of real photos."""
    random = np.random.default_rng(0)
    pieces = []
    for name in SOURCES:
        picture = np.asarray(Image.open(locate(name)).convert("RGB"))
        for _ in range(PIECES):
            side = int(min(picture.shape[:2]) * random.uniform(0.4, 1))
            top, left = (int(random.integers(length - side + 1)) for length in picture.shape[:2])
            pieces.append(np.ascontiguousarray(picture[top : top + side, left : left + side]))
    return pieces


def _overlap(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Mean share of each row's ten nearest others, by `wanted`, that are its ten nearest by `found` too."""

    def nearest(rows: NDArray[np.float32]) -> NDArray[np.int64]:
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, -np.inf)
        return np.argsort(-cosines, axis=1)[:, :10]

    pairs = zip(nearest(found).tolist(), nearest(wanted).tolist(), strict=True)
    return float(np.mean([len(set(left) & set(right)) / 10 for left, right in pairs]))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fresh(library: Path, environ: dict[str, str]) -> Settings:
    library.mkdir()
    return load(environ=environ, files=[], flags={"library": str(library)})


if __name__ == "__main__":
    main()
