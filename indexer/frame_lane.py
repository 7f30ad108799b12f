"""Where the frames of a long file join the batches of photos."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from config.errors import ModelError
from indexer.photo_work import Looked, prepare_stages
from indexer.stage import PhotoStage, VectorStage, View
from indexer.stage_set import Owed

MOST_ON_THEIR_WAY = 32
"""Frames that wait for a network, each with what was prepared of it: a few megabytes."""
CHECK_SECONDS = 1.0
"""How often it is looked whether the line still runs, while something of it is waited for."""


@dataclass(slots=True, kw_only=True)
class FrameWork(Looked):
    """A frame on its way to the networks."""

    done: Future[Looked] = field(default_factory=Future)


class FrameLane:
    """Hands frames to the line, and waits for what comes of them. For one thread.

    Args:
        put: adds to what waits for the networks.
        waits: called when the thread begins to wait for the networks: they need not wait for it to fill a batch.
        goes_on: called when it goes on.
    """

    def __init__(
        self, put: Callable[[FrameWork], None], *, waits: Callable[[], None], goes_on: Callable[[], object]
    ) -> None:
        self._put = put
        self._waits = waits
        self._goes_on = goes_on
        self._room = threading.Semaphore(MOST_ON_THEIR_WAY)
        self._ended = threading.Event()

    def look(self, view: View, stages: Mapping[str, PhotoStage]) -> Future[Looked]:
        """Have stages look at one frame. Raises ReverieError if the worker cannot go on."""
        work = FrameWork(owed=Owed(photo=dict(stages)))
        began = time.perf_counter()
        prepare_stages(work, view)
        work.seconds["resize"] = time.perf_counter() - began
        return self._send(work)

    def read(self, vector: bytes, stages: Mapping[str, VectorStage]) -> Future[Looked]:
        """Have stages read a vector (little-endian float16). Raises ReverieError if the worker cannot go on."""
        return self._send(FrameWork(owed=Owed(vector=dict(stages), stored=vector)))

    def results(self, futures: Sequence[Future[Looked]]) -> list[Looked]:
        """What came of frames. Raises ReverieError if the worker cannot go on."""
        if all(future.done() for future in futures):
            return [future.result() for future in futures]
        with self._waiting():
            return [self._result(future) for future in futures]

    def finish(self, work: FrameWork) -> None:
        """A frame has been through the networks. From the line's own thread."""
        self._room.release()
        work.done.set_result(work)

    def end(self) -> None:
        """The line has stopped: nobody waits for it in vain. From the line's own thread."""
        self._ended.set()

    def check(self) -> None:
        """Raises ModelError if the line has stopped."""
        if self._ended.is_set():
            raise ModelError("The analysis was stopped.", "The log says why: `journalctl -u reveried`.")

    def _send(self, work: FrameWork) -> Future[Looked]:
        if not work.inputs and not work.owed.vector:
            work.done.set_result(work)
            return work.done
        if not self._room.acquire(blocking=False):
            with self._waiting():
                while not self._room.acquire(timeout=CHECK_SECONDS):
                    self.check()
        self._put(work)
        return work.done

    def _result(self, future: Future[Looked]) -> Looked:
        while True:
            try:
                return future.result(timeout=CHECK_SECONDS)
            except TimeoutError:
                self.check()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._waits()
        try:
            yield
        finally:
            self._goes_on()
