"""The line from a path that was seen to a result that is stored, without the watching and without the socket.

`reverie index` drives one of these to its end; the service drives one for as long as it lives.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection

from config.paths import thumbnail_path
from config.settings import Settings
from daemon.answers import Answers
from daemon.identify import Identifier
from daemon.intake import Intake
from daemon.progress import Pace, Progress
from daemon.protocol import Setup
from daemon.scheduler import Scheduler
from daemon.supervisor import Supervisor
from indexer.stages import STAGES
from indexer.models.resources import RunPolicy
from search.catalog import Catalog
from search.messages import ProgressMessage

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.25
"""How long one step waits for the worker, at most: a stop request is noticed within it."""

REPORT_SECONDS = 0.5
"""How often progress is reported: counting costs a few queries."""

SNAPSHOT_SECONDS = 300.0
"""How often the vector index is written while it changes. What a kill loses of it is read from the catalog again."""


class Indexing:
    """Settle, identify, analyse and store. Open a library with it only while holding its lock.

    `step` is driven by one thread. `intake` may be driven by another.
    """

    def __init__(self, settings: Settings) -> None:
        paths, processing, policy = settings.paths, settings.processing, RunPolicy()
        self.catalog = Catalog(paths.library)
        self.catalog.release_running()
        self.catalog.ensure_jobs(STAGES)
        self.answers = Answers(paths, self.catalog)
        self.answers.authored.mirror_into(self.catalog)
        self.progress = Progress(time.monotonic)
        self._wake = threading.Event()
        self.intake = Intake(self.catalog, settings.watch, recorded=self.wake)
        self.supervisor = Supervisor(
            Setup(
                thumbnails=os.fsencode(paths.thumbnails),
                models=os.fsencode(paths.models),
                model_cache=os.fsencode(paths.model_cache),
                config_folders=tuple(map(os.fsencode, paths.config_folders)),
                decode_threads=processing.workers,
                network_threads=processing.workers,
                batch_size=settings.analysis.ml_models.batch_size,
                max_wait=processing.max_wait_seconds,
                max_pixels=processing.max_megapixels * 1_000_000,
                max_bytes=processing.max_file_megabytes * 1_000_000,
                device=policy.device,
                use_tensorrt=policy.use_tensorrt,
                tensorrt_precision=policy.tensorrt_precision,
                enable_amp=policy.enable_amp,
                cudnn_benchmark=policy.cudnn_benchmark,
            ),
            stall_seconds=processing.stall_seconds,
            idle_seconds=processing.idle_seconds,
            clock=time.monotonic,
        )
        self._identifier = Identifier(
            self.catalog,
            threads=processing.workers,
            look_again=self.intake.look_again,
            identified=self._identified,
            refused=lambda: self.progress.finished([], failed=1),
        )
        self._scheduler = Scheduler(
            self.catalog,
            self.supervisor,
            self.progress,
            look_ahead=2 * settings.analysis.ml_models.batch_size + processing.workers,
            stored=self.answers.index.refresh,
            clock=time.monotonic,
        )
        self._thumbnails = paths.thumbnails
        self._forget_seconds = settings.watch.forget_after_days * 86400
        self._snapshot_due = time.monotonic() + SNAPSHOT_SECONDS

    def step(self) -> bool:
        """One turn of the line. True while there is work that moves.

        Raises:
            ModelError: no worker can run on this machine. Identification goes on being possible.
        """
        identifying = self._identifier.step()
        moved = self._scheduler.step(WAIT_SECONDS if self.supervisor.in_flight else 0.0)
        if identifying and not moved and not self.supervisor.in_flight:
            self._identifier.wait(WAIT_SECONDS)  # a slow disk: asking again and again would only take its processor
        if time.monotonic() > self._snapshot_due:
            self._snapshot_due = time.monotonic() + SNAPSHOT_SECONDS
            self.answers.index.save()
        return identifying or moved or not self._scheduler.idle

    def wait(self, seconds: float) -> None:
        """Sleep until there is something new to work on, or for so long, or until `wake` is called."""
        self._wake.wait(seconds)
        self._wake.clear()

    def wake(self) -> None:
        """End the sleep of another thread in `wait`."""
        self._wake.set()

    def run(self, report: Callable[[ProgressMessage], None], stop: Callable[[], bool]) -> None:
        """Drive to the end of the work that can be done now, reporting as it goes. Raises as `step` does."""
        report_due = 0.0
        while not stop():
            wait = self.intake.settle()
            busy = self.step()
            if time.monotonic() >= report_due:
                report(self.report("indexing"))
                report_due = time.monotonic() + REPORT_SECONDS
            if busy:
                continue
            if wait is None and not self.catalog.has_work():
                break
            time.sleep(min(wait or WAIT_SECONDS, WAIT_SECONDS))  # files are settling, or wait for another attempt
        report(self.report("done"))

    def report(self, state: str, since: Pace | None = None) -> ProgressMessage:
        """How far the work is, counted from the start or from an earlier reading of the pace."""
        # Read in the order in which a file passes through them, so that none is missed on its way.
        settling = self.intake.settling
        counts = self.catalog.counts()
        waiting = max(counts.unidentified + counts.pending + counts.running, self._scheduler.in_hand)
        pace = self.progress.pace()
        failed = pace.failed - (since.failed if since else 0)
        done = failed + pace.finished - (since.finished if since else 0)
        return {
            "state": state,
            "done": done,
            "total": done + waiting + settling,
            "failed": failed,
            "photos_per_second": round(pace.photos_per_second, 2),
            "eta_seconds": round(waiting / pace.photos_per_second, 1) if pace.photos_per_second else None,
        }

    def forget(self) -> None:
        """Drop what is known about files that have been missing for longer than the settings say."""
        for digest in self.catalog.purge_missing(time.time() - self._forget_seconds):
            thumbnail_path(self._thumbnails, digest.hex()).unlink(missing_ok=True)

    def close(self) -> None:
        """Stop the worker, put its work back, write the vector index, close the catalog."""
        self._scheduler.stop()
        self._identifier.stop()
        self.answers.index.save()
        self.catalog.close()

    def _identified(self, digests: Collection[bytes]) -> None:
        """Content that came back, to a rebuilt library or after a long time away, has the tags it was once given."""
        authored = self.answers.authored
        if any(authored.tags_of(digest.hex()) for digest in digests):
            authored.mirror_into(self.catalog)
