"""Which file is analysed next, and what becomes of those that fail.

Jobs are rows in the catalog: claimed in a committed transaction, closed in the one that stores the result. What is
here decides order and retries only, and may be lost at any instant.

- Files that have not failed fill the worker, in the order they were found.
- Videos and sounds, which take minutes, have a lane of their own beside the photos: neither waits for the other.
- When the worker dies or hangs, nobody knows which of the files it had begun did it: each of them is tried again
  alone. Only a failure that happened alone counts against a file; the third one quarantines it. A long file that only
  happened to be there when another one was found out is not tried: that would take long, with all else waiting.
- A file that failed waits before its next attempt, longer each time: a share that is away comes back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from daemon.progress import Progress
from daemon.protocol import Assignment, Done, Refused
from daemon.supervisor import Death, Result
from indexer.records import Failure, Kind, RuntimeReport, Space
from search.catalog import Catalog, Work

BACKOFF_SECONDS = (5.0, 30.0)
"""How long a file waits after its first and second failure."""

BATCHES_AHEAD = 3
"""For each worker: one batch in its network, one that waits for it, one that is being decoded."""

LONG_AHEAD = 2
"""Long files for each worker: one that it goes through, and one that waits."""

GOT_ON = 0.01
"""The share of a long file by which an attempt must get further than the one before, if its end is to be forgiven."""

LOOK_SECONDS = 0.2
"""Where no long file waited, it is not looked again for so long: each look is a transaction."""

LOOK_FOR_PATHS_SECONDS = 2.0
"""How often it is looked whether long files in hand are still somewhere."""
MOST_ATTEMPTS = 3
"""Failures after which a file is given up."""


class Workers(Protocol):
    """One worker or several, as the scheduler drives them."""

    @property
    def in_flight(self) -> Collection[int]:
        """Media ids of the files that were given out and not answered for."""

    @property
    def capacity(self) -> int:
        """How many workers share the work."""

    @property
    def reports(self) -> Mapping[str, RuntimeReport]:
        """How each stage runs."""

    @property
    def shares(self) -> Mapping[int, float]:
        """How far each long file is that is being gone through, 0 to 1, by media id."""

    def send(self, assignment: Assignment) -> None:
        """Give out a file. Never waits."""

    def cancel(self, media_id: int) -> None:
        """Have a long file broken off that was given out. Never waits."""

    def receive(self, timeout: float) -> Sequence[Result] | Death:
        """What was answered, or one worker's end. Raises ModelError: no worker can work."""

    def stop(self) -> None:
        """End every worker."""


