"""The service: watch, index, answer, until told to stop.

Three threads and a child: the main thread answers on the socket, one thread looks at folders, one moves work through
the worker process. systemd hears from us only while both of ours are alive.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from config.errors import CatalogError, ModelError, ReverieError, ServiceError
from config.settings import Settings
from config.version import current_version
from daemon.api import build_app
from daemon.forgetting import forget
from daemon.hints import Hint
from daemon.indexing import Indexing
from daemon.intake import absolute
from daemon.lock import LibraryLock
from daemon.model_report import cost_of, known_models
from daemon.notify import Notifier
from daemon.profiles import cancelled
from daemon.server import Server
from daemon.sockets import open_socket
from daemon.watcher import Watcher
from search.messages import ForgottenMessage, ProgressMessage, ServiceMessage, StatusMessage
from search.model_messages import CostMessage, ModelsMessage

logger = logging.getLogger(__name__)

TROUBLE_SECONDS = 30.0
"""How long the line rests after something no retry can mend at once: a full disk, missing weights."""

IDLE_SECONDS = 2.0
"""How often the line looks for work that nobody announced: files that wait for another attempt."""

CHANGE_SECONDS = 0.2
"""The same while a profile is changed: what is prepared in the background ends without a word."""

STATUS_SECONDS = 5.0
"""How often systemd is told what we are doing."""

BEAT_SECONDS = 60.0
"""A thread that has shown no sign of life for so long is stuck: the watchdog is not fed any more."""


class Service:
    """One library, served. `run` returns when asked to stop by SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, folders: Sequence[str], environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._folders = tuple(folders)
        self._environ = environ
        self._notifier = Notifier(environ)
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self._orders: queue.SimpleQueue[Hint | _Order | None] = queue.SimpleQueue()
        self._beats: dict[str, float] = {}
        self._state = "starting"
        self._trouble: str | None = None

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            LibraryBusy: another process holds the library.
            CatalogError, ServiceError: the library or the socket cannot be opened.
        """
        paths = self._settings.paths
        with LibraryLock(paths.lock):
            self._indexing = Indexing(self._settings)
            self._watcher = Watcher(
                self._folders,
                self._indexing.intake.rules,
                notify=self._orders.put,
                poll_seconds=self._settings.watch.poll_seconds,
            )
            listener = open_socket(paths.socket, self._environ)
            self._answering_on = listener.getsockname()
            try:
                self._serve(listener)
            finally:
                listener.close()
                if not self._environ.get("LISTEN_FDS"):
                    paths.socket.unlink(missing_ok=True)
                self._indexing.close()
                logger.info("stopped")

    def _serve(self, listener: socket.socket) -> None:
        limits = self._settings.socket
        app = build_app(
            self._indexing.answers,
            self,
            limit=self._settings.search.limit,
            timeout_seconds=limits.timeout_seconds,
            max_request_bytes=limits.max_request_kilobytes * 1000,
        )
        server = Server(
            app,
            max_clients=limits.max_clients,
            timeout_seconds=limits.timeout_seconds,
            listening=self._ready,
        )
        threads = [
            threading.Thread(target=self._guard, args=(name, work), name=name)
            for name, work in (("watch", self._watch), ("index", self._index), ("tell", self._tell))
        ]
        for thread in threads:
            thread.start()
        # uvicorn stops at a signal and then raises it again, for whoever was there before it: that must not kill us
        # before everything is put away.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        try:
            server.run(sockets=[listener])
        finally:
            self._notifier.stopping()
            self._stopping.set()
            self._orders.put(None)
            self._indexing.wake()
            for thread in threads:
                thread.join()

    def _ready(self) -> None:
        self._notifier.ready()
        logger.info("answering on %s", self._answering_on)

    # -- what the interface asks of us

    def status(self) -> StatusMessage:
        """The library's state with the service's own."""
        message = self._indexing.answers.status()
        message["service"] = self._describe()
        message["change"] = self._indexing.change()
        message["stages"] = self._indexing.stage_messages()
        message["devices"] = self._indexing.device_messages()
        message["notes"] = self._indexing.notes() + message["notes"]
        return message

    def index(self, paths: list[str]) -> Callable[[], ProgressMessage]:
        """Look at these paths now, and tell how far they are. Raises NoSuchPath."""
        order = _Order(tuple(absolute(paths, self._indexing.catalog.known_in)))
        before = self._indexing.progress.pace()
        self._orders.put(order)

        def tell() -> ProgressMessage:
            if not order.scanned.is_set():
                return self._indexing.report("scanning", before)
            report = self._indexing.report("indexing", before)
            if order.error is not None:
                raise order.error
            if report["done"] >= report["total"] or self._stopping.is_set():
                report["state"] = "done"
                report["notes"] = order.notes
            return report

        return tell

    def forget(self, paths: list[str], *, dry_run: bool) -> ForgottenMessage:
        """Drop what is known of these absolute paths. Raises NotIndexed."""
        answers = self._indexing.answers
        message = forget(answers.catalog, answers.authored, paths, watched=self._folders, dry_run=dry_run)
        if not dry_run:
            answers.index.refresh()
            self._indexing.wake()  # it removes the pictures, once no worker has them in hand
        return message

    def retry(self) -> int:
        """Try files again that were given up on."""
        self._indexing.profiles.retry()
        return self._indexing.catalog.retry_problems()

    def models(self) -> ModelsMessage:
        """What is known, installed and in use."""
        return known_models(self._indexing.catalog, self._settings.paths, self._indexing.change())

    def cost(self, profile: str) -> CostMessage:
        """What a change to a profile would take. Raises ModelError, ConfigError."""
        return cost_of(profile, self._indexing.catalog, self._settings.paths)

    def use(self, profile: str) -> Callable[[], ProgressMessage]:
        """Begin to change to a profile, and tell how far that is. Raises as `Profiles.begin` does."""
        profiles = self._indexing.profiles
        profiles.begin(profile)
        self._indexing.wake()

        def tell() -> ProgressMessage:
            report = self._indexing.change_report()
            if profiles.building is None and profiles.active.profile != profile:
                raise cancelled(profile)
            if profiles.trouble is not None:
                raise profiles.trouble
            if self._stopping.is_set():
                raise ServiceError(
                    "The service is stopping; the change goes on when it starts again.", "`reverie models` tells."
                )
            return report

        return tell

    def cancel(self) -> str | None:
        """Stop a change in progress; the name of the profile it was to."""
        stopped = self._indexing.profiles.cancel()
        self._indexing.wake()
        return stopped

    # -- the threads

    def _guard(self, name: str, work: Callable[[], None]) -> None:
        """A thread that ends by an error we did not foresee takes the service down, so that systemd restarts it."""
        try:
            work()
        except BaseException:
            logger.critical("the %s thread failed", name, exc_info=True)
            os._exit(70)  # EX_SOFTWARE; nothing is lost: every state is in the catalog

    def _watch(self) -> None:
        """Look at folders: all of them at first and on a timer, parts of them when something hints at a change."""
        intake = self._indexing.intake
        configured = [str(folder) for folder in self._settings.folders]
        for sentence in self._indexing.configure(configured, set(self._folders).difference(configured)):
            logger.warning("%s", sentence)
        self._watcher.start()
        self._look_elsewhere()
        rescan_seconds = self._settings.watch.rescan_minutes * 60
        rescan_due = time.monotonic() + rescan_seconds  # the watcher asks for the first scan of each folder itself
        while not self._stopping.is_set():
            self._beat("watch")
            if time.monotonic() >= rescan_due:
                for folder in self._folders:
                    self._scan(folder)
                self._look_elsewhere()
                self._indexing.forget()
                rescan_due = time.monotonic() + rescan_seconds
            wait = intake.settle()
            timeout = min(BEAT_SECONDS / 4, max(0.0, rescan_due - time.monotonic()), 60.0 if wait is None else wait)
            orders = self._await_orders(timeout)
            hints = [order for order in orders if isinstance(order, Hint)]
            for root in dict.fromkeys(hint.root for hint in hints if hint.kind == "rescan"):
                self._scan(root)
            intake.follow([hint for hint in hints if hint.kind != "rescan"])
            for order in orders:
                if isinstance(order, _Order):
                    self._carry_out(order)
        self._watcher.stop()

    def _await_orders(self, timeout: float) -> list[Hint | _Order | None]:
        """Everything that waits, once there is something or the time is over. Floods of hints come in one piece."""
        orders: list[Hint | _Order | None] = []
        try:
            orders.append(self._orders.get(timeout=timeout))
            while True:
                orders.append(self._orders.get_nowait())
        except queue.Empty:
            return orders

    def _scan(self, folder: str) -> None:
        self._state = f"looking at {folder}"
        began = time.monotonic()
        with self._without_beats():
            changed = self._indexing.intake.scan(folder)
        self._watcher.scanned(folder, time.monotonic() - began, changed=changed)

    def _look_elsewhere(self) -> None:
        self._state = "looking for what is known elsewhere"
        with self._without_beats():
            self._indexing.intake.look_elsewhere(self._folders)

    @contextlib.contextmanager
    def _without_beats(self) -> Iterator[None]:
        """A look at folders takes as long as the disk takes: to be restarted in the middle of it would help nobody."""
        self._beats["watch"] = float("inf")
        try:
            yield
        finally:
            self._beat("watch")
            self._state = "idle"

    def _carry_out(self, order: _Order) -> None:
        try:
            for path in order.paths:
                if os.path.lexists(path):
                    if os.path.isdir(path):
                        self._indexing.catalog.ask_root(path)
                    self._scan(path)
                else:
                    order.notes.append(self._indexing.intake.seek(path))
            self._look_elsewhere()
        except ReverieError as error:
            order.error = error
        order.scanned.set()

    def _index(self) -> None:
        """Move work through the worker."""
        rest_until = 0.0
        while not self._stopping.is_set():
            self._beat("index")
            busy = False
            if time.monotonic() >= rest_until:
                try:
                    busy = self._indexing.step()
                    self._trouble = None
                except (ModelError, CatalogError) as error:
                    logger.error("indexing rests for %.0f s: %s", TROUBLE_SECONDS, error)
                    self._trouble = str(error)
                    rest_until = time.monotonic() + TROUBLE_SECONDS
            if not busy:
                self._indexing.answers.rest(self._settings.processing.idle_seconds)
                self._indexing.wait(IDLE_SECONDS if self._indexing.profiles.building is None else CHANGE_SECONDS)

    def _tell(self) -> None:
        """Tell systemd what we are doing, and that we are alive while we are."""
        while not self._stopping.wait(min(STATUS_SECONDS, self._notifier.watchdog_interval or STATUS_SECONDS)):
            oldest = min(self._beats.values(), default=time.monotonic())
            if time.monotonic() - oldest < BEAT_SECONDS:
                self._notifier.watchdog()
            self._notifier.status(self._one_line())

    def _beat(self, thread: str) -> None:
        self._beats[thread] = time.monotonic()

    def _one_line(self) -> str:
        report = self._indexing.report("")
        left = report["total"] - report["done"]
        if not left:
            return "idle"
        rate = f", {report['photos_per_second']:.1f} photos/s" if report["photos_per_second"] else ""
        return f"{left} to do{rate}"

    def _describe(self) -> ServiceMessage:
        report = self._indexing.report("")
        pace = self._indexing.progress.pace()
        left = report["total"] - report["done"]
        return {
            "pid": os.getpid(),
            "version": current_version(),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "state": self._state if self._state != "idle" or not left else f"indexing, {left} to do",
            "trouble": self._trouble,
            "settling": self._indexing.intake.settling,
            "paused": self._indexing.paused,
            "worker_pid": self._indexing.workers.pid,
            "pace": {
                "photos_per_second": report["photos_per_second"] if left else 0.0,
                "eta_seconds": report["eta_seconds"],
                "bottleneck": pace.bottleneck if left else None,
                "seconds_per_step": {step: round(spent, 5) for step, spent in pace.seconds_per_step.items()},
                "finished": pace.finished,
                "failed": pace.failed,
                "long_left": report["long_left"],
            },
            "long_files": self._indexing.long_files(),
            "folders": [
                {
                    "path": health.root,
                    "mode": health.mode,
                    "reason": self._indexing.intake.obstacle(health.root) or health.reason or None,
                    "remedy": health.remedy or None,
                }
                for health in self._watcher.health()
            ],
        }


class _Order:
    """A request to index some paths now."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self.scanned = threading.Event()
        self.error: ReverieError | None = None
        self.notes: list[str] = []
