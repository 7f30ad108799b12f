"""Any number of items through a network, in batches that suit the engine and are halved when memory is short."""

from __future__ import annotations

import logging
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import DeviceFailed, OutOfDeviceMemory
from indexer.runtime.batch_sizes import BatchSizes
from indexer.runtime.engines import EngineInfo
from indexer.runtime.failures import reason_of
from indexer.runtime.network import Arrays
from indexer.runtime.torch_engine import release_memory

logger = logging.getLogger(__name__)

UNMEASURED: Final = 4
"""Items for an engine that had to take over at once: it is measured the next time that it is loaded."""


class Slot(Protocol):
    """An engine that may be exchanged for another (`indexer.runtime.selection.EngineSlot`)."""

    @property
    def info(self) -> EngineInfo:
        """What runs the network now."""

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch, as an `Engine` does."""

    def degrade(self, reason: str) -> bool:
        """Change to the next slower runtime; False if there is none."""


class BatchRunner:
    """Runs any number of items through an engine in batches of the size that suits it. For one thread.

    When the slot changes to another engine, that engine's size is looked up. Only the constructor measures: it is
    called while a stage is loaded, when nobody waits for an answer.

    Args:
        slot: what runs the network.
        sizes: of its engines.

    Raises:
        OutOfDeviceMemory: not even one item fits, whatever the runtime.
        DeviceFailed: no other batch will ever run in this process.
    """

    def __init__(self, slot: Slot, sizes: BatchSizes) -> None:
        self._slot = slot
        self._sizes = sizes
        self._size = 1
        self._sized_for: EngineInfo | None = None
        while sizes.known(info := slot.info) is None:
            try:
                size = sizes.measure(slot)
            except OutOfDeviceMemory as error:
                self._degrade(error)
                continue
            except DeviceFailed:
                raise
            except Exception as error:
                if not slot.degrade(f"it failed on the first batch ({reason_of(error)})"):
                    raise
                continue
            if slot.info == info:  # else it changed while it was measured: the times are of neither
                sizes.remember(info, size)
        self._adapt()

    @property
    def batch_size(self) -> int:
        """Items that the engine in use gets at a time."""
        return self._size

    def run(self, *arrays: NDArray[np.generic]) -> Arrays:
        """Inputs with N items along the first axis (N >= 1) to outputs with N items, in order.

        A batch for which memory is short is tried again in halves, which are the size from then on; one item for which
        it is short goes to the next slower runtime. Raises as the class says.
        """
        pieces: list[Arrays] = []
        start, total = 0, len(arrays[0])
        while start < total:
            self._adapt()
            piece = tuple(array[start : start + self._size] for array in arrays)
            try:
                pieces.append(self._slot(*piece))
            except OutOfDeviceMemory as error:
                self._shrink(len(piece[0]), error)
            else:
                start += len(piece[0])
                continue
            release_memory()  # after the error is gone, which holds on to the tensors
        return pieces[0] if len(pieces) == 1 else tuple(np.concatenate(column) for column in zip(*pieces, strict=True))

    def _adapt(self) -> None:
        info = self._slot.info
        if info != self._sized_for:
            self._size = self._sizes.known(info) or UNMEASURED
            self._sized_for = info

    def _shrink(self, failed: int, error: OutOfDeviceMemory) -> None:
        if failed == 1:
            self._degrade(error)
            return
        self._size = failed // 2
        logger.warning("batches of %d from now on: %s", self._size, error.title)
        self._sizes.remember(self._slot.info, self._size)

    def _degrade(self, error: OutOfDeviceMemory) -> None:
        if not self._slot.degrade(f"not even one item fits: {error.title}"):
            raise error
