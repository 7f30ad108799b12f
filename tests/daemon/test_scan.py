"""A root as it is, against what is remembered of it, on a real filesystem."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.ignore import IgnoreRules
from daemon.scan import MANY, Scan, Sidecars, compare, look, scan_root
from search.catalog import FileStat, KnownFile

RULES = IgnoreRules()
OTHER_DISK = 987654


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")


def names(root: Path, rules: IgnoreRules = RULES) -> list[str]:
    """The scanned paths, relative to the root."""
    return sorted(os.path.relpath(path, root) for path in scan_root(str(root), rules).files)


def remember(files: Iterable[FileStat]) -> dict[str, KnownFile]:
    """What the catalog would know after these were recorded."""
    return {
        file.path: KnownFile(
            file.path, file.size, file.mtime_ns, file.inode, file.device, file.sidecars, file.sidecars_stamp, 1
        )
        for file in files
    }


def known_in(root: Path) -> dict[str, KnownFile]:
    return remember(scan_root(str(root), RULES).files.values())


def on_disk(known: dict[str, KnownFile], device: int) -> dict[str, KnownFile]:
    return {path: replace(file, device=device) for path, file in known.items()}


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


# -- unmounted disks, unreadable folders


def test_a_root_that_is_gone_loses_nothing(root: Path) -> None:
    put(root / "a.jpg")
    known = known_in(root)
    shutil.rmtree(root)
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.vanished
    assert changes.missing == []
    assert changes.protected == [f"{root}/a.jpg"]
    assert changes.reason == f"The folder {root} cannot be read: No such file or directory."


def test_a_root_that_became_a_file_loses_nothing(root: Path) -> None:
    put(root / "a.jpg")
    known = known_in(root)
    shutil.rmtree(root)
    root.write_bytes(b"")
    assert compare(scan_root(str(root), RULES), known).vanished


def test_a_mount_point_without_its_disk_loses_nothing(root: Path) -> None:
    put(root / "a.jpg", root / "b/c.jpg")
    known = on_disk(known_in(root), OTHER_DISK)
    shutil.rmtree(root)
    root.mkdir()
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.missing == []
    assert len(changes.protected) == 2
    assert changes.reason is not None
    assert "not mounted" in changes.reason


def test_a_file_copied_into_the_bare_mount_point_changes_nothing_of_that(root: Path) -> None:
    put(root / "a.jpg", root / "b/c.jpg")
    known = on_disk(known_in(root), OTHER_DISK)
    shutil.rmtree(root)
    put(root / "stray.jpg")
    changes = compare(scan_root(str(root), RULES), known)
    assert [file.path for file in changes.changed] == [f"{root}/stray.jpg"]
    known |= known_in(root)
    assert compare(scan_root(str(root), RULES), known).missing == []


def test_a_disk_below_the_root_protects_only_its_own_files(root: Path) -> None:
    put(root / "a.jpg", root / "b.jpg", root / "disk/c.jpg")
    known = known_in(root)
    known[f"{root}/disk/c.jpg"] = replace(known[f"{root}/disk/c.jpg"], device=OTHER_DISK)
    (root / "disk/c.jpg").unlink()
    (root / "b.jpg").unlink()
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.missing == [f"{root}/b.jpg"]
    assert changes.protected == [f"{root}/disk/c.jpg"]
    below = {f"{root}/disk/c.jpg": known[f"{root}/disk/c.jpg"]}
    assert compare(scan_root(str(root), RULES, f"{root}/disk"), below).missing == []


def test_a_disk_mounted_under_another_number_is_the_same_disk(root: Path) -> None:
    put(root / "a.jpg", root / "b.jpg")
    known = on_disk(known_in(root), OTHER_DISK)
    (root / "b.jpg").unlink()
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.missing == [f"{root}/b.jpg"]
    assert changes.changed == []
    assert [file.path for file in changes.noted] == [f"{root}/a.jpg"]  # its device is to be remembered anew


def test_an_empty_root_with_many_known_photos_is_an_unmounted_disk(root: Path) -> None:
    put(*(root / f"{number}.jpg" for number in range(MANY + 1)))
    known = known_in(root)
    shutil.rmtree(root)
    root.mkdir()
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.vanished
    assert changes.missing == []
    put(root / "new.jpg")
    assert len(compare(scan_root(str(root), RULES), known).missing) == MANY + 1


def test_an_empty_root_is_judged_by_which_folder_it_is(root: Path) -> None:
    put(*(root / f"{number}.jpg" for number in range(MANY + 1)))
    known = known_in(root)
    before = scan_root(str(root), RULES).identity
    for path in root.iterdir():
        path.unlink()
    scan = scan_root(str(root), RULES)
    assert len(compare(scan, known, before).missing) == MANY + 1
    for other in ((OTHER_DISK, 1), (0, 0)):
        changes = compare(scan, dict(list(known.items())[:1]), other)
        assert (changes.vanished, changes.missing, changes.unsure) == (True, [], 1)


def test_a_small_root_may_be_emptied(root: Path) -> None:
    put(root / "a.jpg")
    known = known_in(root)
    (root / "a.jpg").unlink()
    assert compare(scan_root(str(root), RULES), known).missing == [f"{root}/a.jpg"]


def test_a_folder_that_cannot_be_read_keeps_its_files(root: Path) -> None:
    """A path longer than the system allows is unreadable for root too."""
    put(root / "a.jpg")
    folder, descriptor = str(root), os.open(root, os.O_RDONLY)
    for _ in range(20):
        folder += "/" + "x" * 250
        os.mkdir("x" * 250, dir_fd=descriptor)
        deeper = os.open("x" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)
    inside = f"{folder}/deep.jpg"
    scan = scan_root(str(root), RULES)
    assert list(scan.files) == [f"{root}/a.jpg"]
    assert list(scan.unreadable.values()) == ["File name too long"]
    known = known_in(root) | remember([replace(scan.files[f"{root}/a.jpg"], path=inside)])
    changes = compare(scan, known)
    assert changes.missing == []
    assert changes.protected == [inside]
    assert changes.reason is not None
    assert changes.reason.endswith("cannot be read: File name too long.")
    shutil.rmtree(root)


def test_a_link_whose_target_is_unmounted_is_kept(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "disk/a.jpg", root / "b.jpg")
    (root / "a.jpg").symlink_to(tmp_path / "disk/a.jpg")
    known = known_in(root)
    shutil.rmtree(tmp_path / "disk")
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.missing == []
    assert changes.protected == [f"{root}/a.jpg"]


def test_a_linked_folder_whose_target_is_unmounted_keeps_its_files(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "disk/photos/a.jpg", root / "b.jpg")
    (root / "link").symlink_to(tmp_path / "disk/photos")
    known = known_in(root)
    assert f"{root}/link/a.jpg" in known
    (tmp_path / "disk").rename(tmp_path / "away")
    changes = compare(scan_root(str(root), RULES), known)
    assert changes.protected == [f"{root}/link/a.jpg"]
    assert changes.reason == f"{root}/link cannot be read: the link leads nowhere."
    (root / "link").unlink()
    assert compare(scan_root(str(root), RULES), known).missing == [f"{root}/link/a.jpg"]


def test_a_vanished_scan_says_nothing_else(tmp_path: Path) -> None:
    scan = scan_root(str(tmp_path / "nowhere"), RULES)
    assert scan == Scan(f"{tmp_path}/nowhere", f"{tmp_path}/nowhere", absent="No such file or directory")
