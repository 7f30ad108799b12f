"""Real inotify on real folders: every change is hinted at, or a scan is asked for."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.ignore import IgnoreRules
from daemon.scan import look, scan_root
from daemon.settle import SettleTracker
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
            for hint in new:
                if hint.kind == "file":
                    assert hint.path is not None
                    (self.files.add if look(hint.path) else self.files.discard)(hint.path)
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

    before = threading.active_count()
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
    assert threading.active_count() == before
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
    deadline = threading.Event()
    timer = threading.Timer(PATIENCE, deadline.set)
    timer.start()
    try:
        while not wanted(health := watcher.health()[0]):
            assert not deadline.wait(0.01), health
    finally:
        timer.cancel()
    return health


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")


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


# -- files


def test_a_written_file_is_hinted_at_and_then_closed(root: Path) -> None:
    ears = Ears()
    with watching(root, notify=ears) as watcher:
        put(root / "a.jpg")
        ears.wait_for_file(root / "a.jpg", closed=True)
        assert ears.wait(lambda hint: hint.writing is True).path == f"{root}/a.jpg"
        assert watcher.health() == (RootHealth(str(root), "inotify", folders=1),)


def test_a_slow_copy_is_not_ready_before_its_end(root: Path) -> None:
    ears, now = Ears(), 0.0
    tracker = SettleTracker(1.0, lambda: now)
    path = root / "a.jpg"

    def look_again(*, writing: bool | None = None) -> None:
        stat = look(str(path))
        assert stat is not None
        tracker.observe(str(path), stat.signature, writing=writing)

    with watching(root, notify=ears):
        with path.open("wb", buffering=0) as file:
            for _ in range(5):
                ears.forget()
                file.write(b"x" * 100_000)
                ears.wait(lambda hint: hint.writing is True)
                look_again(writing=True)
                now += 1.5  # longer than the quiet time, but it is being written
                look_again()
                assert tracker.ready() == []
        ears.wait_for_file(path, closed=True)
        look_again(writing=False)
        now += 1.0
        look_again()
        assert tracker.ready() == [str(path)]
        assert path.stat().st_size == 500_000


def test_a_download_that_is_renamed_arrives_complete(root: Path) -> None:
    ears = Ears()
    with watching(root, notify=ears):
        put(root / "a.jpg.part")
        (root / "a.jpg.part").rename(root / "a.jpg")
        assert ears.wait_for_file(root / "a.jpg").renamed
        assert ears.paths() == {None, f"{root}/a.jpg"}


def test_a_renamed_file_is_hinted_at_under_both_names(root: Path) -> None:
    put(root / "a.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        (root / "a.jpg").rename(root / "b.jpg")
        assert ears.wait_for_file(root / "b.jpg").renamed
        assert not ears.wait_for_file(root / "a.jpg").renamed


def test_a_deleted_file_a_link_and_a_changed_permission_are_hinted_at(root: Path) -> None:
    put(root / "a.jpg", root / "b.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        (root / "a.jpg").unlink()
        ears.wait_for_file(root / "a.jpg")
        (root / "b.jpg").chmod(0o600)
        ears.wait_for_file(root / "b.jpg")
        os.link(root / "b.jpg", root / "c.jpg")
        ears.wait_for_file(root / "c.jpg")
        (root / "d.jpg").symlink_to("b.jpg")
        ears.wait_for_file(root / "d.jpg")


def test_reading_a_photo_is_no_change(root: Path) -> None:
    put(root / "a.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        assert (root / "a.jpg").read_bytes()
        put(root / "end.jpg")
        ears.wait_for_file(root / "end.jpg")
        assert f"{root}/a.jpg" not in ears.paths()


def test_a_sidecar_hints_at_its_photo(root: Path) -> None:
    put(root / "a.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        put(root / "a.xmp")
        ears.wait_for_file(root / "a.jpg")
        ears.forget()
        (root / "a.xmp").unlink()
        ears.wait_for_file(root / "a.jpg")


def test_names_that_are_not_utf8(root: Path) -> None:
    ears = Ears()
    with watching(root, notify=ears):
        path = os.fsencode(root) + b"/caf\xe9.jpg"
        with open(path, "wb"):
            pass
        ears.wait(lambda hint: hint.path == os.fsdecode(path))


# -- folders


def test_a_tree_copied_in_is_seen_whole(root: Path, tmp_path: Path) -> None:
    wanted = {f"{folder}/{number}.jpg" for folder in ("", "/1", "/1/2", "/1/2/3", "/4") for number in range(60)}
    put(*(Path(f"{tmp_path}/source{path}") for path in wanted))
    follower = Follower()
    with watching(root, notify=follower) as watcher:
        shutil.copytree(tmp_path / "source", root / "copy")
        follower.follow(lambda files: files == {f"{root}/copy{path}" for path in wanted})
        wait_for_health(watcher, lambda health: health.folders == 6)


def test_a_folder_moved_in_is_seen_and_watched(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "album/deep/a.jpg")
    follower = Follower()
    with watching(root, notify=follower):
        (tmp_path / "album").rename(root / "album")
        follower.wait_for_folder(root / "album")
        put(root / "album/deep/b.jpg")
        follower.wait_for_file(root / "album/deep/b.jpg")
        follower.follow(lambda files: files == {f"{root}/album/deep/a.jpg", f"{root}/album/deep/b.jpg"})


def test_a_renamed_folder_is_followed_under_its_new_name_only(root: Path) -> None:
    put(root / "old/deep/a.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        (root / "old").rename(root / "new")
        ears.wait_for_folder(root / "new")
        assert ears.wait_for_folder(root / "old")
        ears.forget()
        put(root / "new/deep/b.jpg")
        ears.wait_for_file(root / "new/deep/b.jpg", closed=True)
        assert ears.paths() == {f"{root}/new/deep/b.jpg"}


def test_a_folder_moved_out_is_silent_afterwards(root: Path, tmp_path: Path) -> None:
    put(root / "album/deep/a.jpg")
    ears = Ears()
    with watching(root, notify=ears) as watcher:
        (root / "album").rename(tmp_path / "album")
        ears.wait_for_folder(root / "album")
        ears.forget()
        put(tmp_path / "album/deep/b.jpg", root / "end.jpg")
        ears.wait_for_file(root / "end.jpg", closed=True)
        assert ears.paths() == {f"{root}/end.jpg"}
        assert watcher.health()[0].folders == 1


def test_a_folder_moved_between_roots(tmp_path: Path) -> None:
    put(tmp_path / "one/album/a.jpg", tmp_path / "two/b.jpg")
    follower = Follower()
    with watching(tmp_path / "one", tmp_path / "two", notify=follower):
        (tmp_path / "one/album").rename(tmp_path / "two/album")
        follower.follow(lambda files: files == {f"{tmp_path}/two/album/a.jpg", f"{tmp_path}/two/b.jpg"})


def test_a_deleted_tree_is_hinted_at(root: Path) -> None:
    put(root / "album/deep/a.jpg", root / "album/b.jpg", root / "c.jpg")
    follower = Follower()
    with watching(root, notify=follower) as watcher:
        follower.follow(lambda files: len(files) == 3)
        shutil.rmtree(root / "album")
        follower.follow(lambda files: files == {f"{root}/c.jpg"})
        wait_for_health(watcher, lambda health: health.folders == 1)


def test_ignored_folders_are_not_even_watched(root: Path) -> None:
    put(root / "@eaDir/deep/a.jpg", root / "2019/raw/b.jpg")
    ears = Ears()
    with watching(root, notify=ears, rules=IgnoreRules(["raw/", "secret*.jpg"])) as watcher:
        assert watcher.health()[0].folders == 2  # the root and 2019
        put(root / "@eaDir/c.jpg", root / ".stversions/d.jpg", root / "2019/raw/e.jpg", root / "secret1.jpg")
        put(root / "end.jpg")
        ears.wait_for_file(root / "end.jpg", closed=True)
        assert ears.paths() == {None, f"{root}/end.jpg"}


def test_a_marker_silences_its_folder_while_it_is_there(root: Path) -> None:
    put(root / "album/deep/a.jpg")
    ears = Ears()
    with watching(root, notify=ears) as watcher:
        put(root / "album/.nomedia")
        ears.wait_for_folder(root / "album")
        wait_for_health(watcher, lambda health: health.folders == 2)
        put(root / "album/b.jpg", root / "album/deep/c.jpg", root / "end.jpg")
        ears.wait_for_file(root / "end.jpg", closed=True)
        assert ears.paths() == {None, f"{root}/album", f"{root}/end.jpg"}
        (root / "album/.nomedia").unlink()
        wait_for_health(watcher, lambda health: health.folders == 3)
        put(root / "album/deep/d.jpg")
        ears.wait_for_file(root / "album/deep/d.jpg")


def test_a_linked_folder_is_watched_while_the_link_is_there(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/a.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        (root / "link").symlink_to(tmp_path / "elsewhere")
        ears.wait_for_folder(root / "link")
        put(tmp_path / "elsewhere/b.jpg")
        ears.wait_for_file(root / "link/b.jpg", closed=True)
        ears.forget()
        (tmp_path / "elsewhere").rename(tmp_path / "away")  # no folder below the root is told of it
        ears.wait_for_folder(root / "link")


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
