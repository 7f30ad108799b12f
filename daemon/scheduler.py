"""Which file is analysed next, and what becomes of those that fail.

Jobs are rows in the catalog: claimed in a committed transaction, closed in the one that stores the result. What is
here decides order and retries only, and may be lost at any instant.

- Files that have not failed fill the worker, in the order they were found.
- When the worker dies or hangs, nobody knows which of the files it had begun did it: each of them is tried again
  alone. Only a failure that happened alone counts against a file; the third one quarantines it.
- A file that failed waits before its next attempt, longer each time: a share that is away comes back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence

from daemon.progress import Progress
from daemon.protocol import Assignment, Done, Refused
from daemon.supervisor import Death, Result, Supervisor
from indexer.records import Failure, Space
from search.catalog import Catalog, Work

BACKOFF_SECONDS = (5.0, 30.0)
"""How long a file waits after its first and second failure."""


class Scheduler:
    """Moves jobs from the catalog through the worker and back. One thread drives it.

    Args:
        catalog: where jobs and results live.
        supervisor: the worker process.
        progress: told of everything that finishes.
        look_ahead: how many files the worker is given beyond those it is working on, so that it never waits for us.
        first: the stages without which a photo cannot be found: what owes one of them comes before the rest.
        vector_spaces: the stages that need no more than a stored vector, each with that vector's space.
        stored: called after each committed batch of results.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        catalog: Catalog,
        supervisor: Supervisor,
        progress: Progress,
        *,
        look_ahead: int,
        first: Callable[[], Collection[str]] = tuple,
        vector_spaces: Callable[[], Mapping[str, Space]] = dict,
        stored: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._supervisor = supervisor
        self._progress = progress
        self._look_ahead = look_ahead
        self._first = first
        self._vector_spaces = vector_spaces
        self._stored = stored
        self._clock = clock
        self._working: dict[int, Work] = {}
        self._suspects: list[Work] = []
        self._not_before: dict[int, float] = {}

    @property
    def in_hand(self) -> int:
        """How many files are being analysed, until their results are stored and counted in `progress`."""
        return len(self._working) + len(self._suspects)

    @property
    def idle(self) -> bool:
        """Nothing is being analysed (jobs may be waiting for their next attempt)."""
        return self.in_hand == 0

    def step(self, timeout: float) -> bool:
        """Hand out work, wait up to `timeout` seconds for results, store them. True if anything moved.

        Raises:
            ModelError: no worker can run on this machine.
            CatalogError: the catalog cannot be written, for example because the disk is full.

        Whatever is raised, the next step begins by putting back the jobs that got lost on the way.
        """
        self._put_back_lost()
        handed_out = self._hand_out()
        outcome = self._supervisor.receive(timeout)
        if isinstance(outcome, Death):
            self._investigate(outcome)
            return True
        if outcome:
            self._store(outcome)
        return handed_out or bool(outcome)

    def stop(self) -> None:
        """End the worker and put back what it had."""
        self._supervisor.stop()
        self._catalog.release([*self._working, *(work.media_id for work in self._suspects)])
        self._working.clear()
        self._suspects.clear()

    def _put_back_lost(self) -> None:
        """Jobs that an error parted from the worker: nothing else would ever end them."""
        lost = self._working.keys() - self._supervisor.in_flight
        if lost:
            self._catalog.release(lost)
            for media_id in lost:
                del self._working[media_id]

    def _hand_out(self) -> bool:
        """Keep the worker supplied. True if it was given anything."""
        if self._suspects:
            if self._working:
                return False
            self._send(self._suspects.pop())
            return True
        room = self._look_ahead - len(self._working)
        if room < self._look_ahead // 2 and self._working:
            return False  # claim in chunks: each claim is a transaction
        now = self._clock()
        self._not_before = {media: when for media, when in self._not_before.items() if when > now}
        claimed = self._catalog.claim(
            room,
            exclude=[*self._not_before, *self._working],
            first=self._first(),
            vector_spaces=self._vector_spaces(),
        )
        for work in claimed:
            if work.attempts:
                self._suspects.append(work)
            else:
                self._send(work)
        return bool(claimed)

    def _send(self, work: Work) -> None:
        self._working[work.media_id] = work
        stat = work.stat
        self._supervisor.send(
            Assignment(
                media_id=work.media_id,
                content_hash=work.content_hash,
                path=os.fsencode(work.path),
                size=stat.size,
                mtime_ns=stat.mtime_ns,
                inode=stat.inode,
                sidecar=None if stat.sidecar is None else os.fsencode(stat.sidecar),
                stages=work.stages,
                vector=work.vector,
            )
        )

    def _store(self, results: Sequence[Result]) -> None:
        analyses = [result.analysis for result in results if isinstance(result, Done)]
        failures = [result.failure for result in results if isinstance(result, Refused)]
        self._catalog.store(analyses, failures)
        whole = [analysis for analysis in analyses if not analysis.failed]
        self._progress.finished(whole, failed=len(failures) + len(analyses) - len(whole))
        for analysis in analyses:
            work = self._working.pop(analysis.media_id, None)
            for failure in analysis.failed:
                self._settle_failure(failure, work)
        for failure in failures:
            self._settle_failure(failure, self._working.pop(failure.media_id, None))
        self._stored()

    def _investigate(self, death: Death) -> None:
        """A worker died. What it had not begun goes back; a single file it had begun did it; of several, each is
        tried alone."""
        self._catalog.release(death.waiting)
        for media_id in death.waiting:
            self._working.pop(media_id, None)
        if len(death.begun) != 1:
            self._suspects.extend(self._working.pop(media_id) for media_id in death.begun)
            return
        work = self._working[death.begun[0]]
        failure = Failure(
            media_id=work.media_id,
            stages=work.stages,
            title=f"The analysis process {death.reason} on this file.",
            remedy="The file may be damaged or hostile. It is left alone until it changes, or until `reverie retry`.",
            permanent=False,
        )
        self._catalog.store([], [failure])
        self._progress.finished([], failed=1)
        self._settle_failure(failure, self._working.pop(work.media_id))

    def _settle_failure(self, failure: Failure, work: Work | None) -> None:
        """Make a file that may yet succeed wait for its next attempt."""
        if work is None or failure.permanent or failure.vanished:
            return
        wait = BACKOFF_SECONDS[min(work.attempts, len(BACKOFF_SECONDS) - 1)]
        self._not_before[failure.media_id] = self._clock() + wait
