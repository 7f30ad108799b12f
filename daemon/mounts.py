"""What is mounted where, and whether changes there can be heard of (`proc_pid_mountinfo(5)`)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

REMOTE_TYPES = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fakeowner",
        "fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "osxfs",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    ]
)
"""Somebody else can write here without this kernel knowing, so inotify stays silent."""

LOCAL_FUSE_TYPES = frozenset({"bindfs", "cryfs", "encfs", "gocryptfs", "lxcfs", "mergerfs", "ntfs-3g", "securefs"})
"""FUSE filesystems over local files. Any other ("fuse.sshfs", "fuse.rclone") is taken to be remote."""

FLEETING_TYPES = frozenset(
    [
        "9p",
        "cifs",
        "exfat",
        "fakeowner",
        "fuseblk",
        "msdos",
        "ncpfs",
        "osxfs",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "vfat",
        "vmhgfs",
    ]
)
"""A file has another inode number here each time the filesystem is mounted, or even read again; so it has in FUSE."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    point: str
    type: str
    device: int = field(default=0, compare=False)
    """`st_dev` of what is in it; of btrfs and overlayfs, whose files have others, that of no file."""

    @property
    def is_remote(self) -> bool:
        """True if inotify does not hear of every change in it."""
        family, _, kind = self.type.partition(".")
        return kind not in LOCAL_FUSE_TYPES if family == "fuse" and kind else self.type in REMOTE_TYPES

    @property
    def is_fuse(self) -> bool:
        """True if a program answers for its files."""
        return self.type.partition(".")[0] in {"fuse", "fuseblk"}

    @property
    def keeps_inodes(self) -> bool:
        """True if the inode number of a file lasts as long as the file."""
        return not self.is_fuse and self.type not in FLEETING_TYPES


def read_mounts(proc: Path = Path("/proc")) -> tuple[Mount, ...]:
    """Everything mounted, in the order it was; empty where the system does not tell."""
    try:
        text = (proc / "self" / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    mounts = []
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        _, _, device, _, point, *_ = fields.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
        mounts.append(Mount(point, rest.split(" ")[0], os.makedev(*map(int, device.split(":")))))
    return tuple(mounts)


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds a real path: the longest mount point above it, the later of two at one place."""
    found = None
    for mount in mounts:
        if _lies_in(path, mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def by_device(mounts: Sequence[Mount]) -> dict[int, Mount]:
    """What is mounted, by the device (`st_dev`) of the files in it."""
    return {mount.device: mount for mount in mounts}


def mounts_below(path: str, mounts: Sequence[Mount]) -> tuple[Mount, ...]:
    """The mounts whose points lie below a real path."""
    return tuple(mount for mount in mounts if mount.point != path and _lies_in(mount.point, path))


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
