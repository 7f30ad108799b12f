"""Which filesystem a folder is on, read from a system's own table."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from daemon.inotify_limits import InotifyLimits, read_limits
from daemon.mounts import Mount, mount_of, mounts_below, read_mounts

TABLE = r"""
22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw
28 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 28 8:17 / /srv/My\040Photos rw shared:5 master:1 - ext4 /dev/sdb1 rw
41 40 0:50 / /srv/My\040Photos/nas rw - cifs //nas/photos rw
42 28 0:51 / /mnt/disk rw - autofs systemd-1 rw
43 42 0:52 / /mnt/disk rw - nfs4 nas:/disk rw
""".lstrip()


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(TABLE)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "point", "kind"),
    [
        ("/home/a", "/", "ext4"),
        ("/srv/My Photos", "/srv/My Photos", "ext4"),
        ("/srv/My Photos 2", "/", "ext4"),
        ("/srv/My Photos/nas/2019", "/srv/My Photos/nas", "cifs"),
        ("/mnt/disk/a", "/mnt/disk", "nfs4"),
    ],
)
def test_the_mount_of_a_path(proc: Path, path: str, point: str, kind: str) -> None:
    assert mount_of(path, read_mounts(proc)) == Mount(point, kind)


def test_the_mounts_below_a_path(proc: Path) -> None:
    assert mounts_below("/srv", read_mounts(proc)) == (
        Mount("/srv/My Photos", "ext4"),
        Mount("/srv/My Photos/nas", "cifs"),
    )
    assert mounts_below("/mnt/disk", read_mounts(proc)) == ()


def test_a_system_without_the_table(tmp_path: Path) -> None:
    assert read_mounts(tmp_path) == ()
    assert mount_of("/home", ()) is None
    assert read_limits(tmp_path) == InotifyLimits(None, None)


def test_this_system_has_a_root() -> None:
    assert mount_of("/", read_mounts()) is not None


@pytest.mark.parametrize(
    ("kind", "remote"),
    [
        ("ext4", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("fuseblk", False),
        ("fuse.mergerfs", False),
        ("fuse.sshfs", True),
        ("fuse.rclone", True),
        ("nfs4", True),
        ("cifs", True),
        ("9p", True),
    ],
)
def test_which_filesystems_are_remote(kind: str, *, remote: bool) -> None:
    assert Mount("/x", kind).is_remote is remote


def test_each_limit_has_its_remedy() -> None:
    limits = InotifyLimits(8192, 128)
    reason, remedy = limits.explain(OSError(errno.ENOSPC, "inotify watch limit reached"))
    assert "8192" in reason
    assert "fs.inotify.max_user_watches=524288" in remedy
    reason, remedy = limits.explain(OSError(errno.EMFILE, "inotify instance limit reached"))
    assert "128" in reason
    assert "fs.inotify.max_user_instances=1024" in remedy
    reason, remedy = limits.explain(OSError(errno.EACCES, "Permission denied"))
    assert "Permission denied" in reason
    assert remedy == ""


def test_a_generous_limit_that_is_met_is_doubled() -> None:
    _, remedy = InotifyLimits(1_000_000, 128).explain(OSError(errno.ENOSPC, ""))
    assert "max_user_watches=2000000" in remedy