class Scheduler:
    """Moves jobs from the catalog through the worker and back. One thread drives it.

    Args:
        catalog: where jobs and results live.
        workers: the worker processes.
        progress: told of everything that finishes.
        look_ahead: how many files each worker has at least, done or not, so that it never waits for us. Three of its
            batches, if they are more.
        first: the stages without which a photo cannot be found: what owes one of them comes before the rest.
        vector_spaces: the stages that need no more than a stored vector, each with that vector's space.
        without: stages that nothing goes through for now.
        stored: called after each committed batch of results.
        done: called with each long file that is stored.
        given_up: called with each long file that no attempt is left for.
        clock: monotonic seconds.
        pause: asked while there is work: why none may be given out now, None if it may.
    """

    def __init__(
        self,
        catalog: Catalog,
        workers: Workers,
        progress: Progress,
        *,
        look_ahead: int,
        first: Callable[[], Collection[str]] = tuple,
        vector_spaces: Callable[[], Mapping[str, Space]] = dict,
        without: Callable[[], Collection[str]] = tuple,
        stored: Callable[[], None],
        done: Callable[[Work], None] = lambda _: None,
        given_up: Callable[[Work], None] = lambda _: None,
        clock: Callable[[], float],
        pause: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._catalog = catalog
        self._workers = workers
        self._progress = progress
        self._look_ahead = look_ahead
        self._first = first
        self._vector_spaces = vector_spaces
        self._without = without
        self._stored = stored
        self._done = done
        self._given_up = given_up
        self._clock = clock
        self._pause = pause
        self._working: dict[int, Work] = {}
        self._suspects: list[Work] = []
        self._on_trial: int | None = None
        self._reached: dict[int, float] = {}
        """How far long files had got, by media id, when the worker died of them."""
        self._not_before: dict[int, float] = {}
        self._look_again = 0.0
        self._look_for_paths = 0.0
        self.paused: str | None = None
        """Why work waits although there is some."""

    def use(self, workers: Workers, *, look_ahead: int, pause: Callable[[], str | None]) -> None:
        """Give the work to other workers; what the old ones have in hand goes back with the next step."""
        self._workers = workers
        self._look_ahead = look_ahead
        self._pause = pause

    @property
    def in_hand(self) -> int:
        """How many files are being analysed, until their results are stored and counted in `progress`."""
        return len(self._working) + len(self._suspects)

    @property
    def media_in_hand(self) -> set[int]:
        """Which they are."""
        return {*self._working, *(work.media_id for work in self._suspects)}

    @property
    def long_in_hand(self) -> int:
        """How many of them are videos or sounds. From any thread."""
        return sum(map(_is_long, [*self._working.values(), *self._suspects]))

    @property
    def long_contents(self) -> dict[str, int]:
        """The content hashes of those, with their sizes in bytes."""
        return {work.content_hash: work.stat.size for work in self._working.values() if _is_long(work)}

    @property
    def idle(self) -> bool:
        """Nothing is being analysed (jobs may be waiting for their next attempt)."""
        return self.in_hand == 0

    @property
    def long_files(self) -> list[tuple[str, float]]:
        """(path, how far it is, 0 to 1) of each long file that is being gone through. From any thread."""
        shares = self._workers.shares
        working = list(self._working.values())
        return [(work.path, shares[work.media_id]) for work in working if work.media_id in shares]

    def step(self, timeout: float) -> bool:
        """Hand out work, wait up to `timeout` seconds for results, store them. True if anything moved.

        Raises:
            ModelError: no worker can run on this machine.
            CatalogError: the catalog cannot be written, for example because the disk is full.

        Whatever is raised, the next step begins by putting back the jobs that got lost on the way.
        """
        self._put_back_lost()
        self._cancel_unwanted()
        handed_out = not self._must_pause() and self._hand_out()
        outcome = self._workers.receive(timeout)
        if isinstance(outcome, Death):
            self._investigate(outcome)
            return True
        if outcome:
            self._store(outcome)
        return handed_out or bool(outcome)

    def stop(self) -> None:
        """End the worker and put back what it had."""
        self._workers.stop()
        self._catalog.release([*self._working, *(work.media_id for work in self._suspects)])
        self._working.clear()
        self._suspects.clear()

    def _put_back_lost(self) -> None:
        """Jobs that an error parted from the worker: nothing else would ever end them. And suspects that owe what is
        left out now: they are claimed again without it."""
        without = set(self._without())
        stale = [work.media_id for work in self._suspects if without.intersection(work.stages)]
        if stale:
            self._catalog.release(stale)
            self._suspects = [work for work in self._suspects if work.media_id not in stale]
        lost = self._working.keys() - self._workers.in_flight
        if lost:
            self._catalog.release(lost)
            for media_id in lost:
                del self._working[media_id]

    def _cancel_unwanted(self) -> None:
        """Break off long files that have no path any more: deleted, or moved to where nothing is watched."""
        now = self._clock()
        long = [work.media_id for work in self._working.values() if _is_long(work)]
        if not long or now < self._look_for_paths:
            return
        self._look_for_paths = now + LOOK_FOR_PATHS_SECONDS
        for media_id in self._catalog.without_path(long):
            self._workers.cancel(media_id)

    def _hand_out(self) -> bool:
        """Keep the workers supplied. True if they were given anything."""
        if self._on_trial in self._working:
            return False  # nothing beside it, or it would not be alone
        if self._suspects:
            if not self._working:
                self._try_one()
                return True
            if not self._in_lane(slow=True):
                return False
            # A trial waits for the end of the long files: photos need not.
            return self._fill(slow=False)
        handed_out = self._fill(slow=False)
        if not self._suspects:  # the photos just claimed may hold some
            handed_out |= self._fill(slow=True)
        return handed_out

    def _try_one(self) -> None:
        """Give out a suspect, alone; photos first, they are soon done with."""
        suspect = min(self._suspects, key=_is_long)
        self._suspects.remove(suspect)
        self._on_trial = suspect.media_id
        self._send(suspect)

    def _fill(self, *, slow: bool) -> bool:
        """Keep one lane supplied. True if anything was claimed for it."""
        wanted = self._wanted(slow=slow)
        room = wanted - self._in_lane(slow=slow)
        if room < max(1, wanted // 2):
            return False  # claim in chunks: each claim is a transaction
        now = self._clock()
        if slow and now < self._look_again:
            return False
        self._not_before = {media: when for media, when in self._not_before.items() if when > now}
        claimed = self._catalog.claim(
            room,
            slow=slow,
            exclude=[*self._not_before, *self._working],
            first=self._first(),
            vector_spaces=self._vector_spaces(),
            without=self._without(),
        )
        if slow and not claimed:
            self._look_again = now + LOOK_SECONDS
        for work in claimed:
            if work.attempts:
                self._suspects.append(work)
            else:
                self._send(work)
        return bool(claimed)

    def _in_lane(self, *, slow: bool) -> int:
        """How many files the workers have of one lane."""
        return sum(_is_long(work) == slow for work in self._working.values())

    def _wanted(self, *, slow: bool) -> int:
        """How many files of one lane keep the workers busy."""
        if slow:
            return self._workers.capacity * LONG_AHEAD
        batch = max((report.batch_size for report in self._workers.reports.values()), default=0)
        return self._workers.capacity * max(self._look_ahead, BATCHES_AHEAD * batch)

    def _must_pause(self) -> bool:
        """Whether something forbids to give out work. It is asked only if there is some."""
        there_is_work = self._working or self._suspects or self._catalog.has_work(without=self._without())
        self.paused = self._pause() if there_is_work else None
        return self.paused is not None

    def _send(self, work: Work) -> None:
        self._working[work.media_id] = work
        stat = work.stat
        self._workers.send(
            Assignment(
                media_id=work.media_id,
                content_hash=work.content_hash,
                path=os.fsencode(work.path),
                size=stat.size,
                mtime_ns=stat.mtime_ns,
                inode=stat.inode,
                sidecars=tuple(map(os.fsencode, stat.sidecars)),
                stages=work.stages,
                kind=work.kind,
                vectors=work.vectors,
            )
        )

    def _store(self, results: Sequence[Result]) -> None:
        analyses = [result.analysis for result in results if isinstance(result, Done)]
        failures = [result.failure for result in results if isinstance(result, Refused)]
        self._catalog.store(analyses, failures, max_attempts=MOST_ATTEMPTS)
        whole = [analysis for analysis in analyses if not analysis.failed]
        long = {media_id for media_id, work in self._working.items() if _is_long(work)}
        self._progress.finished(whole, failed=len(failures) + len(analyses) - len(whole), long=long)
        for analysis in analyses:
            work = self._working.pop(analysis.media_id, None)
            for failure in analysis.failed:
                self._settle_failure(failure, work)
            self._reached.pop(analysis.media_id, None)
            if work is not None and (_is_long(work) or (analysis.info and analysis.info.kind != Kind.PHOTO)):
                self._done(work)
        for failure in failures:
            self._settle_failure(failure, self._working.pop(failure.media_id, None))
        self._stored()

    def _investigate(self, death: Death) -> None:
        """A worker died. What it had not begun goes back; a single file it had begun did it; of several, each is
        tried alone."""
        self._catalog.release(death.waiting)
        for media_id in death.waiting:
            self._working.pop(media_id, None)
        if len(death.begun) != 1 or death.loading:
            self._suspects.extend(self._working.pop(media_id) for media_id in death.begun)
            return
        work = self._working[death.begun[0]]
        reached = death.shares.get(work.media_id, 0.0)
        if reached >= self._reached.get(work.media_id, 0.0) + GOT_ON:
            # What is done of a long file is noted: it comes to its end, even where memory is short now and then.
            self._reached[work.media_id] = reached
            self._catalog.release([self._working.pop(work.media_id).media_id])
            return
        failure = Failure(
            media_id=work.media_id,
            stages=work.stages,
            title=f"The analysis process {death.reason} on this file.",
            remedy="The file may be damaged or hostile. It is left alone until it changes, or until `reverie retry`.",
            permanent=False,
        )
        self._catalog.store([], [failure], max_attempts=MOST_ATTEMPTS)
        self._progress.finished([], failed=1)
        self._settle_failure(failure, self._working.pop(work.media_id))
        self._acquit()

    def _acquit(self) -> None:
        """One was found out: long files that were there when it did it are taken to be innocent. Should one not be, it
        is the only one begun some day, for the others come to their ends."""
        innocent = [work.media_id for work in self._suspects if _is_long(work) and not work.attempts]
        self._catalog.release(innocent)
        self._suspects = [work for work in self._suspects if work.media_id not in innocent]

    def _settle_failure(self, failure: Failure, work: Work | None) -> None:
        """Make a file that may yet succeed wait for its next attempt."""
        if work is None or failure.vanished:
            return
        if failure.permanent or work.attempts + 1 >= MOST_ATTEMPTS:
            self._reached.pop(work.media_id, None)
            if _is_long(work):
                self._given_up(work)
            return
        wait = BACKOFF_SECONDS[min(work.attempts, len(BACKOFF_SECONDS) - 1)]
        self._not_before[failure.media_id] = self._clock() + wait


def _is_long(work: Work) -> bool:
    """Whether a file takes minutes: what has a length in time does."""
    return work.kind != Kind.PHOTO
