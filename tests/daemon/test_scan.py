"""A root as it is, against what is remembered of it, on a real filesystem."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.ignore import IgnoreRules
from daemon.scan import Sidecars, compare, look, scan_root
from search.catalog import FileStat
from tests.daemon.scanned import RULES, known_in, names, put
from tests.daemon.scanned import root as root  # noqa: PLC0414 - pytest finds fixtures by name

# -- walking


def test_media_are_found_at_every_depth_and_nothing_else(root: Path) -> None:
    put(root / "a.JPG", root / "2019/may/b.heic", root / "film.MP4", root / "2019/memo.m4a")
    put(root / "notes.txt", root / "2019/c.xmp", root / "list.m3u8", root / "index.ts", root / "go.mod")
    assert names(root) == ["2019/may/b.heic", "2019/memo.m4a", "a.JPG", "film.MP4"]


def test_a_file_is_described_by_its_stat(root: Path) -> None:
    put(root / "a.jpg")
    os.utime(root / "a.jpg", ns=(1, 123_456_789_123_456_789))
    status = (root / "a.jpg").stat()
    scan = scan_root(str(root), RULES)
    assert scan.files == {
        f"{root}/a.jpg": FileStat(
            f"{root}/a.jpg",
            6,
            123_456_789_123_456_789,
            status.st_ino,
            status.st_dev,
            ctime_ns=status.st_ctime_ns,
        )
    }
    assert scan.folders == 1
    assert not scan.empty
    assert look(f"{root}/a.jpg") == scan.files[f"{root}/a.jpg"]


def test_what_the_rules_leave_out_is_not_entered(root: Path) -> None:
    put(root / "a.jpg", root / "@eaDir/a.jpg", root / ".Trash-1000/b.jpg", root / "._a.jpg", root / "c/raw/d.jpg")
    put(root / "marked/.nomedia", root / "marked/e.jpg", root / "marked/deep/f.jpg")
    assert names(root, IgnoreRules(["raw/"])) == ["a.jpg"]


def test_a_root_may_itself_have_an_ignored_name(tmp_path: Path) -> None:
    put(tmp_path / ".hidden/a.jpg")
    assert names(tmp_path / ".hidden") == ["a.jpg"]


def test_names_that_are_not_utf8_survive(root: Path) -> None:
    path = os.fsencode(root) + b"/caf\xe9\n.jpg"
    with open(path, "wb") as file:
        file.write(b"x")
    (found,) = scan_root(str(root), RULES).files
    assert os.fsencode(found) == path
    assert look(found) is not None


def test_loops_of_links_end(root: Path) -> None:
    put(root / "a/b.jpg")
    (root / "a/again").symlink_to(root / "a")
    (root / "a/up").symlink_to("..")
    (root / "everything").symlink_to("/")
    (root / "self").symlink_to("self")
    assert names(root) == ["a/b.jpg"]


def test_a_linked_folder_elsewhere_is_entered_once(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/a.jpg")
    (root / "link1").symlink_to(tmp_path / "elsewhere")
    (root / "link2").symlink_to(tmp_path / "elsewhere")
    assert names(root) == ["link1/a.jpg"]


def test_a_photo_is_known_by_its_real_path_rather_than_by_a_link(root: Path) -> None:
    put(root / "z/a.jpg")
    (root / "a link that sorts first").symlink_to(root / "z")
    assert names(root) == ["z/a.jpg"]


def test_a_linked_photo_is_a_path_of_its_own(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "outside.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (file,) = scan_root(str(root), RULES).files.values()
    assert (file.path, file.inode) == (f"{root}/link.jpg", (tmp_path / "outside.jpg").stat().st_ino)


def test_hard_links_are_two_paths(root: Path) -> None:
    put(root / "a.jpg")
    os.link(root / "a.jpg", root / "b.jpg")
    assert names(root) == ["a.jpg", "b.jpg"]


def test_pipes_sockets_and_folders_named_like_photos_are_no_photos(root: Path) -> None:
    os.mkfifo(root / "pipe.jpg")
    (root / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{root}/socket.jpg")
        assert names(root) == []
        assert look(f"{root}/pipe.jpg") is None
        assert look(f"{root}/folder.jpg") is None


def test_what_a_camera_writes_beside_its_recordings_is_left_out_only_with_them(root: Path) -> None:
    card = root / "M4ROOT"
    put(card / "CLIP/C0001.MP4", card / "SUB/C0001S03.MP4", card / "THMBNL/C0001T01.JPG", card / "SUB/C0002S03.MP4")
    put(root / "MVI_1.AVI", root / "MVI_1.THM", root / "MVI_2.THM")
    (root / "MVI_2.THM").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")
    assert names(root) == ["M4ROOT/CLIP/C0001.MP4", "M4ROOT/SUB/C0002S03.MP4", "MVI_1.AVI", "MVI_2.THM"]
    assert names(card / "SUB") == ["C0002S03.MP4"]
    (card / "CLIP/C0001.MP4").unlink()
    assert "M4ROOT/SUB/C0001S03.MP4" in names(root)


def test_looking_below_one_folder(root: Path) -> None:
    put(root / "a.jpg", root / "2019/b.jpg", root / "2019/may/c.jpg")
    scan = scan_root(str(root), IgnoreRules(["/2019/may"]), f"{root}/2019")
    assert list(scan.files) == [f"{root}/2019/b.jpg"]


# -- sidecars


@pytest.mark.parametrize("sidecar", ["a.jpg.xmp", "a.xmp", "a.jpg.XMP", "a.XMP", "A.JPG.xmp", "A.Xmp"])
def test_a_sidecar_belongs_to_its_photo(root: Path, sidecar: str) -> None:
    put(root / "a.jpg", root / sidecar)
    (file,) = scan_root(str(root), RULES).files.values()
    assert file.sidecars == (f"{root}/{sidecar}",)
    assert file.sidecars_stamp == (root / sidecar).stat().st_mtime_ns
    assert look(file.path) == file
    assert Sidecars().media_of([f"{root}/{sidecar}"]) == [f"{root}/a.jpg"]


def test_the_more_specific_sidecar_comes_first(root: Path) -> None:
    put(root / "a.jpg", root / "a.xmp", root / "a.jpg.xmp")
    (file,) = scan_root(str(root), RULES).files.values()
    assert file.sidecars == (f"{root}/a.jpg.xmp", f"{root}/a.xmp")
    assert look(file.path) == file
    os.utime(root / "a.xmp", ns=(1, 1))
    again = look(file.path)
    assert again is not None
    assert again.sidecars_stamp != file.sidecars_stamp, "either may change"


def test_one_sidecar_may_belong_to_several_photos(root: Path) -> None:
    put(root / "a.JPG", root / "a.cr2", root / "b.jpg", root / "a.xmp")
    assert sorted(Sidecars().media_of([f"{root}/a.xmp"])) == [f"{root}/a.JPG", f"{root}/a.cr2"]
    assert {file.sidecars for file in scan_root(str(root), RULES).files.values()} == {(f"{root}/a.xmp",), ()}


# -- comparing


def test_nothing_changed(root: Path) -> None:
    put(root / "a.jpg", root / "b/c.jpg", root / "b/c.xmp")
    changes = compare(scan_root(str(root), RULES), known_in(root))
    assert (changes.changed, changes.missing, changes.protected) == ([], [], [])
    assert not changes.vanished
    assert changes.reason is None


def test_new_written_replaced_and_deleted_files(root: Path) -> None:
    put(root / "kept.jpg", root / "written.jpg", root / "replaced.jpg", root / "deleted.jpg")
    known = known_in(root)
    (root / "written.jpg").write_bytes(b"other pixels")
    put(root / "new.jpg", root / "copy.jpg")
    shutil.copystat(root / "replaced.jpg", root / "copy.jpg")
    (root / "copy.jpg").rename(root / "replaced.jpg")
    (root / "deleted.jpg").unlink()
    changes = compare(scan_root(str(root), RULES), known)
    assert sorted(Path(file.path).name for file in changes.changed) == ["new.jpg", "replaced.jpg", "written.jpg"]
    assert changes.missing == [f"{root}/deleted.jpg"]


@pytest.mark.parametrize("sidecar", ["a.xmp", "a.jpg.xmp"])
def test_a_sidecar_that_comes_changes_and_goes_is_a_change(root: Path, sidecar: str) -> None:
    put(root / "a.jpg")
    known = known_in(root)
    put(root / sidecar)
    assert [file.sidecars for file in compare(scan_root(str(root), RULES), known).changed] == [(f"{root}/{sidecar}",)]
    known = known_in(root)
    os.utime(root / sidecar, ns=(1, 1))
    assert len(compare(scan_root(str(root), RULES), known).changed) == 1
    known = known_in(root)
    (root / sidecar).unlink()
    assert [file.sidecars for file in compare(scan_root(str(root), RULES), known).changed] == [()]


def test_a_file_that_was_missing_returns(root: Path) -> None:
    put(root / "a.jpg")
    known = {path: replace(file, missing_since=5.0) for path, file in known_in(root).items()}
    changes = compare(scan_root(str(root), RULES), known)
    assert [file.path for file in changes.changed] == [f"{root}/a.jpg"]
    assert changes.returned == 1


def test_a_file_already_missing_is_not_missing_again(root: Path) -> None:
    put(root / "a.jpg", root / "b.jpg")
    known = {path: replace(file, missing_since=5.0) for path, file in known_in(root).items()}
    (root / "a.jpg").unlink()
    assert compare(scan_root(str(root), RULES), known).missing == []


def test_a_folder_that_a_marker_appears_in_leaves_the_library(root: Path) -> None:
    put(root / "a/b.jpg", root / "a/c/d.jpg", root / "e.jpg")
    known = known_in(root)
    put(root / "a/.nomedia")
    assert sorted(compare(scan_root(str(root), RULES), known).missing) == [f"{root}/a/b.jpg", f"{root}/a/c/d.jpg"]


def test_a_folder_moved_out_is_missing(root: Path, tmp_path: Path) -> None:
    put(root / "a/b.jpg", root / "c.jpg")
    known = {path: file for path, file in known_in(root).items() if "/a/" in path}
    (root / "a").rename(tmp_path / "a")
    changes = compare(scan_root(str(root), RULES, f"{root}/a"), known)
    assert changes.missing == [f"{root}/a/b.jpg"]
