"""Up to how many vectors is exact search quick enough? One query, one thread, the 60 nearest of clustered vectors.

    python -m benchmarks.vector_search [--sizes 100000 1000000]

Compares the table that the vector index uses (float16 exactly; inverted lists with int8 codes above its limit) with
float32 and int8 scanned whole. Recall is the share of the true ten nearest among the candidates fetched for k = 10,
which are then scored from the catalog's own vectors. "some" is a search restricted to 1 % of the rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from search.catalog import Vectors
from search.vectors.index import EXTRA_CANDIDATES
from search.vectors.table import VectorTable

faiss: Any = _faiss

DIMENSION = 384
QUERIES = 100
WANTED = 10
CANDIDATES = 2 * WANTED + EXTRA_CANDIDATES
BLOCK = 50_000


def clustered(count: int, centres: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float16]:
    """Unit vectors around centres, a stand-in for photos of a few thousand things."""
    parts = []
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        part = centres[random.integers(len(centres), size=size)] + random.standard_normal(
            (size, DIMENSION), dtype=np.float32
        )
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        parts.append(part.astype(np.float16))
    return np.concatenate(parts)


def measure(size: int) -> dict[str, object]:
    """Every way at one size."""
    random = np.random.default_rng(2)
    centres = random.standard_normal((4000, DIMENSION), dtype=np.float32)
    stored = clustered(size, centres, random)
    queries = clustered(QUERIES, centres, random).astype(np.float32)
    some = random.random(size) < 0.01

    def blocks() -> Iterator[Vectors]:
        for start in range(0, size, BLOCK):
            ids = np.arange(start, min(start + BLOCK, size), dtype=np.int64) + 1
            yield Vectors(ids, ids, np.zeros_like(ids), stored[start : start + BLOCK])

    figures: dict[str, object] = {}
    exact, seconds = _timed(partial(VectorTable.build, blocks, DIMENSION, size, exact=True))
    truth = [set(exact.index.search(query[None], WANTED)[1][0] + 1) for query in queries]
    figures["float16, exact (used up to the limit)"] = _figures(exact, queries, truth, some, seconds)
    del exact
    for name, kind in {"float32, exact": None, "int8, exact scan": faiss.ScalarQuantizer.QT_8bit}.items():
        index = (
            faiss.IndexFlatIP(DIMENSION)
            if kind is None
            else faiss.IndexScalarQuantizer(DIMENSION, kind, faiss.METRIC_INNER_PRODUCT)
        )
        index.train(stored[:50_000].astype(np.float32))
        nothing = np.empty(0, dtype=np.int64)
        table = VectorTable(index, nothing, nothing)
        _, seconds = _timed(partial(_fill, table, blocks))
        figures[name] = _figures(table, queries, truth, some, seconds)
        del table, index
    approximate, seconds = _timed(partial(VectorTable.build, blocks, DIMENSION, size, exact=False))
    figures["int8 in inverted lists (used above the limit)"] = _figures(approximate, queries, truth, some, seconds) | {
        "lists": approximate.index.nlist
    }
    return figures


def _fill(table: VectorTable, blocks: Callable[[], Iterator[Vectors]]) -> None:
    for block in blocks():
        table.append(block)


def _figures(
    table: VectorTable,
    queries: NDArray[np.float32],
    truth: list[set[int]],
    some: NDArray[np.bool_],
    build_seconds: float,
) -> dict[str, object]:
    def times(rows: NDArray[np.bool_] | None) -> list[float]:
        return [report.milliseconds(partial(table.nearest, query, CANDIDATES, rows, effort=1)) for query in queries]

    found = [set(table.nearest(query, CANDIDATES, None, effort=1)[0].tolist()) for query in queries]
    recall = sum(len(true & candidates) for true, candidates in zip(truth, found, strict=True)) / len(truth) / WANTED
    return {
        "search_ms": report.summary(times(None)),
        "search_some_ms": report.summary(times(some)),
        "recall_at_10": round(recall, 4),
        "build_seconds": round(build_seconds, 1),
        "code_bytes_per_vector": int(table.index.code_size),
    }


def _timed(action: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = action()
    return result, time.perf_counter() - start


def main() -> None:
    """Measure every size, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    sizes = parser.parse_args().sizes
    faiss.omp_set_num_threads(1)
    report.write("vector_search", {str(size): measure(size) for size in sizes}, ["faiss-cpu", "numpy"])


if __name__ == "__main__":
    main()
