"""Say where something may have changed: by inotify where it works, by asking for scans where it does not."""

from __future__ import annotations

import collections
import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from daemon.folder_watch import FolderWatch
from daemon.hints import Hint, HintKind
from daemon.ignore import IgnoreRules
from daemon.inotify_limits import InotifyLimits, read_limits
from daemon.mounts import Mount, mount_of, mounts_below, read_mounts
from daemon.polling import PollSchedule

__all__ = ["Hint", "HintKind", "RootHealth", "Watcher"]

logger = logging.getLogger(__name__)

Mode: TypeAlias = Literal["starting", "inotify", "polling", "missing"]

CHECK_SECONDS = 2.0
"""How often each root is checked for having been replaced, unmounted or silenced."""

REST_SECONDS = 0.5
"""After watches were set, how long until they are set again: a flood of events can overflow the queue repeatedly."""

_JOIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RootHealth:
    """How changes in one root are noticed."""

    root: str
    mode: Mode
    reason: str = ""
    """Why it is not, or not only, inotify; empty if it is."""
    remedy: str = ""
    """The command that would help, if there is one."""
    folders: int = 0
    """How many folders inotify watches."""
    rescans: int = 0
    """How often something may have been missed and the root had to be scanned again."""


@dataclass(frozen=True, slots=True)
class _Situation:
    """All that, when it changes, makes the watches of a root worthless or a better way possible."""

    identity: tuple[int, int]
    mount: Mount | None
    below: tuple[Mount, ...]
    limits: InotifyLimits


class Watcher:
    """Watches roots, each with threads of its own: when one hangs or goes away, the others do not notice.

    Each root is asked to be scanned (a "rescan" hint) as soon as it is watched for the first time, and again whenever
    hints may have been lost: events overflowed, the root or a disk in it was unmounted, mounted or replaced, the
    reading thread ended, the limits changed. Where inotify cannot hear everything (network filesystems) or has no
    watches left, a rescan is asked for at the period of `daemon.polling`, and `health` says why.

    Hints are hints: always look at the path. The same change may be hinted at several times.

    Args:
        roots: absolute paths of folders, which need not exist yet.
        rules: what to leave out.
        notify: takes each hint. Called on other threads; it must not block.
        poll_seconds: the shortest period of polling.
        check_seconds: how often each root is checked.
        proc: where procfs is mounted.
    """

    def __init__(
        self,
        roots: Sequence[str],
        rules: IgnoreRules,
        *,
        notify: Callable[[Hint], None],
        poll_seconds: float,
        check_seconds: float = CHECK_SECONDS,
        proc: Path = Path("/proc"),
    ) -> None:
        self._rules = rules
        self._notify = notify
        self._poll_seconds = poll_seconds
        self._check_seconds = check_seconds
        self._proc = proc
        self._roots = {root: self._watch(root) for root in roots}

    def start(self) -> None:
        """Begin. Returns at once; a big or slow root is watched from its first "rescan" hint on."""
        for root in self._roots.values():
            root.start()

    def stop(self) -> None:
        """End all threads and give all watches back. No hint comes after it returns."""
        _stop(self._roots.values())

    def change(self, roots: Sequence[str], rules: IgnoreRules, *, poll_seconds: float) -> None:
        """Watch these roots in this way from now on. A root for which nothing changes is watched without a gap; any
        other begins anew, with a scan. To be called between `start` and `stop`."""
        same = rules is self._rules and poll_seconds == self._poll_seconds
        kept = {root: watched for root, watched in self._roots.items() if same and root in roots}
        _stop([watched for root, watched in self._roots.items() if root not in kept])
        self._rules, self._poll_seconds = rules, poll_seconds
        new = {root: self._watch(root) for root in roots if root not in kept}
        self._roots = {root: kept.get(root) or new[root] for root in roots}
        for root in new.values():
            root.start()

    def health(self) -> tuple[RootHealth, ...]:
        """How each root is watched, in the order given."""
        return tuple(root.health for root in self._roots.values())

    def scanned(self, root: str, seconds: float, *, changed: bool) -> None:
        """Tell that a scan of a root has ended, what it took and whether it found changes: polling adapts to it.

        Without being told, a polled root is asked for at the shortest period, however long a scan takes.
        """
        watcher = self._roots.get(root)
        if watcher is not None:
            watcher.scanned(seconds, changed=changed)

    def _watch(self, root: str) -> _RootWatcher:
        return _RootWatcher(
            root,
            self._rules,
            notify=self._notify,
            schedule=PollSchedule(self._poll_seconds, time.monotonic),
            check_seconds=self._check_seconds,
            proc=self._proc,
        )


