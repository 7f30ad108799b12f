"""The service's side of the worker process: start it, feed it, notice when it dies or hangs, let it go when idle."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from config.errors import ModelError, StageBroken
from daemon.protocol import (
    Assignment,
    Began,
    Broken,
    Cancel,
    Done,
    Equipped,
    Order,
    Poisoned,
    Preparing,
    Refused,
    Reply,
    Setup,
    Working,
)
from indexer.records import Kind, RuntimeReport
from indexer.runtime.devices import CUDA_MEMORY, PCI_ORDER

logger = logging.getLogger(__name__)

Result = Done | Refused

STILLBORN = 5
"""So many workers in a row that die before they begin on any file are no accident of one file or of the kernel."""

POISONINGS = 3
"""So many workers in a row whose device failed before they had finished any file: what they ran on it is to blame."""

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""glibc would give the pages of every decoded picture back, and fault them in again for the next one: for a stage of
array arithmetic that costs several times the arithmetic. What the worker keeps goes when it goes (mallopt(3))."""

PREPARE_SECONDS = 1800.0
"""How long a worker may take to load, or first build, its network; on two cores a build takes under a minute."""


BUILD_SECONDS = 7200.0
"""An idle worker that builds an engine is let go after so long all the same: the build would start anew next time."""


@dataclass(frozen=True, slots=True)
class Death:
    """The worker ended while it had work."""

    reason: str
    """What a person reads: "was killed by signal SIGSEGV"."""
    begun: tuple[int, ...]
    """Media ids it had begun and did not answer for: one of them may have done it."""
    waiting: tuple[int, ...]
    """Media ids it had not begun."""
    loading: str | None = None
    """The stage that it was loading, which may have done it as well."""
    shares: dict[int, float] = field(default_factory=dict)
    """How far long files were that it had begun, 0 to 1, by media id."""


