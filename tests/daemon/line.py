"""A catalog, a worker and what moves jobs between them, for tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from daemon.progress import Progress
from daemon.protocol import Began, Preparing, Reply
from daemon.scheduler import Scheduler
from daemon.supervisor import Result, Supervisor
from search.catalog import Catalog
from tests.daemon.clock import Clock
from tests.daemon.workers import QUICK, record, worker_setup


class Assassin(Supervisor):
    """A supervisor whose worker is killed, or stopped, at the moment it says that it began on one of the victims."""

    victims: frozenset[int] = frozenset()
    weapon = signal.SIGKILL
    kills_at_birth = False
    killed: int = 0

    def _take(self, reply: Reply, results: list[Result]) -> None:
        began = isinstance(reply, Began) and reply.media_id in self.victims
        if began or (self.kills_at_birth and isinstance(reply, Preparing)):
            assert self.pid is not None
            os.kill(self.pid, self.weapon)
            self.killed += 1
        super()._take(reply, results)


class Line:
    """A catalog, a worker and what moves jobs between them."""

    def __init__(self, folder: Path, model_cache: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.catalog = Catalog(folder / "library")
        self.stored = 0
        self.setup = worker_setup(folder, model_cache)
        self.supervisor = Assassin(self.setup, stall_seconds=60, idle_seconds=60, clock=self.clock)
        self.progress = Progress(self.clock)
        self.scheduler = Scheduler(
            self.catalog, self.supervisor, self.progress, look_ahead=6, stored=self._count, clock=self.clock
        )

    def _count(self) -> None:
        self.stored += 1

    def add(self, *paths: Path, stages: dict[str, int] = QUICK) -> list[int]:
        """Have these files wait for analysis; returns their media."""
        return [record(self.catalog, path, stages) for path in paths]

    def step_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.catalog.counts()
            self.scheduler.step(0.2)

    def finish(self) -> None:
        """Until nothing is left to do, without waiting out the pauses between attempts."""

        def finished() -> bool:
            if self.scheduler.idle:
                self.clock.ahead += 31
            return self.scheduler.idle and not self.catalog.has_work()

        self.step_until(finished)

    def states(self, media_id: int) -> set[str]:
        [row] = self.catalog.photos([media_id])
        return {job.state for job in row.jobs}
