"""Builds the cached artefacts of the builtin profile, in a process of its own: it needs PyTorch, and memory to spare.

Run as `python -m indexer.models.build text|image DIRECTORY`; errors go to standard output as JSON (title, remedy).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from config.errors import ReverieError
from indexer.models import efficientnet_graph, minilm_graph
from indexer.models.artefacts import GRAPH, LABELS, PARITY
from indexer.models.classes import label_texts, tag_names
from indexer.models.efficientnet_layout import SIDE
from indexer.models.efficientnet_torch import TorchEngine, read_checkpoint
from indexer.models.space import SPACE
from indexer.models.text import TextEncoder
from indexer.models.weights import EFFICIENTNET, MINILM, TOKENIZER
from indexer.runtime import parity
from indexer.runtime.engines import OnnxEngine

FAILED = 3
BATCH = 32
PROBES = 8
PHRASES = 100
TEMPLATES = ("{}", "a photo of a {}", "{} at night", "two people with a {} near the water", "my {} last summer")


def build_text(directory: Path, *, threads: int) -> None:
    """Write the text graph (int8 if it is good enough, else fp32), the label matrix and the parity report."""
    weights = load_file(MINILM.verified())
    tokenizer = TOKENIZER.verified()
    graph = minilm_graph.write_graph(weights, int8=False)
    reference = TextEncoder(graph, tokenizer, SPACE, threads=threads, precision="fp32")
    small = minilm_graph.write_graph(weights, int8=True)
    candidate = TextEncoder(small, tokenizer, SPACE, threads=threads, precision="int8")

    names = tag_names()
    phrases = [TEMPLATES[i % len(TEMPLATES)].format(names[i * len(names) // PHRASES]) for i in range(PHRASES)]
    verdict = parity.compare(
        _encode_many(candidate, phrases),
        _encode_many(reference, phrases),
        parity.REDUCED_PRECISION,
        neighbours=_encode_many(reference, names),
    )
    (directory / GRAPH).write_bytes(small if verdict.passed else graph)
    # The labels come from the graph that will serve: much quicker, and queries share its small errors.
    np.save(directory / LABELS, _encode_labels(candidate if verdict.passed else reference))
    _report(directory, verdict, "int8" if verdict.passed else "fp32")


def build_image(directory: Path, *, threads: int) -> None:
    """Write the image graph and the parity report that says whether it may serve."""
    checkpoint = EFFICIENTNET.verified()
    graph = efficientnet_graph.write_graph(read_checkpoint(checkpoint))
    images = parity.fixed_images(PROBES, SIDE)
    verdict = parity.compare(
        OnnxEngine(graph, threads=threads)(images),
        TorchEngine(checkpoint, threads=threads)(images),
        parity.SAME_PRECISION,
    )
    (directory / GRAPH).write_bytes(graph)
    _report(directory, verdict, "fp32")


def _encode_labels(encoder: TextEncoder) -> NDArray[np.float32]:
    """Unit vectors (1000, 384) of the classes: each the mean over its texts."""
    sums = np.sum([_encode_many(encoder, texts) for texts in label_texts()], axis=0)
    labels: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return labels


def _encode_many(encoder: TextEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """N texts to unit rows (N, D); texts of like length share a batch, so that padding is short."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    vectors = np.empty((len(texts), encoder.space.dimension), np.float32)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        vectors[batch] = encoder.encode_all([texts[index] for index in batch])
    return vectors


def _report(directory: Path, verdict: parity.Verdict, precision: str) -> None:
    report = {
        "precision": precision,
        "cosine": verdict.cosine,
        "spread": verdict.spread,
        "overlap": verdict.overlap,
        "reason": verdict.reason,
    }
    (directory / PARITY).write_text(json.dumps(report, indent=1))


def main(arguments: list[str]) -> int:
    """Entry of the child process: what to build, the directory to fill, and the number of threads."""
    what, directory, threads = arguments
    build = {"text": build_text, "image": build_image}[what]
    try:
        build(Path(directory), threads=int(threads))
    except ReverieError as error:
        sys.stdout.write(json.dumps({"title": error.title, "remedy": error.remedy}))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
