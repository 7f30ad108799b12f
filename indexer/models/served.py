"""A network of a model at work: on the runtime that was chosen for it, in batches of the size that was measured."""

from __future__ import annotations

import logging

import numpy as np

from config.errors import DeviceFailed, OutOfDeviceMemory, StageFailed
from indexer.models.resources import Resources
from indexer.records import RuntimeReport
from indexer.runtime.batch_sizes import BatchSizes
from indexer.runtime.batching import UNMEASURED, BatchRunner
from indexer.runtime.failures import reason_of
from indexer.runtime.network import Arrays, Network, NetworkRef
from indexer.runtime.samples import gate_samples
from indexer.runtime.selection import obtain_engine

logger = logging.getLogger(__name__)

_NOT_FINITE = "it gave numbers that are not finite"


class ServedNetwork:
    """Called with arrays of N items, it gives those of N results. For one thread."""

    def __init__(self, ref: NetworkRef, *, stage: str, model: str, resources: Resources) -> None:
        """Raises ModelError if nothing can run the network."""
        network = ref.resolve()
        self._stage = stage
        sizes = BatchSizes(
            model_key=f"{network.name} {network.fingerprint}",
            cache=resources.model_cache,
            fixed=resources.policy.batch_size,
            example=lambda count: _ones(network, count),
        )
        self._slot = obtain_engine(
            ref,
            stage=stage,
            model=model,
            resources=resources,
            samples=lambda: gate_samples(resources.thumbnails),
            prepare=sizes.prepare,
        )
        self._runner = BatchRunner(self._slot, sizes)

    def __call__(self, *inputs: np.ndarray) -> Arrays:
        """Numbers that are finite. A batch that fails goes through the reference before a file is blamed.

        Raises OutOfDeviceMemory and DeviceFailed as `BatchRunner.run` does; StageFailed, or what the reference raises,
        if the reference fails on the batch as well.
        """
        serving = self._slot.info
        try:
            outputs = self._runner.run(*inputs)
        except (OutOfDeviceMemory, DeviceFailed):
            raise
        except Exception as error:
            logger.warning("%s on %s failed", self._stage, serving.runtime, exc_info=True)
            fault = f"it failed on photos that the reference has an answer to ({reason_of(error)})"
            answer = self._by_reference(inputs)
            if answer is None:
                raise
        else:
            if _finite(outputs):
                return outputs
            fault, answer = _NOT_FINITE, self._by_reference(inputs)
        if answer is None or not _finite(answer):
            raise StageFailed(
                f'The network of the stage "{self._stage}" gives numbers that are not finite for this file.',
                "`reverie retry` tries again; another model may do better.",
            )
        if self._slot.info == serving:
            self._slot.degrade(fault)
        return answer

    def _by_reference(self, inputs: Arrays) -> Arrays | None:
        """The reference's answer; None if it is the reference that serves."""
        reference = self._slot.reference()
        if reference is None:
            return None
        starts = range(0, len(inputs[0]), UNMEASURED)
        pieces = [reference(*(array[start : start + UNMEASURED] for array in inputs)) for start in starts]
        return tuple(np.concatenate(column) for column in zip(*pieces, strict=True))

    @property
    def report(self) -> RuntimeReport:
        """How it runs now."""
        return self._slot.report(self._runner.batch_size)

    def close(self) -> None:
        """End what is being built in the background."""
        self._slot.close()


def _finite(outputs: Arrays) -> bool:
    return all(bool(np.isfinite(output).all()) for output in outputs)


def _ones(network: Network, count: int) -> Arrays:
    """A batch to measure with: its values do not change the time it takes."""
    return tuple(np.ones((count, *spec.shape), spec.dtype) for spec in network.inputs)
