"""Roots that come and go, lost events, exhausted limits, network mounts: a scan is asked for, and health says why."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.watcher import Hint, Watcher
from tests.daemon.ears import PATIENCE, RULES, Ears, Follower, put, wait_for_health, watching


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def fake_proc(folder: Path, *, watches: int = 100_000, mounts: Sequence[tuple[Path | str, str]] = ()) -> Path:
    """A procfs that tells of these limits and mounts."""
    limits = folder / "proc/sys/fs/inotify"
    limits.mkdir(parents=True, exist_ok=True)
    (limits / "max_user_watches").write_text(f"{watches}\n")
    (limits / "max_user_instances").write_text("128\n")
    lines = [f"{number} 1 0:{number} / {point} rw - {kind} none rw\n" for number, (point, kind) in enumerate(mounts)]
    (folder / "proc/self").mkdir(exist_ok=True)
    (folder / "proc/self/mountinfo").write_text("".join(["1 1 8:1 / / rw - ext4 /dev/sda rw\n", *lines]))
    return folder / "proc"


# -- roots


def test_a_root_that_is_deleted_and_made_again(root: Path) -> None:
    ears = Ears()
    with watching(root, notify=ears) as watcher:
        ears.forget()
        root.rmdir()
        ears.wait_for_rescan(root)
        health = wait_for_health(watcher, lambda health: health.mode == "missing")
        assert health.reason == "The folder cannot be read: No such file or directory."
        assert health.remedy
        ears.forget()
        root.mkdir()
        ears.wait_for_rescan(root)
        put(root / "a.jpg")
        ears.wait_for_file(root / "a.jpg")
        wait_for_health(watcher, lambda health: health.mode == "inotify")


def test_a_root_that_appears_after_the_start(tmp_path: Path) -> None:
    ears, root = Ears(), tmp_path / "later"
    with watching(root, notify=ears) as watcher:
        assert watcher.health()[0].mode == "missing"
        ears.forget()
        put(root / "a.jpg")
        ears.wait_for_rescan(root)
        wait_for_health(watcher, lambda health: health.mode == "inotify")


def test_a_root_that_is_replaced(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "other/a.jpg")
    ears = Ears()
    with watching(root, notify=ears) as watcher:
        ears.forget()
        root.rename(tmp_path / "away")
        (tmp_path / "other").rename(root)
        ears.wait_for_rescan(root)
        wait_for_health(watcher, lambda health: health.mode == "inotify")
        put(root / "b.jpg")
        ears.wait_for_file(root / "b.jpg")


def test_one_root_that_goes_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    ears = Ears()
    with watching(tmp_path / "one", tmp_path / "two", notify=ears) as watcher:
        (tmp_path / "one").rmdir()
        wait_for_health(watcher, lambda health: health.mode == "missing")
        put(tmp_path / "two/a.jpg")
        ears.wait_for_file(tmp_path / "two/a.jpg")
        assert watcher.health()[1].mode == "inotify"


# -- lost events


def test_lost_events_are_made_good_by_a_scan(root: Path) -> None:
    """The reader is held up until the kernel's queue is full; what follows is lost, new folders among it."""
    queue_length = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    follower, flooded = Follower(), threading.Event()

    def notify(hint: Hint) -> None:
        follower(hint)
        if hint.kind == "file":
            flooded.wait(PATIENCE)

    with watching(root, notify=notify) as watcher:
        put(root / "first.jpg")
        follower.wait_for_file(root / "first.jpg")
        wanted = {f"{root}/first.jpg"}
        for number in range(queue_length // 2 + 100):  # each is created and closed
            path = f"{root}/{number}.jpg"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            wanted.add(path)
        put(root / "lost/deep/a.jpg")
        wanted.add(f"{root}/lost/deep/a.jpg")
        flooded.set()
        follower.wait(lambda hint: hint.kind == "rescan" and watcher.health()[0].rescans > 0)
        follower.follow(lambda files: files == wanted)
        wait_for_health(watcher, lambda health: health.folders == 3)
        put(root / "lost/deep/b.jpg")
        follower.wait_for_file(root / "lost/deep/b.jpg")


def test_thousands_of_small_files_unpacked_at_once(root: Path) -> None:
    follower = Follower()
    with watching(root, notify=follower):
        wanted = set()
        for folder in range(40):
            (root / f"{folder}").mkdir()
            for number in range(100):
                path = f"{root}/{folder}/{number}.jpg"
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
                wanted.add(path)
        follower.follow(lambda files: files == wanted)


# -- where inotify cannot work


def test_too_few_watches_end_in_polling_and_the_remedy_is_named(root: Path, tmp_path: Path) -> None:
    for number in range(20):
        (root / str(number)).mkdir()
    ears, proc = Ears(), fake_proc(tmp_path, watches=10)
    with watching(root, notify=ears, proc=proc, poll=0.05) as watcher:
        (health,) = watcher.health()
        assert health.mode == "polling"
        assert health.reason == "There are more folders than the system lets us watch (10 watches)."
        assert "sudo sysctl fs.inotify.max_user_watches=524288" in health.remedy
        assert health.folders == 0  # those it had are given back
        for _ in range(3):
            ears.forget()
            ears.wait_for_rescan(root)
        fake_proc(tmp_path, watches=1000)
        health = wait_for_health(watcher, lambda health: health.mode == "inotify")
        assert (health.reason, health.remedy) == ("", "")


def test_a_tree_that_outgrows_the_limit_is_polled(root: Path, tmp_path: Path) -> None:
    ears = Ears()
    with watching(root, notify=ears, proc=fake_proc(tmp_path, watches=10), poll=0.05) as watcher:
        assert watcher.health()[0].mode == "inotify"
        for number in range(20):
            (root / str(number)).mkdir()
        wait_for_health(watcher, lambda health: health.mode == "polling")


def test_a_network_filesystem_is_polled(root: Path, tmp_path: Path) -> None:
    ears, proc = Ears(), fake_proc(tmp_path, mounts=[(tmp_path, "nfs4")])
    with watching(root, notify=ears, proc=proc, poll=0.05) as watcher:
        (health,) = watcher.health()
        assert health.mode == "polling"
        assert "network filesystem (nfs4)" in health.reason
        ears.forget()
        ears.wait_for_rescan(root)


def test_a_network_filesystem_below_a_root_is_polled_too(root: Path, tmp_path: Path) -> None:
    ears, proc = Ears(), fake_proc(tmp_path, mounts=[(root / "nas", "fuse.sshfs")])
    with watching(root, notify=ears, proc=proc, poll=0.05) as watcher:
        (health,) = watcher.health()
        assert health.mode == "inotify"
        assert f"{root}/nas in it is on a network filesystem" in health.reason
        ears.forget()
        ears.wait_for_rescan(root)
        put(root / "a.jpg")
        ears.wait_for_file(root / "a.jpg")


def test_a_disk_mounted_below_a_root_is_scanned(root: Path, tmp_path: Path) -> None:
    ears, proc = Ears(), fake_proc(tmp_path)
    with watching(root, notify=ears, proc=proc):
        ears.forget()
        fake_proc(tmp_path, mounts=[(root / "disk", "ext4")])
        ears.wait_for_rescan(root)


# -- the end


def test_stopping_gives_everything_back_and_ends_the_hints(root: Path) -> None:
    for number in range(50):
        (root / str(number)).mkdir()
    ears = Ears()
    with watching(root, notify=ears) as watcher:
        put(root / "a.jpg")
        ears.wait_for_file(root / "a.jpg", closed=True)
        watcher.stop()
        ears.forget()
        put(root / "b.jpg")
    assert ears.hints == []


def test_a_watcher_that_never_started_stops(root: Path) -> None:
    Watcher([str(root)], RULES, notify=Ears(), poll_seconds=1).stop()
