"""The worker process: it answers, it dies, it hangs, it rests; the service's side always learns what became of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from config.errors import CatalogError, ModelError, StageBroken
from daemon.protocol import Done, Refused
from daemon.supervisor import POISONINGS, STILLBORN, Death, Result, Supervisor
from indexer.records import Stage
from indexer.stages import STAGES
from tests.daemon import strange_stage
from tests.daemon.clock import Clock
from tests.daemon.workers import QUICK, assignment, suspend, worker_setup
from tests.sample_photos import copy_photos, locate

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_supervisor(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(model_cache: Path = tmp_path / "no-models", device: str = "cpu") -> Supervisor:
        setup = worker_setup(tmp_path, model_cache, batch_size=4, device=device)
        made.append(Supervisor(setup, stall_seconds=60, idle_seconds=30, clock=clock))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


@pytest.fixture
def supervisor(make_supervisor: Callable[..., Supervisor]) -> Supervisor:
    return make_supervisor()


def receive(supervisor: Supervisor, count: int = 1) -> list[Result]:
    """So many answers, or fail."""
    results: list[Result] = []
    deadline = time.monotonic() + 60
    while len(results) < count:
        assert time.monotonic() < deadline
        outcome = supervisor.receive(0.5)
        assert not isinstance(outcome, Death), outcome
        results.extend(outcome)
    return results


def death(supervisor: Supervisor) -> Death:
    """The worker's end, or fail."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        outcome = supervisor.receive(0.5)
        if isinstance(outcome, Death):
            return outcome
    raise AssertionError("the worker lives")


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_starts_a_worker_with_the_first_file_and_gives_back_what_it_says(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    assert supervisor.pid is None
    supervisor.send(assignment(locate("coffee.png"), media_id=7))
    assert supervisor.pid is not None
    assert list(supervisor.in_flight) == [7]
    [result] = receive(supervisor)
    assert isinstance(result, Done)
    assert result.analysis.media_id == 7
    assert result.analysis.stages == {stage: STAGES[stage] for stage in QUICK}
    assert result.analysis.info is not None
    assert (result.analysis.info.width, result.analysis.info.height) == (600, 400)
    assert not supervisor.in_flight
    assert [path.stem for path in (tmp_path / "thumbnails").rglob("*.jpg")] == [f"{7:064x}"]


def test_a_name_that_is_not_text_reaches_the_worker_as_it_is(supervisor: Supervisor, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(locate("coffee.png").read_bytes())
    supervisor.send(assignment(path))
    [result] = receive(supervisor)
    assert isinstance(result, Done)


def test_a_bad_file_is_refused_and_the_worker_goes_on(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(5000))
    supervisor.send(assignment(tmp_path / "bad.jpg", media_id=1))
    supervisor.send(assignment(locate("coffee.png"), media_id=2))
    pid = supervisor.pid
    results = receive(supervisor, 2)
    [refused] = [result.failure for result in results if isinstance(result, Refused)]
    assert refused.media_id == 1
    assert refused.permanent
    assert supervisor.pid == pid


def test_a_file_that_changed_since_it_was_seen_is_not_analysed(supervisor: Supervisor, tmp_path: Path) -> None:
    copy_photos(tmp_path, "coffee.png")
    order = assignment(tmp_path / "coffee.png")
    (tmp_path / "coffee.png").write_bytes(locate("chelsea.png").read_bytes())
    supervisor.send(order)
    [result] = receive(supervisor)
    assert isinstance(result, Refused)
    assert result.failure.vanished


def test_a_killed_worker_is_noticed_with_what_it_had_begun_and_the_next_file_gets_a_new_one(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.send(assignment(locate("coffee.png"), media_id=1))
    receive(supervisor)
    assert supervisor.pid is not None
    suspend(supervisor.pid)  # so that it cannot begin before it dies
    supervisor.send(assignment(locate("chelsea.png"), media_id=2))
    os.kill(supervisor.pid, signal.SIGKILL)
    end = death(supervisor)
    assert end.reason == "was killed by SIGKILL"
    assert (end.begun, end.waiting) == ((), (2,))
    assert supervisor.pid is None
    assert not supervisor.in_flight
    supervisor.send(assignment(locate("chelsea.png"), media_id=2))
    [result] = receive(supervisor)
    assert isinstance(result, Done)


def test_a_worker_that_hangs_is_killed(supervisor: Supervisor, clock: Clock) -> None:
    supervisor.send(assignment(locate("coffee.png"), media_id=1))
    receive(supervisor)
    pid = supervisor.pid
    assert pid is not None
    suspend(pid)
    supervisor.send(assignment(locate("chelsea.png"), media_id=2))
    clock.ahead += 59
    assert supervisor.receive(0.1) == []
    clock.ahead += 2
    end = death(supervisor)
    assert end.reason == "gave no answer for 60 seconds"
    assert end.waiting == (2,)
    assert not alive(pid)


def test_a_worker_without_work_is_ended_and_comes_back_with_the_next_file(supervisor: Supervisor, clock: Clock) -> None:
    supervisor.send(assignment(locate("coffee.png")))
    receive(supervisor)
    pid = supervisor.pid
    assert pid is not None
    assert supervisor.receive(0.1) == []
    assert supervisor.pid == pid
    clock.ahead += 31
    assert supervisor.receive(0.1) == []
    assert supervisor.pid is None
    assert not alive(pid)
    supervisor.send(assignment(locate("coffee.png")))
    receive(supervisor)


def test_a_stopped_worker_leaves_nothing_behind(supervisor: Supervisor) -> None:
    supervisor.send(assignment(locate("coffee.png")))
    pid = supervisor.pid
    assert pid is not None
    supervisor.stop()
    assert not alive(pid)
    assert supervisor.receive(0) == []


def test_when_memory_is_short_the_kernel_takes_the_worker_first(supervisor: Supervisor) -> None:
    supervisor.send(assignment(locate("coffee.png")))
    receive(supervisor)
    assert int(Path(f"/proc/{supervisor.pid}/oom_score_adj").read_text(encoding="ascii")) >= 500


def test_the_worker_ends_with_the_service_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from daemon.supervisor import Supervisor\n"
        "from tests.daemon.test_supervisor import assignment, locate, receive\n"
        "from tests.daemon.workers import worker_setup\n"
        "setup = worker_setup(Path(sys.argv[1]))\n"
        "supervisor = Supervisor(setup, stall_seconds=60, idle_seconds=60, clock=time.monotonic)\n"
        "supervisor.send(assignment(locate('coffee.png')))\n"
        "receive(supervisor)\n"
        "print(supervisor.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    finished = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    pid = int(finished.stdout)
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_that_cannot_have_its_model_says_so(
    make_supervisor: Callable[..., Supervisor], tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the model cache should be", encoding="utf-8")
    supervisor = make_supervisor(blocked)
    supervisor.send(assignment(locate("coffee.png"), stages=(*QUICK, Stage.CONCEPTS)))
    with pytest.raises(StageBroken) as caught:
        receive(supervisor)
    assert caught.value.stage == Stage.CONCEPTS
    assert str(blocked) in str(caught.value)
    assert supervisor.pid is None


def test_a_worker_whose_disk_is_full_says_that_it_is_the_disk(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("a file where the folder should be", encoding="utf-8")
    supervisor.send(assignment(locate("coffee.png")))
    with pytest.raises(CatalogError, match="Thumbnails cannot be written"):
        receive(supervisor)
    assert supervisor.pid is None


def test_a_stage_that_kills_every_worker_that_loads_it_is_named(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    with (tmp_path / "strange" / "sitecustomize.py").open("a", encoding="utf-8") as source:
        source.write("import os, signal, time\n")
        source.write("def load(name, resources):\n    time.sleep(0.2)\n    os.kill(os.getpid(), signal.SIGKILL)\n")
        source.write("indexer.models.loading.load_stage = load\n")
    for attempt in range(STILLBORN):
        # Beside it a file that is begun: it must be neither blamed nor taken for the proof that workers do live.
        supervisor.send(assignment(locate("coffee.png"), media_id=1, stages=(strange_stage.NAME,)))
        supervisor.send(assignment(locate("coffee.png"), media_id=2))
        if attempt < STILLBORN - 1:
            end = death(supervisor)
            assert (end.loading, end.reason) == (strange_stage.NAME, "was killed by SIGKILL")
    with pytest.raises(StageBroken, match="SIGKILL while it loaded") as caught:
        death(supervisor)
    assert caught.value.stage == strange_stage.NAME


def test_more_orders_than_a_hanging_worker_can_be_sent_do_not_make_the_service_hang(
    supervisor: Supervisor, clock: Clock, tmp_path: Path
) -> None:
    supervisor.send(assignment(locate("coffee.png"), media_id=1))
    receive(supervisor)
    assert supervisor.pid is not None
    os.kill(supervisor.pid, signal.SIGSTOP)
    deep = tmp_path / ("x" * 200) / ("y" * 200)
    copy_photos(deep, "coffee.png")
    order = assignment(deep / "coffee.png")
    numbers = range(2, 1500)
    for number in numbers:  # a megabyte, of which a pipe takes a fifth
        supervisor.send(msgspec.structs.replace(order, media_id=number))
    assert supervisor.receive(0) == []
    clock.ahead += 61
    end = death(supervisor)
    assert end.waiting == tuple(numbers)
    # The next worker takes a while to start: what its pipe does not take at once follows.
    (deep / "coffee.png").unlink()
    for number in numbers:
        supervisor.send(msgspec.structs.replace(order, media_id=number))
    assert len(receive(supervisor, len(numbers))) == len(numbers)


def test_when_the_device_fails_no_file_is_suspected_and_in_the_end_it_is_done_another_way(
    make_supervisor: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    supervisor = make_supervisor(device=strange_stage.FAILS_UNTIL_AVOIDED)
    pids = set()
    for _ in range(POISONINGS):
        for number in (1, 2):
            supervisor.send(assignment(locate("coffee.png"), number, (strange_stage.NAME,)))
        pids.add(supervisor.pid)
        end = death(supervisor)
        assert (end.reason, end.begun, set(end.waiting)) == ("The card has failed.", (), {1, 2})
        assert not supervisor.in_flight
    assert len(pids) == POISONINGS
    supervisor.send(assignment(locate("coffee.png"), 1, (strange_stage.NAME,)))
    [result] = receive(supervisor)
    assert isinstance(result, Done)
    [tag] = result.analysis.tags[strange_stage.NAME]
    assert tag.name == f"seen on {strange_stage.FAILS_UNTIL_AVOIDED}"
    assert supervisor.reports[strange_stage.NAME].runtime == "Plain 1.0"


def test_a_device_that_fails_whatever_runs_on_it_is_reported(
    make_supervisor: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange_stage.plant(tmp_path / "strange", monkeypatch)
    supervisor = make_supervisor(device=strange_stage.ALWAYS_FAILS)

    def fail() -> None:
        supervisor.send(assignment(locate("coffee.png"), stages=(strange_stage.NAME,)))
        death(supervisor)

    for _ in range(2 * POISONINGS - 1):
        fail()
    with pytest.raises(ModelError, match=r"The card has failed\. It happened 3 times in a row") as caught:
        fail()
    assert "analysis.ml_models.device: cpu" in caught.value.remedy
    assert not supervisor.in_flight
