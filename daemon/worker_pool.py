"""Several workers, one for each device, that share one queue of files."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from multiprocessing.connection import wait

from config.errors import CatalogError, ModelError, StageBroken
from daemon.protocol import Assignment
from daemon.supervisor import Death, Result, Supervisor
from indexer.records import Kind, RuntimeReport

REST_SECONDS = 300.0
"""A worker that cannot work, while others can, is tried again after so long."""


class WorkerPool:
    """Drives supervisors as if they were one (`daemon.scheduler.Workers`). Not thread-safe: one thread drives it.

    A file goes to the worker with the least to do, a video or sound to the one with the fewest of those. What happens
    to one worker does not disturb the others: its death is told with its own files only, and if it cannot work at all
    the others go on without it.
    """

    def __init__(self, members: Sequence[Supervisor], *, clock: Callable[[], float]) -> None:
        self._members = list(members)
        self._clock = clock
        self._resting: dict[int, tuple[float, ModelError]] = {}  # member's number -> until when, and why
        self._held: Death | ModelError | CatalogError | None = None
        self._broke = 0  # the number of the member that last told of a broken stage

    @property
    def in_flight(self) -> Collection[int]:
        """Media ids of the files that some worker has, or whose worker's death has not been told yet."""
        files = {media_id for member in self._members for media_id in member.in_flight}
        if isinstance(self._held, Death):
            files.update(self._held.begun, self._held.waiting)
        return files

    @property
    def capacity(self) -> int:
        """How many workers share the work."""
        return len(self._members) - len(self._resting)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [member.pid for member in self._members if member.pid is not None]

    @property
    def pid(self) -> int | None:
        """That of the first worker that runs."""
        return next(iter(self.pids), None)

    @property
    def reports(self) -> Mapping[str, RuntimeReport]:
        """How each stage runs; where it runs on several devices they are named together."""
        stages = dict.fromkeys(stage for member in self._members for stage in member.reports)
        return {
            stage: _merged([member.reports[stage] for member in self._members if stage in member.reports])
            for stage in stages
        }

    @property
    def shares(self) -> Mapping[int, float]:
        """How far each long file is that some worker goes through, by media id. From any thread."""
        return {media_id: share for member in self._members for media_id, share in member.shares.copy().items()}

    @property
    def troubles(self) -> list[ModelError]:
        """Why some workers do not take part."""
        return [error for _, error in self._resting.values()]

    def send(self, assignment: Assignment) -> None:
        """Give a file to the worker with the least to do; of equals, to one that runs already."""
        now = self._clock()
        self._resting = {number: rest for number, rest in self._resting.items() if rest[0] > now}
        able = [member for number, member in enumerate(self._members) if number not in self._resting]
        long = assignment.kind != Kind.PHOTO
        least = min(able, key=lambda member: (len(member.long) * long, len(member.in_flight), member.pid is None))
        least.send(assignment)

    def cancel(self, media_id: int) -> None:
        """Have a long file broken off by whichever worker has it."""
        for member in self._members:
            member.cancel(media_id)

    def receive(self, timeout: float) -> Sequence[Result] | Death:
        """Everything the workers have answered; waits up to `timeout` seconds for the first answer of any.

        Raises:
            StageBroken: one stage cannot work in one of them; see `rest`.
            ModelError: no worker can work at all.
            CatalogError: what the workers write cannot be written.
        """
        if self._held is not None:
            return self._tell([])
        connections = [member.connection for member in self._members if member.connection is not None]
        if connections:
            wait(connections, timeout)
        results: list[Result] = []
        for number, member in enumerate(self._members):
            try:
                outcome = member.receive(0)
            except (StageBroken, CatalogError) as error:
                self._held, self._broke = error, number
                outcome = []
            except ModelError as error:
                self._rest(number, error)
                outcome = []
            if isinstance(outcome, Death):
                self._held = outcome
            else:
                results.extend(outcome)
            if self._held is not None:
                break  # one thing at a time: what the others say keeps in their pipes
        return self._tell(results)

    def rest(self, error: StageBroken) -> None:
        """Do without the worker that told of this, for a while: its stage is one that nobody can do without.

        Raises the error if no other worker can work.
        """
        self._rest(self._broke, error)
        self._tell([])

    def stop(self) -> None:
        """End every worker. Work in flight is forgotten here; its jobs are still in the catalog."""
        for member in self._members:
            member.stop()
        self._held = None

    def _tell(self, results: list[Result]) -> Sequence[Result] | Death:
        """Results first; the next call tells what is held."""
        if results or self._held is None:
            return results
        held, self._held = self._held, None
        if isinstance(held, Exception):
            raise held
        return held

    def _rest(self, number: int, error: ModelError) -> None:
        """Do without a worker for a while. Its files are in no worker's hands now: the scheduler puts them back."""
        self._resting[number] = (self._clock() + REST_SECONDS, error)
        if len(self._resting) == len(self._members):
            self._resting.clear()
            self._held = error


def _merged(reports: Sequence[RuntimeReport]) -> RuntimeReport:
    """One report for a stage on several devices: "2 x NVIDIA GeForce RTX 2080 Ti"."""
    devices = Counter(report.device for report in reports)
    return dataclasses.replace(
        reports[0],
        device=", ".join(name if count == 1 else f"{count} x {name}" for name, count in devices.items()),
        runtime=", ".join(dict.fromkeys(report.runtime for report in reports)),
        precision=", ".join(dict.fromkeys(report.precision for report in reports)),
        batch_size=max(report.batch_size for report in reports),
        refused=tuple(dict.fromkeys(refusal for report in reports for refusal in report.refused)),
    )
