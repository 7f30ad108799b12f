"""The worker: a child process that decodes untrusted media and runs the networks, and nothing else.

It is started with the number of an inherited pipe and reads its orders from it. When the service closes the pipe (or
dies), the worker ends. All of its memory goes back to the system with it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

import cv2
import msgspec

from config.errors import DeviceFailed, ReverieError
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
from indexer.long_work import LongFiles
from indexer.media.container import VideoLimits
from indexer.media.files import FileIdentity
from indexer.media.frames import Strategy
from indexer.media.limits import Limits
from indexer.models.loading import load_stage
from indexer.models.resources import Resources, RunPolicy
from indexer.pipeline import Pipeline, Task
from indexer.records import Analysis, Failure, RuntimeReport
from indexer.seeing import Sampling
from indexer.stage import LoadedStage

logger = logging.getLogger(__name__)

TELL_SECONDS = 2.0
"""How often it is looked whether a network came to run in another way."""

QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Set before any library reads them."""


class _Link:
    """The worker's end of the pipe. Replies come from more than one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def receive(self) -> bytes:
        return self._connection.recv_bytes()

    def reply(self, message: Reply) -> None:
        frame = msgspec.msgpack.encode(message)
        try:
            with self._sending:
                self._connection.send_bytes(frame)
        except ConnectionError:
            os._exit(0)  # nobody reads any more


def main(descriptor: int) -> int:
    """Work until the pipe closes. Returns the exit status."""
    os.environ.update(QUIET)
    warnings.simplefilter("ignore")  # what libraries say to their programmers
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C, and the end of a terminal, go to the whole group:
        signal.signal(number, signal.SIG_IGN)  # whoever started us ends us in order
    _offer_to_the_oom_killer()
    cv2.setNumThreads(1)  # the decode threads are the parallelism; OpenCV's own would only get in their way
    link = _Link(Connection(descriptor))
    setup = msgspec.msgpack.decode(link.receive(), type=Setup)

    stages = _Stages(resources_of(setup), link.reply)
    threading.Thread(target=stages.keep_telling, name="tell", daemon=True).start()

    def deliver(result: Analysis | Failure) -> None:
        link.reply(Done(result) if isinstance(result, Analysis) else Refused(result))
        stages.report_changes()

    pipeline = Pipeline(
        load_stage=stages.load,
        thumbnails=Path(os.fsdecode(setup.thumbnails)),
        limits=Limits(max_pixels=setup.max_pixels, max_bytes=setup.max_bytes),
        decode_threads=setup.decode_threads,
        batch_size=setup.batch_size,
        max_wait=setup.max_wait,
        long_files=long_files_of(setup),
    )
    try:
        pipeline.run(
            _tasks(link, pipeline.cancel),
            began=lambda media_id: link.reply(Began(media_id)),
            deliver=deliver,
            tell=lambda media_id, share: link.reply(Working(media_id, share)),
        )
    except DeviceFailed as error:
        link.reply(Poisoned(error.title))
        return error.exit_status
    except ReverieError as error:
        link.reply(Broken.by(error))
        return error.exit_status
    return 0


class _Stages:
    """Loads stages, and tells the service what each runs on: at first, and when it comes to run in another way."""

    def __init__(self, resources: Resources, reply: Callable[[Reply], None]) -> None:
        self._resources = resources
        self._reply = reply
        self._loading = threading.Lock()
        self._told: list[tuple[LoadedStage, RuntimeReport | None]] = []

    def load(self, name: str) -> LoadedStage:
        """Raises as `load_stage` does."""
        with self._loading:
            self._reply(Preparing(name))
            report = None
            try:
                stage = load_stage(name, self._resources)
                report = stage.report
                self._told.append((stage, report))
            finally:
                self._reply(Equipped(report))
        return stage

    def keep_telling(self) -> None:
        """Tell of engines that are swapped while no photo comes, for as long as the process lives."""
        while True:
            time.sleep(TELL_SECONDS)
            self.report_changes()

    def report_changes(self) -> None:
        """An engine was swapped for a faster one, or a batch was halved."""
        if not self._loading.acquire(blocking=False):
            return  # `Equipped` would say that the loading is over; the next result comes soon
        try:
            for number, (stage, told) in enumerate(self._told):
                report = stage.report
                if report is not told and report != told:
                    self._told[number] = (stage, report)
                    self._reply(Equipped(report))
        finally:
            self._loading.release()


def resources_of(setup: Setup) -> Resources:
    """What the stages are loaded with."""
    return Resources(
        models=Path(os.fsdecode(setup.models)),
        model_cache=Path(os.fsdecode(setup.model_cache)),
        config_folders=tuple(Path(os.fsdecode(folder)) for folder in setup.config_folders),
        thumbnails=Path(os.fsdecode(setup.thumbnails)),
        threads=setup.network_threads,
        policy=RunPolicy(
            device=setup.device,
            batch_size=setup.batch_size,
            use_tensorrt=setup.use_tensorrt,
            tensorrt_precision=setup.tensorrt_precision,
            enable_amp=setup.enable_amp,
            cudnn_benchmark=setup.cudnn_benchmark,
            allow_tf32=setup.allow_tf32,
            memory_megabytes=setup.memory_megabytes,
            avoid=setup.avoid,
        ),
    )


def long_files_of(setup: Setup) -> LongFiles:
    """How videos and sounds are gone through."""
    strategy = Strategy(setup.extraction_strategy)
    return LongFiles(
        limits=VideoLimits(max_pixels=setup.max_video_pixels, max_seconds=setup.max_video_seconds),
        sampling=Sampling(strategy=strategy, fps=setup.extract_fps, threads=setup.decode_threads),
        notes=Path(os.fsdecode(setup.notes)),
    )


def _tasks(link: _Link, cancel: Callable[[int], None]) -> Iterator[Task]:
    while True:
        try:
            frame = link.receive()
        except (EOFError, ConnectionError):
            # The service has gone or wants us gone: what is in flight has no reader any more.
            os._exit(0)
        order: Assignment | Cancel = msgspec.msgpack.decode(frame, type=Order)
        if isinstance(order, Cancel):
            cancel(order.media_id)
            continue
        yield Task(
            media_id=order.media_id,
            content_hash=order.content_hash,
            path=os.fsdecode(order.path),
            identity=FileIdentity(size=order.size, mtime_ns=order.mtime_ns, inode=order.inode),
            sidecars=tuple(map(os.fsdecode, order.sidecars)),
            stages=order.stages,
            kind=order.kind,
            vectors=order.vectors,
        )


def _offer_to_the_oom_killer() -> None:
    """When memory runs out the kernel should take the worker, whose loss costs one batch, not the service."""
    try:
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    except OSError:
        logger.debug("cannot set oom_score_adj", exc_info=True)


def _own_stderr() -> TextIO:
    """Our messages keep going to standard error; what C libraries print about damaged files goes nowhere.

    Every such file is a problem with a reason of its own, so the noise tells nobody anything.
    """
    ours = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stderr.fileno())
    os.close(silence)
    sys.stderr = ours
    return ours


if __name__ == "__main__":
    stderr = _own_stderr()
    faulthandler.enable(stderr)  # where a crash happened, in the log
    logging.basicConfig(level=logging.INFO, format="worker: %(message)s", stream=stderr)
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # two lines for each minute of sound
    sys.exit(main(int(sys.argv[1])))
