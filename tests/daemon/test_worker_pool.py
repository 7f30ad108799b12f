"""Several workers share one queue; what becomes of one is no matter to the others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from config.errors import ModelError, StageBroken
from daemon.progress import Progress
from daemon.protocol import Done
from daemon.scheduler import Scheduler
from daemon.supervisor import Death, Result, Supervisor
from daemon.worker_pool import REST_SECONDS, WorkerPool
from search.catalog import Catalog
from tests.daemon import strange_stage
from tests.daemon.clock import Clock
from tests.daemon.workers import QUICK, assignment, record, worker_setup
from tests.sample_photos import copy_photos, locate

STRANGE = (strange_stage.NAME,)

MakePool = Callable[..., WorkerPool]


@pytest.fixture
def make_pool(tmp_path: Path, clock: Clock) -> Iterator[MakePool]:
    made: list[WorkerPool] = []
    setup = worker_setup(tmp_path, decode_threads=1, network_threads=1)

    def make(*devices: str) -> WorkerPool:
        members = [
            Supervisor(msgspec.structs.replace(setup, device=device), stall_seconds=60, idle_seconds=60, clock=clock)
            for device in devices
        ]
        made.append(WorkerPool(members, clock=clock))
        return made[-1]

    yield make
    for pool in made:
        pool.stop()


def collect(pool: WorkerPool, count: int) -> tuple[list[Result], list[Death]]:
    """So many answers, and the deaths on the way."""
    results: list[Result] = []
    deaths: list[Death] = []
    deadline = time.monotonic() + 60
    while len(results) < count:
        assert time.monotonic() < deadline
        outcome = pool.receive(0.5)
        if isinstance(outcome, Death):
            deaths.append(outcome)
        else:
            results.extend(outcome)
    return results, deaths


def numbers(results: list[Result]) -> list[int]:
    return sorted(result.analysis.media_id for result in results if isinstance(result, Done))


def test_files_are_shared_evenly_and_a_single_one_starts_a_single_worker(make_pool: MakePool) -> None:
    pool = make_pool("cpu", "cpu")
    pool.send(assignment(locate("coffee.png"), 1))
    collect(pool, 1)
    [first] = pool.pids
    pool.send(assignment(locate("coffee.png"), 2))
    assert pool.pids == [first]  # the other one would have to be started
    collect(pool, 1)
    for number in range(3, 9):
        pool.send(assignment(locate("coffee.png"), number))
    assert len(pool.pids) == 2
    assert set(pool.in_flight) == set(range(3, 9))
    results, deaths = collect(pool, 6)
    assert (numbers(results), deaths) == ([3, 4, 5, 6, 7, 8], [])
    assert not pool.in_flight


def test_a_death_tells_of_its_own_files_and_the_others_go_on(make_pool: MakePool) -> None:
    pool = make_pool("cpu", "cpu")
    for number in (1, 2, 3, 4):
        pool.send(assignment(locate("coffee.png"), number))
    first, second = pool.pids
    os.kill(first, signal.SIGKILL)  # while it starts: it has not begun
    results, deaths = collect(pool, 2)
    assert numbers(results) == [2, 4]
    if not deaths:
        assert {1, 3} <= set(pool.in_flight)  # they are not lost before that has been told
        told = pool.receive(0.5)
        assert isinstance(told, Death)
        deaths.append(told)
    assert [(end.reason, end.begun, end.waiting) for end in deaths] == [("was killed by SIGKILL", (), (1, 3))]
    assert not pool.in_flight
    assert pool.pids == [second]
    for number in (1, 3):
        pool.send(assignment(locate("coffee.png"), number))
    assert len(pool.pids) == 2
    results, _ = collect(pool, 2)
    assert numbers(results) == [1, 3]


def test_a_library_is_analysed_by_two_workers_of_which_one_is_killed_midway(
    make_pool: MakePool, tmp_path: Path, clock: Clock
) -> None:
    copy_photos(tmp_path / "photos", "coffee.png", "chelsea.png", "rocket.jpg", "grass.png", "coins.png", "moon.png")
    catalog = Catalog(tmp_path / "library")
    for path in sorted((tmp_path / "photos").iterdir()):
        record(catalog, path, dict.fromkeys(QUICK, 1))
    pool = make_pool("cpu", "cpu")
    scheduler = Scheduler(catalog, pool, Progress(clock), look_ahead=2, stored=lambda: None, clock=clock)
    deadline = time.monotonic() + 60
    killed = False
    while catalog.has_work() or not scheduler.idle:
        assert time.monotonic() < deadline
        scheduler.step(0.2)
        if not killed and len(pool.pids) == 2:
            os.kill(pool.pids[1], signal.SIGKILL)
            killed = True
        if scheduler.idle:
            clock.ahead += 31
    counts = catalog.counts()
    assert (killed, counts.done, counts.problems) == (True, 6, 0)
    catalog.close()


def test_devices_are_named_together_where_a_stage_runs_on_several(
    make_pool: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    pool = make_pool("cuda:0", "cuda:1", "cuda:1")
    for number in (1, 2, 3):
        pool.send(assignment(locate("coffee.png"), number, STRANGE))
    results, _ = collect(pool, 3)
    seen = [result.analysis.tags[strange_stage.NAME][0].name for result in results if isinstance(result, Done)]
    assert sorted(seen) == ["seen on cuda:0", "seen on cuda:1", "seen on cuda:1"]
    report = pool.reports[strange_stage.NAME]
    assert (report.device, report.runtime, report.batch_size) == ("card cuda:0, 2 x card cuda:1", "Plain 1.0", 2)


def test_a_worker_that_cannot_work_is_left_out_for_a_while(
    make_pool: MakePool, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    pool = make_pool(strange_stage.CANNOT_BE_HAD, "cuda:1")
    for number in (1, 2):
        pool.send(assignment(locate("coffee.png"), number, STRANGE))
    deadline = time.monotonic() + 60
    results: list[Result] = []
    while pool.in_flight:
        assert time.monotonic() < deadline
        try:
            outcome = pool.receive(0.5)
        except StageBroken as error:
            assert (error.stage, pool.troubles) == (strange_stage.NAME, [])  # others may be able to do without it
            pool.rest(error)
            continue
        assert not isinstance(outcome, Death)
        results.extend(outcome)
    assert numbers(results) == [2]
    assert [error.title for error in pool.troubles] == ["There is no such card."]
    assert pool.capacity == 1
    for number in (1, 3):
        pool.send(assignment(locate("coffee.png"), number, STRANGE))
    results, _ = collect(pool, 2)
    assert numbers(results) == [1, 3]
    clock.ahead += REST_SECONDS + 1
    for number in (4, 5):
        pool.send(assignment(locate("coffee.png"), number, STRANGE))
    assert (pool.capacity, pool.troubles) == (2, [])


def test_when_no_worker_can_work_that_is_said(
    make_pool: MakePool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    pool = make_pool(strange_stage.CANNOT_BE_HAD, strange_stage.CANNOT_BE_HAD)
    for number in (1, 2):
        pool.send(assignment(locate("coffee.png"), number, STRANGE))
    with pytest.raises(StageBroken, match="There is no such card") as first:
        collect(pool, 1)
    pool.rest(first.value)
    with pytest.raises(StageBroken) as second:
        collect(pool, 1)
    assert pool.capacity == 1
    with pytest.raises(ModelError, match="There is no such card"):
        pool.rest(second.value)
    assert not pool.in_flight
