"""An engine that one thread owns, whoever calls it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.engines import Engine
from indexer.runtime.network import Arrays


class OwnedEngine:
    """Makes an engine and runs it in a thread of its own, which ends when nobody holds the engine any more.

    PyTorch keeps CUDA graphs for each thread of the host: without an owner each thread that came along, such as that of
    a long video, would record all of them anew, and hold their memory.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        """Raises what `make` raises."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._engine = self._thread.submit(make).result()
        self.info = self._engine.info

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch, as the engine does."""
        return self._thread.submit(self._engine, *inputs).result()
