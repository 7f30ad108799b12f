"""Look at a root as it is now, and compare it with what the catalog remembers. The scan is the truth."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from daemon.ignore import IgnoreRules
from daemon.tree import Folder, walk
from indexer.media.formats import MEDIA_SUFFIXES, is_media, is_sidecar, sidecars_of
from search.catalog import FileStat, KnownFile

MANY = 100
"""An empty root in which more files than this are known is taken for a disk that is not mounted, if nobody remembers
which folder it was."""


@dataclass(slots=True)
class Scan:
    """What is at and below a folder of a root."""

    root: str
    below: str
    """The folder that was looked at: the root itself, or one below it."""
    files: dict[str, FileStat] = field(default_factory=dict)
    """Every media file the rules let in, by path."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Folders and files that are there and cannot be looked at, with the system's reason."""
    devices: set[int] = field(default_factory=set)
    """The filesystems (`st_dev`) that were walked, with that of the closest folder above `below`."""
    folders: int = 0
    absent: str | None = None
    """Why the root itself cannot be read, if it cannot. Then nothing else is known."""
    empty: bool = False
    """The root has nothing in it at all."""
    identity: tuple[int, int] | None = None
    """Device and inode of the root."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a scan differs from what the catalog remembers."""

    changed: list[FileStat]
    """New, different, or back again: what the catalog must be told once it has settled."""
    missing: list[str]
    """Known, and gone for good reason to believe so."""
    returned: int
    """How many of `changed` had been missing."""
    protected: list[str]
    """Known and not seen, but kept: the folder cannot be read, or the disk they are on is not there."""
    vanished: bool
    """The root as a whole is not there (an unmounted disk): nothing was compared."""
    reason: str | None
    """Why something is protected or vanished, as one sentence for people."""
    unsure: int = 0
    """How many of `protected` were deleted, or are on a disk that is not mounted: nobody can tell."""


def scan_root(root: str, rules: IgnoreRules, below: str | None = None) -> Scan:
    """Look at every media file below a root, without opening any.

    Folders are walked as `daemon.tree.walk` says (symbolic links, loops). A symbolic link to a file is a path of its
    own, with the size, times and inode of its target; a dangling one is unreadable. Hard links are just two paths.
    Devices, sockets and pipes never enter, whatever their name.

    Args:
        root: absolute path.
        rules: what to leave out.
        below: look only at this folder below the root, which may be gone.
    """
    scan = Scan(root, below or root)
    try:
        status = os.stat(root)
        scan.identity = status.st_dev, status.st_ino
        scan.devices.add(status.st_dev)
        with os.scandir(root) as entries:
            scan.empty = next(entries, None) is None
    except OSError as error:
        scan.absent = _why(error)
        return scan
    scan.devices.add(_device_above(scan.below))
    for folder in walk(root, rules, scan.below):
        scan.folders += 1
        scan.devices.add(folder.device)
        _look_into(folder, scan, rules)
    return scan


