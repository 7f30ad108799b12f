"""What int8 costs and saves on the query side: memory, time and agreement, each precision in a process of its own.

python -m benchmarks.text_encoder
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks import report
from indexer.models import minilm_graph
from indexer.models.build import PHRASES, TEMPLATES
from indexer.models.classes import tag_names
from indexer.models.space import SPACE
from indexer.models.weights import MINILM, TOKENIZER
from indexer.runtime import parity

PROBE = """
import sys, time
from pathlib import Path
import numpy as np, onnxruntime, tokenizers
from indexer.models.space import SPACE
from indexer.models.text import TextEncoder

def resident():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) / 1024

before = resident()
phrases = Path(sys.argv[3]).read_text().splitlines()
encoder = TextEncoder(Path(sys.argv[1]), Path(sys.argv[2]), SPACE, threads=1, precision="")
vectors = [encoder.encode(phrase) for phrase in phrases]
times = []
for phrase in phrases:
    start = time.perf_counter()
    encoder.encode(phrase)
    times.append(1000 * (time.perf_counter() - start))
np.savez(sys.argv[4], vectors=vectors, times=times, added=resident() - before, total=resident())
"""


def main() -> None:
    """Write both graphs, run each in a process of its own, and compare."""
    weights = load_file(MINILM.verified())
    names = tag_names()
    phrases = [TEMPLATES[i % len(TEMPLATES)].format(names[i * len(names) // PHRASES]) for i in range(PHRASES)]
    figures: dict[str, Any] = {}
    vectors: dict[str, parity.Matrix] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "phrases").write_text("\n".join(phrases))
        for precision in ("fp32", "int8"):
            began = time.perf_counter()
            graph = minilm_graph.write_graph(weights, int8=precision == "int8")
            written = time.perf_counter() - began
            model = place / f"{precision}.onnx"
            model.write_bytes(graph)
            output = place / f"{precision}.npz"
            paths = [str(path) for path in (model, TOKENIZER.verified(), place / "phrases", output)]
            subprocess.run([sys.executable, "-c", PROBE, *paths], check=True)
            with np.load(output) as measured:
                vectors[precision] = measured["vectors"]
                figures[precision] = {
                    "file_mb": round(len(graph) / 1e6, 1),
                    "write_s": round(written, 2),
                    "added_rss_mib": round(float(measured["added"]), 1),
                    "total_rss_mib": round(float(measured["total"]), 1),
                    "query_ms": report.summary(list(measured["times"])),
                }
    cosines = np.sum(vectors["int8"] * vectors["fp32"], axis=1)
    figures["cosine_int8_fp32"] = {"min": round(float(cosines.min()), 4), "mean": round(float(cosines.mean()), 4)}
    figures["space"] = SPACE.name
    report.write("text_encoder", figures, ["onnxruntime", "tokenizers", "numpy"])


if __name__ == "__main__":
    main()