class Supervisor:
    """One worker process at a time, started when there is work.

    Not thread-safe: one thread drives it.

    Args:
        setup: what a new worker is told.
        stall_seconds: a worker with work that answers nothing for so long is killed.
        idle_seconds: a worker without work for so long is ended, so that its memory and the device come back.
        clock: monotonic seconds.
    """

    def __init__(self, setup: Setup, *, stall_seconds: float, idle_seconds: float, clock: Callable[[], float]) -> None:
        self._setup = setup
        self._stall_seconds = stall_seconds
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._outbox: deque[bytes] = deque()
        self._in_flight: dict[int, bool] = {}  # media id -> whether the worker has begun on it
        self._long: set[int] = set()  # those in flight that take minutes, which have a lane of their own in the worker
        self._overdue: bool | None = None  # the lane that said nothing for too long while the other one did
        self._preparing: str | None = None
        self._fell_loading: list[str] = []  # the stage that the last workers died of, once for each
        self._last_sign = {False: 0.0, True: 0.0}  # of the lane of photos, and of that of long files
        self._stillborn = 0
        self._poison: str | None = None
        self._poisonings = 0
        self.reports: dict[str, RuntimeReport] = {}
        """How each stage runs, as the last worker reported it."""
        self.shares: dict[int, float] = {}
        """How far each long file in flight is, 0 to 1, by media id."""

    @property
    def in_flight(self) -> Collection[int]:
        """Media ids of the files that the worker has and has not answered for."""
        return self._in_flight.keys()

    @property
    def long(self) -> Collection[int]:
        """Those of them that are videos or sounds."""
        return self._long

    @property
    def capacity(self) -> int:
        """One worker."""
        return 1

    @property
    def pid(self) -> int | None:
        """The worker's process id, None when there is none."""
        return None if self._process is None else self._process.pid

    @property
    def connection(self) -> Connection | None:
        """Where the worker's answers arrive, to wait for those of several at once."""
        return self._connection

    def send(self, assignment: Assignment) -> None:
        """Give the worker a file; start a worker if there is none.

        A worker that died meanwhile is noticed by the next `receive`, with this file among those in flight.
        """
        if self._connection is None:
            self._start()
        long = assignment.kind != Kind.PHOTO
        if not self._lane(long=long):
            self._last_sign[long] = self._clock()
        self._in_flight[assignment.media_id] = False
        if long:
            self._long.add(assignment.media_id)
        self._write(assignment)

    def cancel(self, media_id: int) -> None:
        """Have the worker break a long file off, if it has it: it is refused soon as vanished."""
        if media_id in self._long:
            self._write(Cancel(media_id))

    def receive(self, timeout: float) -> Sequence[Result] | Death:
        """Everything the worker has answered; waits up to `timeout` seconds for the first answer.

        Raises:
            ModelError: the worker cannot work at all (weights missing or altered, or it dies at every start);
                StageBroken if that is because of one stage.
            CatalogError: what the worker writes cannot be written.
        """
        results: list[Result] = []
        if self._overdue is not None and self._overdue == self._silent_lane():
            return self._kill_silent(long=self._overdue)  # the other lane may have something to say at every call
        self._flush()
        while self._connection is not None:
            if self._poison is not None:
                if results:
                    break
                return self._bury_poisoned(self._poison)
            try:
                if not self._connection.poll(0 if results else timeout):
                    break
                reply = msgspec.msgpack.decode(self._connection.recv_bytes(), type=Reply)
            except (EOFError, ConnectionError):
                if results:
                    break  # deliver these first; the next call meets the same end
                return self._bury(self._reap())
            except msgspec.MsgspecError:
                return self._kill("answered with something that is not an answer")
            self._note_sign(reply)
            self._take(reply, results)
            self._flush()
        self._overdue = self._silent_lane()
        if self._overdue is not None and not results:
            return self._kill_silent(long=self._overdue)
        silent = self._clock() - max(self._last_sign.values())
        building = any(report.building for report in self.reports.values()) and silent < BUILD_SECONDS
        if not self._in_flight and self._process is not None and silent > self._idle_seconds and not building:
            logger.info("no work for %.0f s: ending the worker", self._idle_seconds)
            self.stop()
        return results

    def _lane(self, *, long: bool) -> Collection[int]:
        return self._long if long else self._in_flight.keys() - self._long

    @property
    def _patience(self) -> float:
        return max(self._stall_seconds, PREPARE_SECONDS if self._preparing else 0.0)

    def _silent_lane(self) -> bool | None:
        """The lane that has work and says nothing for too long: True is that of the long files; None: all is well."""
        for long, sign in self._last_sign.items():
            if self._lane(long=long) and self._clock() - sign > self._patience:
                return long
        return None

    def _kill_silent(self, *, long: bool) -> Death:
        return self._kill(f"gave no answer for {self._patience:.0f} seconds", self._lane(long=long))

    def _note_sign(self, reply: Reply) -> None:
        """What is said of a file shows that its lane is alive: the other may hang all the same."""
        match reply:
            case Began(media_id=media_id) | Working(media_id=media_id):
                lanes: tuple[bool, ...] = (media_id in self._long,)
            case Done(analysis=analysis):
                lanes = (analysis.media_id in self._long,)
            case Refused(failure=failure):
                lanes = (failure.media_id in self._long,)
            case _:
                lanes = (False, True)
        for long in lanes:
            self._last_sign[long] = self._clock()

    def _take(self, reply: Reply, results: list[Result]) -> None:
        match reply:
            case Preparing(stage=stage):
                self._preparing = stage
            case Equipped(report=report):
                if self._preparing in self._fell_loading:
                    self._fell_loading.clear()
                self._preparing = None
                if report is not None:
                    self.reports[report.stage] = report
            case Began(media_id=media_id) if media_id in self._in_flight:
                self._in_flight[media_id] = True
                self._stillborn = 0
            case Working(media_id=media_id, share=share) if media_id in self._in_flight:
                self.shares[media_id] = share
            case Poisoned(title=title):
                self._poison = title
            case Broken():
                self.stop()
                raise reply.error()
            case Done(analysis=analysis):
                self._forget(analysis.media_id)
                self._poisonings = 0
                results.append(reply)
            case Refused(failure=failure):
                self._forget(failure.media_id)
                results.append(reply)

    def _forget(self, media_id: int) -> None:
        self._in_flight.pop(media_id, None)
        self._long.discard(media_id)
        self.shares.pop(media_id, None)

    def stop(self) -> None:
        """End the worker and wait for it. Work in flight is forgotten here; its jobs are still in the catalog."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._outbox.clear()
        self._in_flight.clear()
        self._long.clear()
        self.shares.clear()
        self._overdue = None
        self._preparing = None
        self._poison = None
        if self._process is not None:
            try:
                self._process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: never import from the working directory, which may be a folder of untrusted media.
            # The package's own folder is put on the path instead, as it is for us.
            # What else is on the search path stays there, for plug-ins, unless it depends on the working directory.
            here = str(Path(__file__).resolve().parent.parent)
            others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(entry)]
            environment = (
                PCI_ORDER | CUDA_MEMORY | os.environ | {"PYTHONPATH": os.pathsep.join([here, *others])} | KEEP_MEMORY
            )
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "daemon.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._connection = Connection(ours.detach())
        self._last_sign = dict.fromkeys(self._last_sign, self._clock())
        logger.info("worker %d started", self._process.pid)
        self._write(self._setup)

    def _write(self, frame: Setup | Order) -> None:
        self._outbox.append(msgspec.msgpack.encode(frame))
        self._flush()

    def _flush(self) -> None:
        """Send as many orders as the pipe takes. A worker that hangs does not read, and must not make us hang.

        The kernel calls a unix socket writable while three quarters of its buffer are free (`unix_writable`): an order,
        of a few kilobytes, then goes in whole.
        """
        if self._connection is None or not self._outbox:
            return
        pipe = select.poll()
        pipe.register(self._connection, select.POLLOUT)
        try:
            while self._outbox and pipe.poll(0):
                self._connection.send_bytes(self._outbox[0])
                self._outbox.popleft()
        except ConnectionError:
            self._outbox.clear()
            logger.debug("the worker has gone; receive() will say so")

    def _kill(self, reason: str, lane: Collection[int] | None = None) -> Death:
        """End the worker; `lane`: the only files that may be to blame."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        return self._bury(reason, lane)

    def _reap(self) -> str:
        """Why a worker that closed its pipe ended."""
        if self._process is None:
            return "ended"
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"

    def _bury_poisoned(self, title: str) -> Death:
        """The device failed, which a new process recovers from: no file is suspected."""
        death = Death(title, begun=(), waiting=tuple(self._in_flight))
        self._poisonings += 1
        logger.warning("the worker ends as its device failed, %d in a row: %s", self._poisonings, title)
        if self._process is not None:
            self._process.kill()  # it may hang in the driver
        self.stop()
        if self._poisonings >= POISONINGS:
            self._poisonings = 0
            self._avoid(title)
        return death

    def _avoid(self, title: str) -> None:
        """Have the next worker do without what the last one ran on the device."""
        used = {f"{report.runtime} {report.precision}" for report in self.reports.values() if report.device != "CPU"}
        avoid = sorted(used - set(self._setup.avoid))
        self.reports = {}
        if not avoid:
            raise ModelError(
                f"{title} It happened {POISONINGS} times in a row.",
                "The kernel's log (journalctl -k) may say why; analysis.ml_models.device: cpu does without the GPU.",
            )
        logger.warning("the device failed %d times in a row: the worker does without %s", POISONINGS, avoid)
        self._setup = msgspec.structs.replace(self._setup, avoid=(*self._setup.avoid, *avoid))

    def _bury(self, reason: str, lane: Collection[int] | None = None) -> Death:
        begun = tuple(
            media_id
            for media_id, has_begun in self._in_flight.items()
            if has_begun and (lane is None or media_id in lane)
        )
        waiting = tuple(media_id for media_id in self._in_flight if media_id not in begun)
        logger.warning("the worker %s; it had begun %d files, and %d waited", reason, len(begun), len(waiting))
        loading = self._preparing
        death = Death(reason, begun, waiting, loading, dict(self.shares))
        self.stop()
        if loading is not None:
            self._fell_loading = [*(self._fell_loading if loading in self._fell_loading else ()), loading]
        if loading is not None and len(self._fell_loading) >= STILLBORN:
            self._fell_loading.clear()
            self._stillborn = 0
            raise StageBroken(
                loading,
                f'The analysis process {reason} while it loaded the stage "{loading}", {STILLBORN} times in a row.',
                "Memory may be short, or a library does not suit this processor: `reverie doctor` looks at both.",
            )
        self._stillborn += not begun
        if self._stillborn >= STILLBORN:
            self._stillborn = 0
            raise ModelError(
                f"The analysis process {reason} before it began on any file, {STILLBORN} times in a row.",
                "Memory may be short, or a library does not suit this processor: `reverie doctor` looks at both.",
            )
        return death
