"""Disks that are not mounted and folders that cannot be read: what was known of them is kept."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from daemon.scan import MANY, Scan, compare, scan_root
from tests.daemon.scanned import OTHER_DISK, RULES, known_in, on_disk, put, remember
from tests.daemon.scanned import root as root  # noqa: PLC0414 - pytest finds fixtures by name


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
