"""What is mounted where, and whether changes there can be heard of (`proc_pid_mountinfo(5)`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo."""

    point: str
    type: str

    @property
    def is_remote(self) -> bool:
        """True if inotify does not hear of every change in it."""
        family, _, kind = self.type.partition(".")
        return kind not in LOCAL_FUSE_TYPES if family == "fuse" and kind else self.type in REMOTE_TYPES


def read_mounts(proc: Path = Path("/proc")) -> tuple[Mount, ...]:
    """Everything mounted, in the order it was; empty where the system does not tell."""
    try:
        text = (proc / "self" / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    mounts = []
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields.split(" ")[4])
        mounts.append(Mount(point, rest.split(" ")[0]))
    return tuple(mounts)


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that holds a real path: the longest mount point above it, the later of two at one place."""
    found = None
    for mount in mounts:
        if _lies_in(path, mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def mounts_below(path: str, mounts: Sequence[Mount]) -> tuple[Mount, ...]:
    """The mounts whose points lie below a real path."""
    return tuple(mount for mount in mounts if mount.point != path and _lies_in(mount.point, path))


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
