"""A network of a model at work: on the runtime that was chosen for it, in batches of the size that was measured."""

from __future__ import annotations

import numpy as np

from indexer.models.resources import Resources
from indexer.records import RuntimeReport
from indexer.runtime.batching import BatchRunner
from indexer.runtime.network import Arrays, Network, NetworkRef
from indexer.runtime.samples import gate_samples
from indexer.runtime.selection import obtain_engine


class ServedNetwork:
    """Called with arrays of N items, it gives those of N results. For one thread."""

    def __init__(self, ref: NetworkRef, *, stage: str, model: str, resources: Resources) -> None:
        """Raises ModelError if nothing can run the network."""
        network = ref.resolve()
        self._slot = obtain_engine(
            ref, stage=stage, model=model, resources=resources, samples=lambda: gate_samples(resources.thumbnails)
        )
        self._runner = BatchRunner(
            self._slot,
            model_key=f"{network.name} {network.fingerprint}",
            cache=resources.model_cache,
            fixed=resources.policy.batch_size,
            example=lambda count: _ones(network, count),
        )

    def __call__(self, *inputs: np.ndarray) -> Arrays:
        """Raises OutOfDeviceMemory and DeviceFailed as `BatchRunner.run` does."""
        return self._runner.run(*inputs)

    @property
    def report(self) -> RuntimeReport:
        """How it runs now."""
        return self._slot.report(self._runner.batch_size)

    def degrade(self, reason: str) -> bool:
        """Change to the next runtime that passed, for as long as this process lives; False if there is none."""
        return self._slot.degrade(reason)

    def close(self) -> None:
        """End what is being built in the background."""
        self._slot.close()


def _ones(network: Network, count: int) -> Arrays:
    """A batch to measure with: its values do not change the time it takes."""
    return tuple(np.ones((count, *spec.shape), spec.dtype) for spec in network.inputs)
