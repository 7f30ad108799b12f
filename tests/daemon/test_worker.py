"""What the worker says, frame by frame, while its stages load, change their way of running, and fail."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from daemon.protocol import Began, Done, Equipped, Poisoned, Preparing, Reply
from tests.daemon.workers import assignment, worker_setup
from tests.sample_photos import locate

PROJECT = Path(__file__).resolve().parents[2]

WORKER = '''
import dataclasses, os, sys
import daemon.worker
from config.errors import DeviceFailed, StageFailed
from indexer.records import RuntimeReport, Tag
from indexer.stage import Findings

class Weary:
    """A stage whose batch is halved by the first photo, and whose device fails on the third."""

    name, revision, short_side, runs = "weary", 1, 32, 0
    report = RuntimeReport(stage="weary", model="m", device="GPU", runtime="r", precision="fp16", batch_size=8)

    def prepare(self, view):
        return None

    def analyse(self, batch):
        self.runs += 1
        if self.runs == 3:
            raise DeviceFailed("The device is gone.", "Nothing to do.")
        self.report = dataclasses.replace(self.report, batch_size=4)
        return [Findings(tags=(Tag(os.environ["HF_HUB_OFFLINE"], 1.0, "test"),)) for _ in batch]

def load(name, resources):
    assert (resources.policy.avoid, resources.policy.device) == (("bad",), "cpu"), resources
    if name == "broken":
        raise StageFailed("It cannot be loaded.", "Mend it.")
    return Weary()

daemon.worker.load_stage = load
sys.exit(daemon.worker.main(int(sys.argv[1])))
'''


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Connection]:
    """The service's end of a worker's pipe."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(theirs.fileno())], cwd=PROJECT, pass_fds=[theirs.fileno()]
        )
    connection = Connection(ours.detach())
    setup = worker_setup(tmp_path, batch_size=None, avoid=("bad",))
    connection.send_bytes(msgspec.msgpack.encode(setup))
    yield connection
    connection.close()
    process.wait(timeout=30)


def said(worker: Connection, count: int) -> list[Reply]:
    return [msgspec.msgpack.decode(worker.recv_bytes(), type=Reply) for _ in range(count)]


def test_it_tells_how_a_stage_runs_and_when_that_changes_and_that_the_device_failed(worker: Connection) -> None:
    for number in (1, 2, 3):
        worker.send_bytes(msgspec.msgpack.encode(assignment(locate("coffee.png"), number, ("weary",))))
        if number == 1:
            preparing, equipped, began, done, changed = said(worker, 5)
            assert isinstance(preparing, Preparing)
            assert isinstance(equipped, Equipped)
            assert equipped.report is not None
            assert equipped.report.batch_size == 8
            assert began == Began(1)
            assert isinstance(done, Done)
            [tag] = done.analysis.tags["weary"]
            assert tag.name == "1"  # no hub is asked for anything
            assert isinstance(changed, Equipped)
            assert changed.report is not None
            assert changed.report.batch_size == 4
        elif number == 2:
            began, done = said(worker, 2)
            assert began == Began(2)
            assert isinstance(done, Done)
        else:
            assert said(worker, 2) == [Began(3), Poisoned("The device is gone.")]
    with pytest.raises(EOFError):
        worker.recv_bytes()


def test_a_stage_that_cannot_be_loaded_ends_its_preparing_and_nothing_else(worker: Connection) -> None:
    worker.send_bytes(msgspec.msgpack.encode(assignment(locate("coffee.png"), 1, ("describe", "broken"))))
    preparing, equipped, began, done = said(worker, 4)
    assert isinstance(preparing, Preparing)
    assert equipped == Equipped(None)
    assert began == Began(1)
    assert isinstance(done, Done)
    assert list(done.analysis.stages) == ["describe"]
    assert [failure.title for failure in done.analysis.failed] == ["It cannot be loaded."]
