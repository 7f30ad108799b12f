"""How many items go through a network together: found by measurement, remembered, and halved when memory is short."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import OutOfDeviceMemory
from indexer.runtime.engines import EngineInfo
from indexer.runtime.network import Arrays

logger = logging.getLogger(__name__)

FILE_NAME: Final = "batch-sizes.json"

MOST_ITEMS: Final = 512
MOST_ITEMS_ON_CPU: Final = 32
"""A GPU says when its memory is full; a processor takes everybody's, until the kernel ends the worker. On few cores a
larger batch is hardly faster."""

MOST_BYTES: Final = 256 << 20
"""Of one batch's inputs: twice as much waits in memory, prepared, while the batch runs."""

GAIN: Final = 1.03
"""A larger batch must be faster than this many times the best so far. Less is noise, and a larger batch makes every
photo wait longer and takes more memory."""

PATIENCE: Final = 2
"""So many doublings in a row that gain nothing end the search: one may be an unlucky measurement."""

ROUND_SECONDS: Final = 0.1
"""One size is run again and again for about this long, at least twice after a first time that does not count."""

MOST_SECONDS: Final = 4.0
"""A batch that takes longer is not doubled: results should come while somebody is looking."""


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

    The size belongs to the model, the device, the runtime and the precision. When the slot changes to another engine,
    that engine's size is looked up, or measured before its first batch.

    Args:
        slot: what runs the network.
        model_key: the network's name and fingerprint; a size is remembered under it.
        cache: the folder in which sizes are remembered. If it cannot be written, they are measured each time.
        fixed: this size, nothing is measured (config: analysis.ml_models.batch_size).
        example: makes a batch of so many items for the measurement.
        clock: seconds, monotonic.

    Raises:
        OutOfDeviceMemory: not even one item fits, whatever the runtime.
        DeviceFailed: no other batch will ever run in this process.
    """

    def __init__(
        self,
        slot: Slot,
        *,
        model_key: str,
        cache: Path,
        fixed: int | None,
        example: Callable[[int], Arrays],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._slot = slot
        self._model_key = model_key
        self._sizes = RememberedSizes(cache / FILE_NAME)
        self._fixed = fixed
        self._example = example
        self._clock = clock
        self._measured_for: EngineInfo | None = None
        self._size = 1
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
                continue
            start += len(piece[0])
        return pieces[0] if len(pieces) == 1 else tuple(np.concatenate(column) for column in zip(*pieces, strict=True))

    def _adapt(self) -> None:
        """Find the size for the engine in use, unless that has been done."""
        while (info := self._slot.info) != self._measured_for:
            key = self._key(info)
            size = self._fixed or self._sizes.get(key)
            if size is None:
                try:
                    size = self._measure()
                except OutOfDeviceMemory as error:
                    self._degrade(error)
                    continue
                if self._slot.info != info:
                    continue  # it changed while it was measured: the times are of neither
                self._sizes.put(key, size)
            self._size = size
            self._measured_for = info

    def _measure(self) -> int:
        """The smallest batch that is nearly as fast, per item, as the fastest. Raises OutOfDeviceMemory: none fits."""
        info = self._slot.info
        most = MOST_ITEMS_ON_CPU if info.device == "CPU" else MOST_ITEMS
        rates: dict[int, float] = {}
        size, misses = 1, 0
        while size <= most and misses < PATIENCE:
            batch = self._example(size)
            try:
                seconds = self._seconds(batch)
            except OutOfDeviceMemory:
                if not rates:
                    raise
                break
            misses = 0 if size / seconds > GAIN * max(rates.values(), default=0.0) else misses + 1
            rates[size] = size / seconds
            if seconds > MOST_SECONDS or 2 * sum(array.nbytes for array in batch) > MOST_BYTES:
                break
            size *= 2
        best = max(rates.values())
        chosen = min(size for size, rate in rates.items() if rate * GAIN >= best)
        logger.info("batches of %d: %.1f a second (%s, %s)", chosen, rates[chosen], self._model_key, info.runtime)
        return chosen

    def _seconds(self, batch: Arrays) -> float:
        """The time of one run: the best of some, as whatever else the machine does can only make it longer."""
        self._slot(*batch)  # the first run of a shape allocates, and chooses algorithms
        times: list[float] = []
        while len(times) < 2 or sum(times) < ROUND_SECONDS:
            began = self._clock()
            self._slot(*batch)
            times.append(self._clock() - began)
        return max(min(times), 1e-9)

    def _shrink(self, failed: int, error: OutOfDeviceMemory) -> None:
        if failed == 1:
            self._degrade(error)
            return
        self._size = failed // 2
        logger.warning("batches of %d from now on (%s): %s", self._size, self._model_key, error.title)
        if self._fixed is None:
            self._sizes.put(self._key(self._slot.info), self._size)

    def _degrade(self, error: OutOfDeviceMemory) -> None:
        if not self._slot.degrade(f"not even one item fits: {error.title}"):
            raise error
        self._measured_for = None

    def _key(self, info: EngineInfo) -> str:
        return "|".join((self._model_key, info.device, info.runtime, info.precision))


class RememberedSizes:
    """A small JSON file, name to batch size, shared by the workers of a machine.

    A file that is damaged counts as empty, and one that cannot be written costs a measurement next time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> int | None:
        """The size that is remembered."""
        return self._read().get(key)

    def put(self, key: str, size: int) -> None:
        """Remember a size."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # another worker's sizes must not get lost
                text = json.dumps(self._read() | {key: size}, indent=1, sort_keys=True)
                partial = self._path.with_suffix(f".{os.getpid()}")
                partial.write_text(f"{text}\n", encoding="utf-8")
                partial.replace(self._path)
        except OSError as error:
            logger.warning("batch sizes cannot be remembered in %s: %s", self._path, error.strerror or error)

    def _read(self) -> dict[str, int]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {key: size for key, size in content.items() if type(size) is int and 1 <= size <= MOST_ITEMS}
