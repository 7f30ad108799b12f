"""Every file is analysed or its problem is known, whatever becomes of the workers on the way."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from config.errors import ModelError
from daemon.scheduler import Scheduler
from daemon.supervisor import STILLBORN, Supervisor
from indexer.stages import STAGES
from tests.daemon import strange_stage
from tests.daemon.line import Line
from tests.sample_photos import copy_photos


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
    line.clock.stop()
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
