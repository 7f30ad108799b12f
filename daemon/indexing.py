"""The line from a path that was seen to a result that is stored, without the watching and without the socket.

`reverie index` drives one of these to its end; the service drives one for as long as it lives.
"""

from __future__ import annotations

import collections
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Collection

from config.errors import CatalogError, StageBroken
from config.settings import Settings
from daemon import forgetting, roots
from daemon.answers import Answers
from daemon.identify import Identifier
from daemon.intake import Intake
from daemon.model_report import plan_of
from daemon.profiles import Profiles
from daemon.progress import Pace, Progress
from daemon.rates import Rates
from daemon.scheduler import Scheduler
from daemon.setup import Workforce, employ
from daemon.stage_report import device_messages, stage_messages
from indexer import notes
from indexer.pictures import Pictures
from indexer.plugins import find_plugins
from indexer.records import Stage
from search.catalog import Catalog, Work
from search.messages import LongFileMessage, NoteMessage, ProgressMessage
from search.model_messages import ChangeMessage, DeviceMessage, StageMessage

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.25
"""How long one step waits for the worker, at most: a stop request is noticed within it."""

REPORT_SECONDS = 0.5
"""How often progress is reported: counting costs a few queries."""

MEND_PLUGIN = "Mend, update or uninstall it, then start again."

SMALL_BATCH = 16
"""Photos of a batch, as long as its size is not known: two batches are kept ready."""

RATE_SECONDS = 10.0
"""How often the rate is remembered while there is one."""

OF_WORKERS = frozenset({"processing", "analysis", "video", "gpu", "experimental"})
"""Settings that workers are told when they start."""

SNAPSHOT_SECONDS = 300.0
"""How often the vector index is written while it changes. What a kill loses of it is read from the catalog again."""


