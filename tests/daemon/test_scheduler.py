"""Every file is analysed or its problem is known, whatever becomes of the workers on the way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from config.errors import ModelError
from daemon.identify import identity_of
from daemon.progress import Progress
from daemon.protocol import Assignment, Began, Done, Preparing, Reply, Setup
from daemon.scan import look
from daemon.scheduler import Scheduler
from daemon.supervisor import STILLBORN, Death, Result, Supervisor
from indexer.records import Analysis, Kind, MediaInfo, RuntimeReport, Stage
from indexer.stages import STAGES
from search.catalog import Catalog
from tests.daemon import strange_stage
from tests.daemon.clock import Clock
from tests.sample_photos import copy_photos
from tests.search.library import media

QUICK: dict[str, int] = {stage: STAGES[stage] for stage in (Stage.DESCRIBE, Stage.PIXELS)}
"""What needs no network."""

INFO = MediaInfo(kind=Kind.PHOTO, format="PNG", width=1, height=1)


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
        self.setup = Setup(
            thumbnails=os.fsencode(folder / "thumbnails"),
            models=b"/nowhere",
            model_cache=os.fsencode(model_cache),
            config_folders=(),
            decode_threads=2,
            network_threads=2,
            batch_size=2,
            max_wait=0.05,
            max_pixels=50_000_000,
            max_bytes=50_000_000,
            device="cpu",
            use_tensorrt=False,
            tensorrt_precision="fp16",
            enable_amp=False,
            cudnn_benchmark=False,
        )
        self.supervisor = Assassin(self.setup, stall_seconds=60, idle_seconds=60, clock=self.clock)
        self.progress = Progress(self.clock)
        self.scheduler = Scheduler(
            self.catalog, self.supervisor, self.progress, look_ahead=6, stored=self._count, clock=self.clock
        )

    def _count(self) -> None:
        self.stored += 1

    def add(self, *paths: Path, stages: dict[str, int] = QUICK) -> list[int]:
        """Have these files wait for analysis; returns their media."""
        for path in paths:
            stat = look(str(path))
            assert stat is not None
            self.catalog.record_files([stat])
            self.catalog.identify([(stat, *identity_of(stat))], stages)
        return [media(self.catalog, str(path)) for path in paths]

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


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path, tmp_path / "no-models")
    yield line
    line.scheduler.stop()
    line.catalog.close()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Eight photos; the fourth takes so long to decode that a kill always comes before its end."""
    names = ["coffee.png", "chelsea.png", "rocket.jpg", "grass.png", "coins.png", "moon.png", "horse.png"]
    copy_photos(tmp_path / "photos", *names)
    noise = np.random.default_rng(3).integers(0, 256, (2000, 3000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photos" / "slow.png", compress_level=1)
    paths = [tmp_path / "photos" / name for name in names]
    paths.insert(3, tmp_path / "photos" / "slow.png")
    return paths


def test_everything_that_waits_is_analysed_once(line: Line, photos: list[Path]) -> None:
    line.add(*photos)
    line.finish()
    assert line.catalog.counts().done == 8
    assert line.progress.pace().finished == 8
    assert line.stored > 0
    assert line.scheduler.idle


def test_a_worker_killed_by_chance_costs_nothing_but_time(line: Line, photos: list[Path]) -> None:
    numbers = line.add(*photos)
    line.supervisor.victims = frozenset({numbers[3]})
    line.step_until(lambda: line.supervisor.killed == 1)
    line.supervisor.victims = frozenset()
    line.finish()
    counts = line.catalog.counts()
    assert (counts.done, counts.problems, counts.running) == (8, 0, 0)


def test_a_file_that_always_kills_the_worker_is_given_up_and_all_others_are_analysed(
    line: Line, photos: list[Path]
) -> None:
    numbers = line.add(*photos)
    line.supervisor.victims = frozenset({numbers[3]})
    line.finish()
    assert line.states(numbers[3]) == {"quarantined"}
    assert line.catalog.counts().done == 7
    [problem] = line.catalog.problems()
    assert problem.path == str(photos[3])
    assert problem.title == "The analysis process was killed by SIGKILL on this file."
    assert "reverie retry" in problem.remedy
    assert problem.attempts == 3
    # Three attempts alone, and the first time, when another file was being decoded beside it.
    assert line.supervisor.killed in {3, 4}

    line.supervisor.victims = frozenset()
    assert line.catalog.retry_problems() == 1
    line.finish()
    assert line.states(numbers[3]) == {"done"}
    assert line.catalog.problems() == []


def test_a_file_on_which_the_worker_hangs_is_given_up_too(line: Line, photos: list[Path]) -> None:
    numbers = line.add(*photos[2:5])
    line.supervisor.victims = frozenset({numbers[1]})
    line.supervisor.weapon = signal.SIGSTOP

    def finished() -> bool:
        if line.supervisor.in_flight and line.supervisor.pid is not None and stopped(line.supervisor.pid):
            line.clock.ahead += 61
        elif line.scheduler.idle:
            line.clock.ahead += 31
        return line.scheduler.idle and not line.catalog.has_work()

    line.step_until(finished)
    [problem] = line.catalog.problems()
    assert problem.path == str(photos[3])
    assert "gave no answer for 60 seconds" in problem.title
    assert line.catalog.counts().done == 2


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


def test_two_files_that_kill_are_both_found_out(line: Line, photos: list[Path]) -> None:
    twin = photos[3].with_name("slow too.png")
    with Image.open(photos[3]) as image:
        image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(twin, compress_level=1)
    numbers = line.add(photos[3], twin, *photos[:2])
    line.supervisor.victims = frozenset(numbers[:2])
    line.finish()
    assert [line.states(number) for number in numbers] == [{"quarantined"}] * 2 + [{"done"}] * 2


def test_between_attempts_a_file_waits_and_others_go_ahead(line: Line, photos: list[Path]) -> None:
    numbers = line.add(photos[3])
    line.supervisor.victims = frozenset(numbers)
    line.step_until(lambda: line.supervisor.killed == 1 and line.scheduler.idle)
    others = line.add(photos[0])
    line.step_until(lambda: line.states(others[0]) == {"done"})
    assert line.supervisor.killed == 1
    assert line.states(numbers[0]) == {"pending"}
    line.clock.ahead += 5
    line.step_until(lambda: line.supervisor.killed == 2)


def test_without_a_model_jobs_wait_and_go_on_once_it_is_there(tmp_path: Path, model_cache: Path) -> None:
    copy_photos(tmp_path / "photos")
    cache = tmp_path / "models"
    cache.write_text("a file where the model cache should be", encoding="utf-8")
    line = Line(tmp_path, cache)
    line.add(*(tmp_path / "photos").iterdir(), stages=dict(STAGES))
    total = line.catalog.counts().pending
    for _ in range(3):
        with pytest.raises(ModelError):
            line.step_until(lambda: False)
    cache.unlink()
    cache.symlink_to(model_cache)
    line.finish()
    counts = line.catalog.counts()
    assert (counts.done, counts.problems) == (total, 0)
    line.scheduler.stop()
    line.catalog.close()


def test_a_worker_that_dies_at_every_start_is_reported_not_started_for_ever(
    tmp_path: Path, photos: list[Path], line: Line
) -> None:
    line.add(*photos[:2], stages=dict(STAGES))
    line.supervisor.kills_at_birth = True
    with pytest.raises(ModelError, match=r"killed by SIGKILL while it loaded the stage \"concepts\", 5 times"):
        line.step_until(lambda: False)
    assert line.supervisor.killed == STILLBORN
    line.scheduler.stop()
    counts = line.catalog.counts()
    assert (counts.pending, counts.running, counts.problems) == (2, 0, 0)


class ScriptedWorkers:
    """Workers that do what a test tells them, so that it can look between any two steps."""

    def __init__(self) -> None:
        self.in_flight: list[int] = []
        self.capacity = 1
        self.reports: dict[str, RuntimeReport] = {}
        self._answer: Result | Death | None = None

    def send(self, order: Assignment) -> None:
        self.in_flight.append(order.media_id)

    def receive(self, timeout: float) -> Sequence[Result] | Death:
        del timeout
        answer, self._answer = self._answer, None
        if isinstance(answer, Death):
            self.in_flight.clear()
            return answer
        if isinstance(answer, Done):
            self.in_flight.remove(answer.analysis.media_id)
            return [answer]
        return []

    def stop(self) -> None:
        self.in_flight.clear()

    def finish(self, media_id: int) -> None:
        """What is answered next."""
        self._answer = Done(Analysis(media_id=media_id, stages=QUICK, info=INFO))

    def die(self, *begun: int) -> None:
        """What is answered next."""
        self._answer = Death("was killed by SIGKILL", begun, tuple(set(self.in_flight) - set(begun)))


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


def test_a_device_that_fails_costs_no_file_an_attempt(
    line: Line, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    line.scheduler.stop()
    setup = msgspec.structs.replace(line.setup, device=strange_stage.FAILS_UNTIL_AVOIDED)
    supervisor = Supervisor(setup, stall_seconds=60, idle_seconds=60, clock=line.clock)
    line.scheduler = Scheduler(
        line.catalog, supervisor, line.progress, look_ahead=6, stored=lambda: None, clock=line.clock
    )
    numbers = line.add(*photos[:3], stages={strange_stage.NAME: 1})
    line.finish()
    assert [line.states(number) for number in numbers] == [{"done"}] * 3
    assert {job.attempts for row in line.catalog.photos(numbers) for job in row.jobs} == {0}
    assert line.progress.pace().failed == 0


def test_stopping_puts_back_what_was_being_done(line: Line, photos: list[Path]) -> None:
    line.add(*photos)
    line.scheduler.step(0)
    assert line.catalog.counts().running > 0
    line.scheduler.stop()
    counts = line.catalog.counts()
    assert (counts.running, counts.pending + counts.done) == (0, 8)
    line.finish()
    assert line.catalog.counts().done == 8


def test_a_file_that_changes_before_it_is_read_is_looked_at_again(line: Line, photos: list[Path]) -> None:
    [number] = line.add(photos[0])
    photos[0].write_bytes(photos[1].read_bytes())
    line.step_until(lambda: bool(line.catalog.unidentified(10)))
    assert line.states(number) == {"pending"}
    assert line.catalog.problems() == []
