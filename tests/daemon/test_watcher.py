"""Real inotify on real folders: every change of a file or folder is hinted at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from daemon.ignore import IgnoreRules
from daemon.scan import look
from daemon.settle import SettleTracker
from daemon.watcher import RootHealth
from tests.daemon.ears import Ears, Follower, put, wait_for_health, watching


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


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


def test_a_sidecar_is_hinted_at_when_it_comes_and_goes(root: Path) -> None:
    put(root / "a.jpg")
    ears = Ears()
    with watching(root, notify=ears):
        put(root / "a.xmp")
        assert ears.wait_for_file(root / "a.xmp").kind == "sidecar"
        ears.forget()
        (root / "a.xmp").unlink()
        assert ears.wait_for_file(root / "a.xmp").kind == "sidecar"


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