def look(path: str) -> FileStat | None:
    """One media file as it is now, with its sidecar; None if it is gone or no regular file.

    Raises:
        OSError: it is there, or may be, and cannot be looked at.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileStat(path, status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, *_find_sidecar(path))


def media_of_sidecar(path: str) -> list[str]:
    """The media files there are that a sidecar may belong to: a.jpg for a.jpg.xmp; a.jpg, a.cr2, ... for a.xmp."""
    stem = os.path.splitext(path)[0]
    candidates = (
        [stem] if is_media(stem) else [stem + end for suffix in MEDIA_SUFFIXES for end in (suffix, suffix.upper())]
    )
    return [candidate for candidate in candidates if os.path.lexists(candidate)]


def compare(scan: Scan, known: Mapping[str, KnownFile], remembered: tuple[int, int] | None = None) -> Changes:
    """What a scan changes in what the catalog knows at and below the same folder. Pure.

    "A vanished root is an unmounted disk, not a mass deletion": the root has *vanished*, and nothing is compared, if

    - it does not exist, is no folder or cannot be read; or
    - it is entirely empty and another folder than the one that held files: a bare mount point. What it was is
      `remembered` by device and inode; if it is not, an empty root in which more than `MANY` files are known counts.

    Otherwise a known file that was not seen is *missing*, but *protected* if

    - it is, or lies in, something unreadable; or
    - the filesystem it was on is not there: no folder on that device was walked, and no known file of that device
      is still at its place with its inode. (Device numbers may change when a disk is mounted again, so a new number
      alone means nothing.) This covers disks mounted at the root and anywhere below it, also when something has been
      copied into the empty mount point meanwhile.
    """
    live = [file for file in known.values() if file.missing_since is None]
    if scan.absent is not None:
        closed = scan.absent == os.strerror(errno.EACCES)
        return _vanished(f"The folder {scan.root} cannot be read: {scan.absent}.", live, unsure=not closed)
    if scan.empty and live and (len(live) > MANY if remembered is None else remembered != scan.identity):
        return _vanished(
            f"The folder {scan.root} is empty, but {len(live)} files are known in it: its disk seems not mounted.",
            live,
            unsure=True,
        )
    changed = []
    returned = 0
    devices = set(scan.devices)
    for path, seen in scan.files.items():
        old = known.get(path)
        if old is None or not _same(seen, old):
            changed.append(seen)
        if old is not None:
            returned += old.missing_since is not None
            if old.inode == seen.inode:
                devices.add(old.device)
    missing, protected = [], []
    unsure = 0
    reason = None
    for file in live:
        if file.path in scan.files:
            continue
        if scan.unreadable and (obstacle := _obstacle(file.path, scan.unreadable)):
            reason = f"{obstacle} cannot be read: {scan.unreadable[obstacle]}."
        elif file.device not in devices:
            reason = f"The disk that held {os.path.dirname(file.path)} is not mounted."
            unsure += 1
        else:
            missing.append(file.path)
            continue
        protected.append(file.path)
    return Changes(changed, missing, returned, protected, vanished=False, reason=reason, unsure=unsure)


def _vanished(reason: str, live: list[KnownFile], *, unsure: bool) -> Changes:
    protected = [file.path for file in live]
    return Changes([], [], 0, protected, vanished=True, reason=reason, unsure=len(live) if unsure else 0)


def _same(seen: FileStat, old: KnownFile) -> bool:
    return (
        seen.size == old.size
        and seen.mtime_ns == old.mtime_ns
        and seen.inode == old.inode
        and seen.device == old.device
        and seen.sidecar == old.sidecar
        and seen.sidecar_mtime_ns == old.sidecar_mtime_ns
        and old.missing_since is None
    )


def _obstacle(path: str, unreadable: Mapping[str, str]) -> str | None:
    """The unreadable thing at or above a path."""
    while path not in unreadable:
        above = os.path.dirname(path)
        if above == path:
            return None
        path = above
    return path


def _look_into(folder: Folder, scan: Scan, rules: IgnoreRules) -> None:
    if folder.error is not None:
        scan.unreadable[folder.path] = _why(folder.error)
    skip = len(scan.root.rstrip("/")) + 1
    media: list[os.DirEntry[str]] = []
    sidecars: set[str] = set()
    for entry in folder.files:
        if is_media(entry.name):
            if not rules.skips_file(entry.path[skip:]):
                media.append(entry)
        elif is_sidecar(entry.name):
            sidecars.add(entry.path)
        elif entry.is_symlink() and not os.path.exists(entry.path):
            scan.unreadable[entry.path] = "the link leads nowhere"  # perhaps to a folder on an unmounted disk
    for entry in media:
        path = entry.path
        try:
            status = entry.stat()
            if not stat.S_ISREG(status.st_mode):
                continue
        except OSError as error:
            if entry.is_symlink() or not isinstance(error, FileNotFoundError):
                scan.unreadable[path] = _why(error)
            continue
        name, changed = _find_sidecar(path, sidecars) if sidecars else (None, None)
        scan.files[path] = FileStat(
            path, status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, name, changed
        )


def _find_sidecar(path: str, sidecars: Collection[str] | None = None) -> tuple[str | None, int | None]:
    """Path and mtime (ns) of a media file's sidecar. `sidecars`: the only ones that can be there, if that is known."""
    for candidate in sidecars_of(path):
        if sidecars is None or candidate in sidecars:
            try:
                return candidate, os.stat(candidate).st_mtime_ns
            except OSError:
                continue
    return None, None


def _device_above(folder: str) -> int:
    """The device of a folder, or of the closest one above it that exists."""
    while True:
        try:
            return os.stat(folder).st_dev
        except OSError:
            folder = os.path.dirname(folder)


def _why(error: OSError) -> str:
    return error.strerror or str(error)
