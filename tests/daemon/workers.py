"""What the service tells its workers, for tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from daemon.identify import identity_of
from daemon.protocol import Assignment, Done, Refused, Setup
from daemon.scan import look
from daemon.supervisor import Death, Result
from indexer.records import Analysis, Failure, Kind, MediaInfo, RuntimeReport, Stage
from indexer.stages import STAGES
from search.catalog import Catalog
from tests.search.library import media

QUICK: dict[str, int] = {stage: STAGES[stage] for stage in (Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS)}
"""What needs no network: the worker answers within a second of its start."""

INFO = MediaInfo(kind=Kind.PHOTO, format="PNG", width=1, height=1)


class ScriptedWorkers:
    """Workers that do what a test tells them, so that it can look between any two steps."""

    def __init__(self) -> None:
        self.in_flight: list[int] = []
        self.cancelled: list[int] = []
        self.capacity = 1
        self.reports: dict[str, RuntimeReport] = {}
        self.shares: dict[int, float] = {}
        self._answer: Result | Death | None = None

    def send(self, order: Assignment) -> None:
        self.in_flight.append(order.media_id)

    def cancel(self, media_id: int) -> None:
        self.cancelled.append(media_id)

    def receive(self, timeout: float) -> Sequence[Result] | Death:
        del timeout
        answer, self._answer = self._answer, None
        if isinstance(answer, Death):
            self.in_flight.clear()
            return answer
        if answer is None:
            return []
        self.in_flight.remove(answer.analysis.media_id if isinstance(answer, Done) else answer.failure.media_id)
        return [answer]

    def stop(self) -> None:
        self.in_flight.clear()

    def finish(self, media_id: int) -> None:
        """What is answered next."""
        self._answer = Done(Analysis(media_id=media_id, stages=QUICK, info=INFO))

    def refuse(self, media_id: int, *, permanent: bool) -> None:
        """What is answered next."""
        failure = Failure(media_id=media_id, stages=tuple(QUICK), title="No.", remedy="", permanent=permanent)
        self._answer = Refused(failure)

    def die(self, *begun: int) -> None:
        """What is answered next."""
        waiting = tuple(set(self.in_flight) - set(begun))
        self._answer = Death("was killed by SIGKILL", begun, waiting, shares=dict(self.shares))


def worker_setup(folder: Path, model_cache: Path = Path("/nowhere"), **changes: Any) -> Setup:
    """For a worker on the processor that keeps its thumbnails in `folder`."""
    setup = Setup(
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
        notes=os.fsencode(folder / "notes"),
        extraction_strategy="adaptive",
        extract_fps=2.0,
        max_video_seconds=3600,
        max_video_pixels=10**8,
        device="cpu",
        use_tensorrt=False,
        tensorrt_precision="fp16",
        enable_amp=False,
        cudnn_benchmark=False,
    )
    return msgspec.structs.replace(setup, **changes)


def record(catalog: Catalog, path: Path, stages: dict[str, int]) -> int:
    """Have this file wait for analysis; returns its media."""
    stat = look(str(path))
    assert stat is not None
    catalog.record_files([stat])
    found = identity_of(stat)
    catalog.identify([(stat, found.digest, found.kind)], stages)
    return media(catalog, str(path))


def assignment(path: Path, media_id: int = 1, stages: Iterable[str] = QUICK) -> Assignment:
    status = path.stat()
    return Assignment(
        media_id=media_id,
        content_hash=f"{media_id:064x}",
        path=os.fsencode(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        sidecars=(),
        stages=tuple(stages),
    )


def suspend(pid: int) -> None:
    """Stop a process, and wait until all of its threads stand still."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while any(_state(task / "stat") != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _state(stat: Path) -> str:
    return stat.read_text(encoding="ascii").rpartition(")")[2].split()[0]
