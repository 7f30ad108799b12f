"""An engine before the gate: fed as the pipeline feeds it, against the reference fed as the network's makers do.

So wrong preprocessing is caught as well as wrong arithmetic. The speed is measured in the same process, in turns with
the reference: a machine that is busy slows both.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import DeviceFailed, ModelError, OutOfDeviceMemory
from indexer.models.resources import Resources
from indexer.runtime.engines import Engine
from indexer.runtime.network import Arrays, Network, Photos
from indexer.runtime.parity import Verdict, compare_items
from indexer.runtime.runtimes import Runtime
from indexer.runtime.torch_cpu import open_reference

BATCH = 16
ROUNDS = 3
_ENOUGH_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is known about an engine once it was judged; kept beside it."""

    verdict: Verdict
    items_per_second: float = 0.0
    """In batches of 16. 0: it was not measured, as it was refused."""
    reference_items_per_second: float = 0.0
    """Of the reference, measured in turns with it."""
    engine: str = ""
    """Runtime and precision, as the engine itself says them: "PyTorch 2.13.0 fp16"."""
    samples: int = 0
    real_samples: int = 0
    """How many of the samples were photos of the library."""

    @property
    def speedup(self) -> float:
        """How many times as fast as the reference."""
        return self.items_per_second / self.reference_items_per_second if self.reference_items_per_second else 0.0

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Report | None:
        """What `write` wrote; None if it is missing or damaged."""
        try:
            fields = json.loads(path.read_bytes())
            return Report(**{**fields, "verdict": Verdict(**fields["verdict"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None


def refused(reason: str) -> Report:
    """The report on an engine that could not even be judged."""
    return Report(verdict=Verdict(cosine=0.0, spread=0.0, overlap=0.0, explained=0.0, reason=reason))


def judge(
    runtime: Runtime,
    network: Network,
    directory: Path,
    *,
    resources: Resources,
    samples: Photos,
    real: int,
    expected: NDArray[np.float32] | None = None,
) -> Report:
    """Open what was built and judge it. Raises ModelError if the reference cannot be loaded, or memory is short.

    `expected`: what `reference_rows` gives for the same samples, if that is known.
    """
    if expected is None:
        expected = reference_rows(network, samples, threads=resources.threads)
    inputs = network.prepare(samples)
    try:
        engine = runtime.open(network, directory, resources=resources)
        output = network.judged(_run(engine, inputs))
    except (OutOfDeviceMemory, DeviceFailed):
        raise
    except ModelError as error:
        return refused(error.title)
    verdict = compare_items(output, expected, network.limits[runtime.precision])
    if not verdict.passed:
        return Report(verdict=verdict, samples=len(samples), real_samples=real)
    reference = open_reference(network, threads=resources.threads)
    speed, reference_speed = _speeds(engine, reference, tuple(array[:BATCH] for array in inputs))
    return Report(
        verdict=verdict,
        items_per_second=speed,
        reference_items_per_second=reference_speed,
        engine=f"{engine.info.runtime} {engine.info.precision}",
        samples=len(samples),
        real_samples=real,
    )


def reference_rows(network: Network, samples: Photos, *, threads: int) -> NDArray[np.float32]:
    """What the reference says of the samples, as rows to be compared. Raises ModelError."""
    reference = open_reference(network, threads=threads)
    return network.judged(_run(reference, network.reference_inputs(samples)))


def _run(engine: Engine, inputs: Arrays) -> Arrays:
    """All inputs, in batches of a size that fits everywhere."""
    starts = range(0, len(inputs[0]), BATCH)
    batches = [engine(*(array[start : start + BATCH] for array in inputs)) for start in starts]
    return tuple(np.concatenate(column) for column in zip(*batches, strict=True))


def _speeds(engine: Engine, reference: Engine, batch: Arrays) -> tuple[float, float]:
    """Items a second of both, each the best of some rounds: what disturbs only ever makes slower."""
    best = [float("inf"), float("inf")]
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        for index, candidate in enumerate((engine, reference)):
            start = time.perf_counter()
            candidate(*batch)
            best[index] = min(best[index], time.perf_counter() - start)
        if time.perf_counter() - begun > _ENOUGH_SECONDS:
            break
    return len(batch[0]) / best[0], len(batch[0]) / best[1]
