"""Which views of a photo the image network should see: how many photos queries find, and what a view costs.

    python -m benchmarks.image_views FOLDER

FOLDER holds photos and a captions.csv with the columns file, caption and query. Only the embedding is judged: no tags,
no full text.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from indexer.media.photo import Limits, decode_photo
from indexer.models.builtin import load_concept_model, load_text_encoder
from indexer.models.concepts import ConceptModel
from indexer.models.efficientnet_layout import PIXEL_MEAN, PIXEL_SCALE, SIDE

Pixels = NDArray[np.uint8]
Views = NDArray[np.float32]


def main() -> None:
    """Measure each choice of views and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "reverie", "models")
    model, encoder = load_concept_model(cache, threads=1), load_text_encoder(cache, threads=1)
    with (folder / "captions.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    limits = Limits(max_pixels=200_000_000, max_bytes=1_000_000_000)
    photos = [decode_photo((folder / row["file"]).read_bytes(), limits=limits).pixels for row in rows]
    texts = {
        column: np.stack([encoder.encode(row[column]) for row in rows]).astype(np.float32)
        for column in ("query", "caption")
    }
    choices: dict[str, Callable[[Pixels], Views]] = {
        "half-way crop (used)": model.prepare,
        "centre square": lambda pixels: _scale(_centre(pixels)),
        "whole frame": _scale,
        "centre square + whole frame": lambda pixels: np.concatenate([_scale(_centre(pixels)), _scale(pixels)]),
    }
    figures = {name: _judge(model, view, photos, texts) for name, view in choices.items()}
    report.write(
        "image_views",
        {"photos": len(photos), "choices": figures},
        ["onnxruntime", "opencv-python-headless", "numpy"],
    )


def _judge(
    model: ConceptModel,
    view: Callable[[Pixels], Views],
    photos: list[Pixels],
    texts: dict[str, NDArray[np.float32]],
) -> dict[str, object]:
    start = time.process_time()
    vectors = [
        np.frombuffer(model.infer(view(pixels)[None])[0].embedding.vector, "<f2").astype(np.float32)
        for pixels in photos
    ]
    cost = 1000 * (time.process_time() - start) / len(photos)
    result: dict[str, object] = {"cpu_ms_per_photo": round(cost, 1)}
    for column, wanted in texts.items():
        scores = wanted @ np.stack(vectors).T
        ranks = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
        result[column] = {f"hit@{k}": round(float((ranks <= k).mean()), 3) for k in (1, 5, 10)} | {
            "mrr": round(float((1 / ranks).mean()), 3)
        }
    return result


def _centre(pixels: Pixels) -> Pixels:
    side = round(min(pixels.shape[:2]) * 0.875)
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]


def _scale(pixels: Pixels) -> Views:
    resized = np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    return np.ascontiguousarray(((resized - PIXEL_MEAN) / PIXEL_SCALE).transpose(2, 0, 1)[None], np.float32)


if __name__ == "__main__":
    main()
