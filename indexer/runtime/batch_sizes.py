"""How many items suit each engine of a network: found by measurement, and remembered."""

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
from indexer.runtime.torch_engine import release_memory

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


class Runs(Protocol):
    """What can be measured: an engine, or the slot that holds one."""

    @property
    def info(self) -> EngineInfo:
        """What runs the network."""

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch."""


class BatchSizes:
    """The size for each engine of one network. It belongs to the model, the device, the runtime and the precision.

    Measuring takes up to minutes in which nothing is answered, so it has its place where silence is allowed: while a
    stage is loaded, and before an engine takes over from one that goes on serving.

    Args:
        model_key: the network's name and fingerprint; a size is remembered under it.
        cache: the folder in which sizes are remembered. If it cannot be written, that is until the process ends.
        fixed: this size, nothing is measured (config: analysis.ml_models.batch_size).
        example: makes a batch of so many items for the measurement.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        model_key: str,
        cache: Path,
        fixed: int | None,
        example: Callable[[int], Arrays],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model_key = model_key
        self._kept = RememberedSizes(cache / FILE_NAME)
        self._own: dict[str, int] = {}
        self._fixed = fixed
        self._example = example
        self._clock = clock

    def known(self, info: EngineInfo) -> int | None:
        """The size for an engine, if it is fixed or was measured."""
        key = self._key(info)
        return self._fixed or self._own.get(key) or self._kept.get(key)

    def remember(self, info: EngineInfo, size: int) -> None:
        """The size for an engine from now on."""
        key = self._key(info)
        self._own[key] = size
        if self._fixed is None:
            self._kept.put(key, size)

    def prepare(self, engine: Runs) -> None:
        """Measure an engine that is to take over. Raises OutOfDeviceMemory if not even one item fits."""
        if self.known(engine.info) is None:
            self.remember(engine.info, self.measure(engine))

    def measure(self, engine: Runs) -> int:
        """The smallest batch that is nearly as fast, per item, as the fastest. Raises OutOfDeviceMemory: none fits."""
        try:
            return self._measured(engine)
        finally:
            release_memory()  # the largest batch took the most that this network ever will

    def _measured(self, engine: Runs) -> int:
        info = engine.info
        most = MOST_ITEMS_ON_CPU if info.device == "CPU" else MOST_ITEMS
        rates: dict[int, float] = {}
        size, misses = 1, 0
        while size <= most and misses < PATIENCE:
            batch = self._example(size)
            try:
                seconds = self._seconds(engine, batch)
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

    def _seconds(self, engine: Runs, batch: Arrays) -> float:
        """The time of one run: the best of some, as whatever else the machine does can only make it longer."""
        engine(*batch)  # the first run of a shape allocates, and chooses algorithms
        runs, total, best = 0, 0.0, float("inf")
        while runs < 2 or total < ROUND_SECONDS:
            began = self._clock()
            engine(*batch)
            seconds = self._clock() - began
            runs, total, best = runs + 1, total + seconds, min(best, seconds)
        return max(best, 1e-9)

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
