"""What is given out to the workers, and when, looked at between any two steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.scheduler import Scheduler
from indexer.records import RuntimeReport
from tests.daemon.line import Line
from tests.daemon.workers import ScriptedWorkers


@pytest.fixture
def workers() -> ScriptedWorkers:
    return ScriptedWorkers()


@pytest.fixture
def make_scheduler(line: Line, workers: ScriptedWorkers) -> Callable[..., Scheduler]:
    def make(pause: Callable[[], str | None] = lambda: None) -> Scheduler:
        return Scheduler(
            line.catalog,
            workers,
            line.progress,
            look_ahead=2,
            stored=lambda: None,
            clock=line.clock,
            pause=pause,
        )

    return make


def test_a_suspect_is_alone_until_it_is_answered_however_long_that_takes(
    line: Line, photos: list[Path], workers: ScriptedWorkers, make_scheduler: Callable[..., Scheduler]
) -> None:
    numbers = line.add(*photos)
    scheduler = make_scheduler()
    scheduler.step(0)
    bad, good = workers.in_flight
    workers.die(bad, good)
    scheduler.step(0)
    trials = []
    for _ in range(2):
        scheduler.step(0)
        scheduler.step(0)
        scheduler.step(0)
        [suspect] = workers.in_flight  # nothing was put beside it, though others wait
        trials.append(suspect)
        if suspect == bad:
            workers.die(bad)
        else:
            workers.finish(good)
        scheduler.step(0)
    assert set(trials) == {bad, good}
    [row] = line.catalog.photos([bad])
    assert {job.attempts for job in row.jobs} == {1}
    assert line.states(good) == {"done"}
    scheduler.step(0)
    assert set(workers.in_flight) <= set(numbers) - {bad, good}


def test_the_larger_the_batches_and_the_more_the_workers_the_more_files_are_given_out(
    line: Line, photos: list[Path], workers: ScriptedWorkers, make_scheduler: Callable[..., Scheduler]
) -> None:
    line.add(*photos)
    scheduler = make_scheduler()
    scheduler.step(0)
    assert len(workers.in_flight) == 2
    workers.capacity = 2
    scheduler.step(0)
    assert len(workers.in_flight) == 4
    workers.reports = {
        "concepts": RuntimeReport(
            stage="concepts", model="m", device="CPU", runtime="r", precision="fp32", batch_size=1
        )
    }
    workers.finish(workers.in_flight[0])
    scheduler.step(0)
    assert len(workers.in_flight) == 3  # three batches of one for each: three more are worth a transaction
    scheduler.step(0)
    assert len(workers.in_flight) == 6


def test_while_paused_nothing_is_given_out_what_was_begun_ends_and_the_reason_is_told(
    line: Line, photos: list[Path], workers: ScriptedWorkers, make_scheduler: Callable[..., Scheduler]
) -> None:
    asked: list[str | None] = []
    reason: list[str | None] = [None]

    def pause() -> str | None:
        asked.append(reason[0])
        return reason[0]

    scheduler = make_scheduler(pause)
    scheduler.step(0)
    assert asked == []  # there is no work: a card may sleep on
    line.add(*photos)
    scheduler.step(0)
    assert scheduler.paused is None
    reason[0] = "the card is hot"
    for media_id in list(workers.in_flight):
        workers.finish(media_id)
        scheduler.step(0)
    assert not scheduler.step(0)
    assert scheduler.paused == "the card is hot"
    assert not workers.in_flight
    assert line.catalog.counts().done == 2
    reason[0] = None
    scheduler.step(0)
    assert scheduler.paused is None
    assert len(workers.in_flight) == 2
