"""The service: watch, index, answer, until told to stop. A disk that is full or cannot be written stops none of it.

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
from daemon.api import build_app
from daemon.forgetting import forget
from daemon.hints import Hint
from daemon.indexing import Indexing
from daemon.intake import absolute
from daemon.lock import LibraryLock
from daemon.model_report import cost_of, known_models
from daemon.notify import Notifier
from daemon.profiles import cancelled
from daemon.reload import Reloader, on_hangup
from daemon.server import Server
from daemon.service_message import describe, one_line
from daemon.sockets import open_socket
from daemon.thread_health import BEAT_SECONDS, TROUBLE_SECONDS, ThreadHealth
from daemon.watcher import Watcher
from search.messages import ForgottenMessage, ProgressMessage, ServiceMessage, StatusMessage
from search.model_messages import CostMessage, ModelsMessage

logger = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
"""How often the line looks for work that nobody announced: files that wait for another attempt."""

CHANGE_SECONDS = 0.2
"""The same while a profile is changed: what is prepared in the background ends without a word."""

STATUS_SECONDS = 5.0
"""How often systemd is told what we are doing."""


class Service:
    """One library, served. `run` returns when asked to stop by SIGTERM or SIGINT; SIGHUP has the settings read again.

    `folders` are watched besides those of the settings.
    """

    def __init__(self, reloader: Reloader, folders: Sequence[str], environ: Mapping[str, str]) -> None:
        self._reloader = reloader
        self._paths = reloader.settings.paths
        self._named = tuple(folders)
        self._folders = self._to_watch()
        self._environ = environ
        self._notifier = Notifier(environ)
        self._started = time.monotonic()
        self._stopping = threading.Event()
        self._orders: queue.SimpleQueue[Hint | _Order | None] = queue.SimpleQueue()
        self._hangups: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._health = ThreadHealth()
        self._state = "starting"
        self._configured: list[str] | None = None

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            LibraryBusy: another process holds the library.
            CatalogError, ServiceError: the library or the socket cannot be opened.
        """
        on_hangup(lambda: self._hangups.put(None))
        paths, settings = self._paths, self._reloader.settings
        with LibraryLock(paths.lock):
            self._indexing = Indexing(settings)
            self._watcher = Watcher(
                self._folders,
                self._indexing.intake.rules,
                notify=self._orders.put,
                poll_seconds=settings.watch.poll_seconds,
            )
            listener = open_socket(paths.socket, self._environ)
            self._answering_on = listener.getsockname()
            try:
                self._serve(listener)
            finally:
                listener.close()
                if not self._environ.get("LISTEN_FDS"):
                    with contextlib.suppress(OSError):  # a disk that has become read-only; a stale one harms nobody
                        paths.socket.unlink()
                self._indexing.close()
                logger.info("stopped")

    def _serve(self, listener: socket.socket) -> None:
        app = build_app(self._indexing.answers, self, lambda: self._reloader.settings)
        server = Server(app, lambda: self._reloader.settings.socket, listening=self._ready)
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
            self._hangups.put(None)
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
        trouble = self._health.trouble or ""
        known = [note for note in message["notes"] if note["title"] not in trouble]
        message["notes"] = self._reloader.notes + self._indexing.notes() + known
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
            elif (trouble := self._health.first_error) is not None:
                raise ServiceError(trouble.title, f"{trouble.remedy} Then the service goes on by itself.".lstrip())
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
        return known_models(self._indexing.catalog, self._paths, self._indexing.change())

    def cost(self, profile: str) -> CostMessage:
        """What a change to a profile would take. Raises ModelError, ConfigError."""
        return cost_of(profile, self._indexing.catalog, self._paths)

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
        self._watcher.start()
        scanned = time.monotonic()  # the watcher asks for the first scan of each folder itself
        rest_until = 0.0
        everything = False
        wait: float | None = None
        while not self._stopping.is_set():
            self._health.beat("watch")
            rescan_due = scanned + self._reloader.settings.watch.rescan_minutes * 60
            due = rest_until if everything else min(rescan_due, time.monotonic() + (60.0 if wait is None else wait))
            orders = self._await_orders(min(BEAT_SECONDS / 4, max(0.0, due - time.monotonic())))
            for order in orders:
                if isinstance(order, _Order):
                    self._carry_out(order)
            if time.monotonic() < rest_until:
                continue  # all folders are looked at afterwards: no hint is lost
            everything = everything or time.monotonic() >= rescan_due
            try:
                wait = self._look([order for order in orders if isinstance(order, Hint)], everything=everything)
            except (CatalogError, OSError) as error:
                self._health.rest("watch", error)
                rest_until, everything = time.monotonic() + TROUBLE_SECONDS, True
                continue
            if everything:
                scanned, everything = time.monotonic(), False
            self._health.recovered("watch")
        self._watcher.stop()

    def _look(self, hints: Sequence[Hint], *, everything: bool) -> float | None:
        """Look where something may have changed; returns seconds until that is due again, None: nothing is settling.

        Raises CatalogError, OSError; then everything is to be looked at later.
        """
        intake, folders = self._indexing.intake, self._folders
        configured = self._configure()
        wanted = [hint.root for hint in hints if hint.kind == "rescan" and hint.root in folders]
        for folder in folders if everything else dict.fromkeys(wanted):
            self._scan(folder)
        if everything or configured:
            self._look_elsewhere()
        if everything:
            self._indexing.forget()
        intake.follow([hint for hint in hints if hint.kind != "rescan" and hint.root in folders])
        return intake.settle()

    def _configure(self) -> bool:
        """Have the catalog follow the folders of the settings. True if they are others than before.

        Raises CatalogError.
        """
        configured = [str(folder) for folder in self._reloader.settings.folders]
        if configured == self._configured:
            return False
        for sentence in self._indexing.configure(configured, set(self._folders).difference(configured)):
            logger.warning("%s", sentence)
        self._configured = configured
        return True

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
        with self._looking():
            changed = self._indexing.intake.scan(folder)
        self._watcher.scanned(folder, time.monotonic() - began, changed=changed)

    def _look_elsewhere(self) -> None:
        self._state = "looking for what is known elsewhere"
        with self._looking():
            self._indexing.intake.look_elsewhere(self._folders)

    @contextlib.contextmanager
    def _looking(self) -> Iterator[None]:
        """A look at folders takes as long as the disk takes: to be restarted in the middle of it would help nobody."""
        try:
            with self._health.busy("watch"):
                yield
        finally:
            self._state = "idle"

    def _carry_out(self, order: _Order) -> None:
        try:
            if order.new_folders:
                self._watch_anew()
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
        finally:
            order.scanned.set()

    def _watch_anew(self) -> None:
        """Watch as the settings say now."""
        watch = self._reloader.settings.watch
        self._folders = self._to_watch()
        self._watcher.change(self._folders, self._indexing.intake.rules, poll_seconds=watch.poll_seconds)

    def _to_watch(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*map(str, self._reloader.settings.folders), *self._named]))

    def _index(self) -> None:
        """Move work through the worker."""
        rest_until = 0.0
        while not self._stopping.is_set():
            self._health.beat("index")
            busy = False
            if time.monotonic() >= rest_until:
                try:
                    busy = self._indexing.step()
                    self._health.recovered("index")
                except (ModelError, CatalogError, OSError) as error:
                    self._health.rest("index", error)
                    rest_until = time.monotonic() + TROUBLE_SECONDS
            if not busy:
                self._indexing.answers.rest(self._reloader.settings.processing.idle_seconds)
                self._indexing.wait(IDLE_SECONDS if self._indexing.profiles.building is None else CHANGE_SECONDS)

    def _tell(self) -> None:
        """Tell systemd what we are doing, and that we are alive while we are. Read the settings when we are told to."""
        while True:
            with contextlib.suppress(queue.Empty):
                self._hangups.get(timeout=min(STATUS_SECONDS, self._notifier.watchdog_interval or STATUS_SECONDS))
                if not self._stopping.is_set():
                    self._reload()
            if self._stopping.is_set():
                return
            if self._health.alive():
                self._notifier.watchdog()
            with contextlib.suppress(CatalogError):  # the thread that has to write says so
                self._notifier.status(self._health.trouble or one_line(self._indexing))

    def _reload(self) -> None:
        self._notifier.reloading()
        changed = self._reloader.reload()
        settings = self._reloader.settings
        if "logging.level" in changed:
            logging.getLogger().setLevel(settings.logging.level.upper())
        self._indexing.use(settings, changed)
        self._orders.put(_Order((), new_folders=True))
        self._notifier.ready()

    def _describe(self) -> ServiceMessage:
        uptime = time.monotonic() - self._started
        return describe(self._indexing, self._watcher, uptime=uptime, state=self._state, trouble=self._health.trouble)


class _Order:
    """A request to index some paths now, or to watch the folders of new settings."""

    def __init__(self, paths: tuple[str, ...], *, new_folders: bool = False) -> None:
        self.paths = paths
        self.new_folders = new_folders
        self.scanned = threading.Event()
        self.error: ReverieError | None = None
        self.notes: list[str] = []