class _RootWatcher:
    """One root: a thread that sets its watches and checks that they still hold."""

    def __init__(
        self,
        root: str,
        rules: IgnoreRules,
        *,
        notify: Callable[[Hint], None],
        schedule: PollSchedule,
        check_seconds: float,
        proc: Path,
    ) -> None:
        self._root = root
        self._rules = rules
        self._notify = notify
        self._schedule = schedule
        self._check_seconds = check_seconds
        self._proc = proc
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._doubts: collections.deque[str] = collections.deque()
        self._situation: _Situation | None = None
        self._watch: FolderWatch | None = None
        self._polled = False
        self._rescans = 0
        self._health = RootHealth(root, "starting")
        self._thread = threading.Thread(target=self._run, name=f"watch {root}", daemon=True)

    @property
    def health(self) -> RootHealth:
        health, watch = self._health, self._watch
        folders = watch.folders if watch is not None else 0
        return RootHealth(health.root, health.mode, health.reason, health.remedy, folders, self._rescans)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        if (watch := self._watch) is not None:
            watch.close()  # also while it is being opened, which may take long

    def join(self) -> None:
        if self._thread.ident is None:
            return
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            logger.warning("%s does not answer; its watching is left behind", self._root)

    def scanned(self, seconds: float, *, changed: bool) -> None:
        self._schedule.scanned(seconds, changed=changed)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            self._check()
            wait = min(self._check_seconds, self._schedule.wait) if self._polled else self._check_seconds
            self._wake.wait(wait)
        self._drop()

    def _check(self) -> None:
        try:
            situation = self._look()
        except OSError as error:
            self._lose(error)
            return
        doubts = [self._doubts.popleft() for _ in range(len(self._doubts))]
        silent = self._watch is not None and not self._watch.alive
        if situation != self._situation or doubts or silent:
            if self._situation is not None:
                self._rescans += 1
                reason = doubts[0] if doubts else "what is mounted, or a limit, has changed"
                logger.info("%s is watched anew and scanned: %s", self._root, reason)
            self._establish(situation)
            self._ask_for_scan()
            self._stopping.wait(REST_SECONDS)
        elif self._polled and self._schedule.wait == 0:
            self._ask_for_scan()

    def _look(self) -> _Situation:
        status = os.stat(self._root)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self._root)
        real, mounts = os.path.realpath(self._root), read_mounts(self._proc)
        return _Situation(
            (status.st_dev, status.st_ino),
            mount_of(real, mounts),
            mounts_below(real, mounts),
            read_limits(self._proc),
        )

    def _lose(self, error: OSError) -> None:
        """The root is not there. Ask for one scan, which will say so, and go on checking."""
        self._drop()
        self._polled = False
        reason = f"The folder cannot be read: {error.strerror or error}."
        if self._health.mode != "missing":
            logger.warning("%s: %s", self._root, reason)
            self._ask_for_scan()
        self._situation = None
        self._health = RootHealth(self._root, "missing", reason, "Mount its disk, or correct the path.")

    def _establish(self, situation: _Situation) -> None:
        self._drop()
        self._doubts.clear()  # those of the watch that was just given up
        self._situation = situation
        mount, remote = situation.mount, [mount for mount in situation.below if mount.is_remote]
        if mount is not None and mount.is_remote:
            reason = f"It is on a network filesystem ({mount.type}), which does not tell of changes made elsewhere."
            self._poll(reason, "")
            return
        watch = FolderWatch(
            self._root, self._rules, notify=self._notify, doubt=self._note_doubt, most=situation.limits.our_watches
        )
        self._watch = watch
        try:
            watch.open()
        except OSError as error:
            self._drop()
            self._poll(*situation.limits.explain(error))
            return
        self._polled = bool(remote)
        reason = f"{remote[0].point} in it is on a network filesystem ({remote[0].type}): polled too." if remote else ""
        self._health = RootHealth(self._root, "inotify", reason)

    def _poll(self, reason: str, remedy: str) -> None:
        self._polled = True
        self._health = RootHealth(self._root, "polling", reason, remedy)
        logger.warning("%s is polled: %s %s", self._root, reason, remedy)

    def _note_doubt(self, reason: str) -> None:
        self._doubts.append(reason)
        self._wake.set()

    def _ask_for_scan(self) -> None:
        self._schedule.asked()
        self._notify(Hint("rescan", self._root))

    def _drop(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()


def _stop(roots: Collection[_RootWatcher]) -> None:
    for root in roots:
        root.ask_to_stop()
    for root in roots:
        root.join()