class Indexing:
    """Settle, identify, analyse and store. Open a library with it only while holding its lock.

    `step` is driven by one thread. `intake` may be driven by another.
    """

    def __init__(self, settings: Settings, *, workforce: Workforce | None = None) -> None:
        """`workforce` does the work; None: this machine does."""
        paths = settings.paths
        self.catalog = Catalog(paths.library)
        self.profiles = Profiles(
            self.catalog, paths, plan_for=functools.partial(plan_of, paths=paths), clock=time.monotonic
        )
        self.answers = Answers(paths, self.catalog, self.profiles.active)
        self._prepared = False
        self._new_settings: collections.deque[Settings] = collections.deque(maxlen=1)
        self.progress = Progress(time.monotonic)
        self._wake = threading.Event()
        self.intake = Intake(self.catalog, settings.watch, recorded=self.wake, passed_over=self.answers.passed_over)
        force = workforce or employ(settings, os.environ)
        self.workers, self._governor = force.pool, force.governor
        self.answers.share_of = self._share_of
        self._identifier = Identifier(
            self.catalog,
            stages=lambda: self.profiles.stages,
            threads=settings.processing.workers,
            look_again=self.intake.look_again,
            identified=self._identified,
            may_go_on=lambda: notes.kept(paths.notes) | self._scheduler.long_contents,
            went_on=functools.partial(notes.carry_on, paths.notes),
            refused=lambda: self.progress.finished([], failed=1),
        )
        self._scheduler = Scheduler(
            self.catalog,
            self.workers,
            self.progress,
            look_ahead=_look_ahead(settings),
            first=lambda: self.profiles.active.stages,
            vector_spaces=lambda: self.profiles.vector_spaces,
            without=lambda: self.profiles.set_aside,
            stored=self._stored,
            done=self._keep_notes,
            given_up=lambda work: notes.forget(paths.notes, work.content_hash),
            clock=time.monotonic,
            pause=self._governor.pause,
        )
        self._pictures = Pictures(paths.thumbnails)
        self._notes = paths.notes
        self._forget_days = settings.watch.forget_after_days
        self._snapshot_due = time.monotonic() + SNAPSHOT_SECONDS
        self._plugin_notes: list[NoteMessage] = [
            {"title": f'The plug-in "{problem.name}" is left out: {problem.reason}.', "remedy": MEND_PLUGIN}
            for problem in find_plugins().problems
        ]
        self._rates = Rates(paths.library)
        self._rate_due = time.monotonic() + RATE_SECONDS

    def step(self) -> bool:
        """One turn of the line. True while there is work that moves.

        Raises:
            ModelError: no worker can run on this machine. Identification goes on being possible.
            CatalogError: the disk takes nothing. Nothing is lost; the next step tries again.
        """
        if self._new_settings:
            self._employ_anew(self._new_settings.pop())
        self.prepare()
        self._remove_pictures()
        identifying = self._identifier.step()
        try:
            moved = self._scheduler.step(WAIT_SECONDS if self.workers.in_flight else 0.0)
        except StageBroken as error:
            if not self.profiles.do_without(error):
                self.workers.rest(error)
            moved = True
        if identifying and not moved and not self.workers.in_flight:
            self._identifier.wait(WAIT_SECONDS)  # a slow disk: asking again and again would only take its processor
        if time.monotonic() > self._snapshot_due:
            self._snapshot_due = time.monotonic() + SNAPSHOT_SECONDS
            self._save_index()
        busy = identifying or moved or not self._scheduler.idle
        if busy and time.monotonic() > self._rate_due:
            self._rate_due = time.monotonic() + RATE_SECONDS
            self._remember_rate()
        return self.profiles.advance(self.answers) or busy

    def use(self, settings: Settings, changed: Collection[str]) -> None:
        """Go on with other settings; `changed` are the keys that differ. From any thread."""
        self.intake.use(settings.watch)
        self._forget_seconds = settings.watch.forget_after_days * 86400
        if any(key.partition(".")[0] in OF_WORKERS for key in changed):
            self._new_settings.append(settings)
            self.wake()

    def _employ_anew(self, settings: Settings) -> None:
        """What the old workers have in hand is begun again by the new ones."""
        self.workers.stop()
        force = employ(settings, os.environ)
        self.workers, self._governor = force.pool, force.governor
        self._scheduler.use(force.pool, look_ahead=_look_ahead(settings), pause=force.governor.pause)
        self._identifier.use(settings.processing.workers)

    def prepare(self) -> None:
        """Before the first step: what the last process left half done, and what has changed since. It waits for a disk
        that can be written; questions do not."""
        if self._prepared:
            return
        self.catalog.release_running()
        self.profiles.prepare()
        self.answers.authored.mirror_into(self.catalog)
        self._prepared = True

    def _save_index(self) -> None:
        """The snapshot of the vectors is a cache: the next start reads from the catalog what it lacks."""
        try:
            self.answers.index.save()
        except CatalogError as error:
            logger.info("%s", error)

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
        self.profiles.retry()
        while not stop():
            wait = self.intake.settle()
            busy = self.step()
            if time.monotonic() >= report_due:
                report(self.report("indexing"))
                report_due = time.monotonic() + REPORT_SECONDS
            if busy:
                continue
            if wait is None and not self.catalog.has_work(without=self.profiles.set_aside):
                if self.profiles.trouble is not None:
                    raise self.profiles.trouble  # nothing else is left to do, and this one will not mend itself
                if self.profiles.idle:
                    break
            # Files are settling or wait for another attempt, or a new profile is being prepared.
            time.sleep(min(wait or WAIT_SECONDS, WAIT_SECONDS))
        report(self.report("done"))

    def report(self, state: str, since: Pace | None = None) -> ProgressMessage:
        """How far the work is, counted from the start or from an earlier reading of the pace."""
        # Read in the order in which a file passes through them, so that none is missed on its way.
        settling = self.intake.settling
        counts = self.catalog.counts(without=self.profiles.set_aside)
        waiting = max(counts.unidentified + counts.pending + counts.running, self._scheduler.in_hand)
        long = counts.pending_long + self._scheduler.long_in_hand
        photos = waiting - long  # nobody knows how long the others take
        pace = self.progress.pace()
        failed = pace.failed - (since.failed if since else 0)
        done = failed + pace.finished - (since.finished if since else 0)
        return {
            "state": state,
            "done": done,
            "total": done + waiting + settling,
            "failed": failed,
            "photos_per_second": round(pace.photos_per_second, 2),
            "eta_seconds": round(photos / pace.photos_per_second, 1) if photos > 0 and pace.photos_per_second else None,
            "long_left": long,
        }

    def configure(self, folders: Collection[str], named: Collection[str] = ()) -> list[str]:
        """Follow the folders of the settings, and those that a command named besides. Returns a sentence for each that
        was taken out of the settings."""
        for path in named:
            if os.path.isdir(path):
                self.catalog.ask_root(path)
        return roots.configure(self.catalog, folders, self._forget_days)

    def forget(self) -> None:
        """Drop what is known about files that have been missing for longer than the settings say."""
        self.catalog.purge_missing(time.time() - self._forget_days * 86400)
        self.catalog.drop_empty_roots()
        self._forget_notes()

    def _remove_pictures(self) -> None:
        """Those of forgotten contents. A worker that has one in hand may still make some, and is waited for."""
        forgetting.remove_pictures(self.catalog, self._pictures, self._notes, self._scheduler.media_in_hand)

    def _keep_notes(self, work: Work) -> None:
        """A recording that ended just now may go on: what was found in it is kept for a while."""
        if time.time() - work.stat.mtime_ns / 1e9 < notes.KEPT_SECONDS:
            notes.keep(self._notes, work.content_hash, work.stat.size)
        else:
            notes.forget(self._notes, work.content_hash)

    def _forget_notes(self) -> None:
        """Drop the notes on long files that nothing more is to be done for: they are gone, they do not go on, or a
        change of profile that wanted something of them was cancelled."""
        noted = {bytes.fromhex(name) for name in set(notes.contents(self._notes)) - notes.kept(self._notes).keys()}
        known = self.catalog.media_with_hashes(noted)
        open_ones = {
            bytes.fromhex(row.content_hash)
            for row in self.catalog.photos(list(known.values()), moments=False)
            if any(job.state in {"pending", "running"} for job in row.jobs)
        }
        for digest in noted - open_ones:
            notes.forget(self._notes, digest.hex())

    def close(self) -> None:
        """Stop the worker, put its work back, write the vector index, close the catalog."""
        self._remember_rate()
        try:
            self._scheduler.stop()
        except CatalogError as error:
            logger.info("the next start puts back what was in progress: %s", error)
        self._identifier.stop()
        self._save_index()
        self.catalog.close()

    def change(self) -> ChangeMessage | None:
        """How far a change of profile is, with its pace."""
        message = self.answers.change()
        if message is None:
            return None
        pace, left = self.progress.pace(), message["total"] - message["done"]
        message["photos_per_second"] = round(pace.photos_per_second, 2) if left else 0.0
        counts = self.catalog.counts(without=self.profiles.set_aside)
        message["long_left"] = min(left, counts.pending_long + self._scheduler.long_in_hand)
        photos = left - message["long_left"]
        message["eta_seconds"] = (
            round(photos / pace.photos_per_second, 1) if photos and pace.photos_per_second else None
        )
        message["trouble"] = str(self.profiles.trouble) if self.profiles.trouble else None
        return message

    def change_report(self) -> ProgressMessage:
        """The same as one line of a stream; state "done" once nothing is being changed."""
        message = self.change()
        if message is None:
            return self.report("done")
        complete = message["done"] >= message["total"]
        return {
            "state": "preparing" if complete else "indexing",
            "done": message["done"],
            "total": message["total"],
            "failed": 0,
            "photos_per_second": message["photos_per_second"],
            "eta_seconds": message["eta_seconds"],
            "long_left": message["long_left"],
        }

    def stage_messages(self) -> list[StageMessage]:
        """How each network runs, as the last worker said."""
        return stage_messages(self.workers.reports, self.progress.pace().seconds_per_step)

    def device_messages(self) -> list[DeviceMessage]:
        """What the graphics cards of the workers do, or lately did; none on a machine without."""
        return device_messages(self._governor.readings)

    def rereading(self) -> list[NoteMessage]:
        """What files that were analysed before go through again, after an update of Reverie or a change beside them."""
        return [
            {"title": _rereading(stage, count), "remedy": "Searches are answered meanwhile."}
            for stage, count in sorted(self.catalog.rereading().items())
        ]

    def notes(self) -> list[NoteMessage]:
        """What a person should know about the profile, the plug-ins and the workers."""
        workers: list[NoteMessage] = [
            {"title": f"A worker is left out: {trouble.title}", "remedy": trouble.remedy}
            for trouble in self.workers.troubles
        ]
        return self.profiles.notes + self._plugin_notes + workers + self.rereading()

    def long_files(self) -> list[LongFileMessage]:
        """Videos and sounds that are being gone through, and how far they are."""
        return [{"path": path, "share": round(share, 4)} for path, share in self._scheduler.long_files]

    @property
    def paused(self) -> str | None:
        """Why nothing is handed to the networks for now, when that is so on purpose."""
        return self._scheduler.paused

    def _share_of(self, media_id: int) -> float | None:
        return self.workers.shares.get(media_id)

    def _stored(self) -> None:
        """A batch is in the catalog: those of its vectors that searches are answered from can be found now."""
        self.answers.index.refresh()

    def _remember_rate(self) -> None:
        rate = self.progress.pace().photos_per_second
        if rate:
            self._rates.remember(self.profiles.building or self.profiles.active, rate)

    def _identified(self, digests: Collection[bytes]) -> None:
        """Content that came back, to a rebuilt library or after a long time away, has the tags it was once given."""
        authored = self.answers.authored
        if any(authored.tags_of(digest.hex()) for digest in digests):
            authored.mirror_into(self.catalog)
        self.intake.drop_dead_copies(self.catalog.media_with_hashes(digests).values())


def _rereading(stage: str, count: int) -> str:
    files = f"{count:,} file{'s' * (count != 1)}"
    if stage == Stage.METADATA:
        return f"The metadata of {files} is being read again; what they show is not analysed again."
    return f'The stage "{stage}" is going through {files} again.'


def _look_ahead(settings: Settings) -> int:
    """How many files each worker has at least, done or not."""
    return 2 * (settings.analysis.ml_models.batch_size or SMALL_BATCH) + settings.processing.workers
