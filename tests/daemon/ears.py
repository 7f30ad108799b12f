"""A listener for what a watcher says, and what watching tests share."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.ignore import IgnoreRules
from daemon.scan import Sidecars, look, scan_root
from daemon.watcher import Hint, RootHealth, Watcher

RULES = IgnoreRules()
PATIENCE = 40.0
"""Seconds until a test gives up waiting; none waits that long when all is well."""


class Ears:
    """Keeps the hints."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []
        self._news = threading.Condition()

    def __call__(self, hint: Hint) -> None:
        with self._news:
            self.hints.append(hint)
            self._news.notify_all()

    def wait(self, wanted: Callable[[Hint], bool]) -> Hint:
        """The first hint like this, once it has come."""
        with self._news:
            found = self._news.wait_for(lambda: next(filter(wanted, self.hints), None), PATIENCE)
        assert found is not None, f"not hinted at; only {self.hints[-20:]}"
        return found

    def wait_for_file(self, path: Path, *, closed: bool = False) -> Hint:
        return self.wait(lambda hint: hint.path == str(path) and (not closed or hint.writing is False))

    def wait_for_folder(self, path: Path) -> Hint:
        return self.wait(lambda hint: hint.kind == "folder" and hint.path == str(path))

    def wait_for_rescan(self, root: Path) -> Hint:
        return self.wait(lambda hint: hint.kind == "rescan" and hint.root == str(root))

    def forget(self) -> None:
        with self._news:
            self.hints.clear()

    def paths(self) -> set[str | None]:
        return {hint.path for hint in self.hints}


class Follower(Ears):
    """Does with hints what the service does: looks, and scans."""

    def __init__(self) -> None:
        super().__init__()
        self.files: set[str] = set()

    def follow(self, until: Callable[[set[str]], bool]) -> None:
        """Follow the hints until the files seen are as wanted."""
        while not until(self.files):
            with self._news:
                assert self._news.wait_for(lambda: bool(self.hints), PATIENCE), f"{len(self.files)} seen"
                new, self.hints = self.hints, []
            sidecars = Sidecars()
            for hint in new:
                if hint.kind == "file":
                    assert hint.path is not None
                    (self.files.add if look(hint.path, sidecars) else self.files.discard)(hint.path)
                else:
                    below = hint.path or hint.root
                    self.files = {path for path in self.files if not path.startswith(below + "/")}
                    self.files |= set(scan_root(hint.root, RULES, below).files)


@contextmanager
def watching(
    *roots: Path,
    notify: Callable[[Hint], None],
    rules: IgnoreRules = RULES,
    proc: Path = Path("/proc"),
    poll: float = 60,
) -> Iterator[Watcher]:
    """Watch, from the moment that each root's first scan is asked for; and leave nothing behind."""
    heard = {str(root): threading.Event() for root in roots}

    def hear(hint: Hint) -> None:
        notify(hint)
        heard[hint.root].set()

    before = set(threading.enumerate())
    watcher = Watcher(
        [str(root) for root in roots], rules, notify=hear, poll_seconds=poll, check_seconds=0.05, proc=proc
    )
    watcher.start()
    try:
        for event in heard.values():
            assert event.wait(PATIENCE)
        yield watcher
    finally:
        watcher.stop()
    assert set(threading.enumerate()) <= before
    assert not inotify_descriptors()


def inotify_descriptors() -> list[str]:
    """The inotify descriptors this process holds."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:  # the descriptor of this very listing
            continue
    return [link for link in found if "inotify" in link]


def wait_for_health(watcher: Watcher, wanted: Callable[[RootHealth], bool]) -> RootHealth:
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not wanted(health := watcher.health()[0]):
        assert time.monotonic() < deadline, health
        pause.wait(0.01)
    return health


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
