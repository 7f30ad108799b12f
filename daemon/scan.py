"""Look at a root as it is now, and compare it with what the catalog remembers. The scan is the truth."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from daemon.glance import Glance
from daemon.ignore import IgnoreRules
from daemon.mounts import Mount
from daemon.tree import Folder, walk
from indexer.media.formats import is_media, is_open, suffix_passed_over
from indexer.media.metadata.companions import Companions, is_companion
from indexer.media.proxies import original_of
from search.catalog import FileStat, KnownFile

MANY = 100
"""An empty root in which more files than this are known is taken for a disk that is not mounted, if nobody remembers
which folder it was."""

NO_MOUNTS: Mapping[int, Mount] = MappingProxyType({})


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
    passed_over: Counter[str] = field(default_factory=Counter)
    """How many files the rules let in and nothing is known of, by suffix; what goes with media files is not counted."""
    identity: tuple[int, int] | None = None
    """Device and inode of the root."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a scan differs from what the catalog remembers."""

    changed: list[FileStat]
    """New, different, or back again: what the catalog must be told once it has settled."""
    noted: list[FileStat]
    """Unchanged, but for an inode, a device or a time that says nothing about the content."""
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


def scan_root(
    root: str,
    rules: IgnoreRules,
    below: str | None = None,
    *,
    mounts: Mapping[int, Mount] = NO_MOUNTS,
    glance: Glance | None = None,
    known: Collection[str] = (),
) -> Scan:
    """Look at every media file below a root. Only those are opened whose names leave open what they are.

    Folders are walked as `daemon.tree.walk` says (symbolic links, loops). A symbolic link to a file is a path of its
    own, with the size, times and inode of its target; a dangling one is unreadable. Hard links are just two paths.
    Devices, sockets and pipes never enter, whatever their name.

    Args:
        root: absolute path.
        rules: what to leave out.
        below: look only at this folder below the root, which may be gone.
        mounts: by device, what is mounted.
        glance: tells what such files are, and remembers it from scan to scan.
        known: paths that are in the library, and stay whatever their names are.
    """
    glance = glance or Glance()
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
        _look_into(folder, scan, rules, mounts=mounts, glance=glance, known=known)
    return scan


class Sidecars:
    """The sidecars of media files. A folder is read once, so make another one for each batch of looks."""

    def __init__(self) -> None:
        self._folders: dict[str, Companions] = {}

    def of(self, path: str) -> tuple[tuple[str, ...], int | None]:
        """Paths of the sidecars of a media file that can be looked at, and their stamp."""
        folder, name = os.path.split(path)
        return stamped([os.path.join(folder, one) for one in self._companions(folder).of(name)])

    def media_of(self, sidecars: Collection[str]) -> list[str]:
        """The media files there are that any of these paths of sidecars, which may be gone, speaks about."""
        folders: defaultdict[str, set[str]] = defaultdict(set)
        for path in sidecars:
            folder, name = os.path.split(path)
            folders[folder].add(name)
        found = []
        for folder, changed in folders.items():
            names = _names_in(folder)
            companions = Companions([*names, *changed])
            found += [
                os.path.join(folder, name)
                for name in names
                if is_media(name) and not changed.isdisjoint(companions.of(name))
            ]
        return found

    def _companions(self, folder: str) -> Companions:
        if folder not in self._folders:
            self._folders[folder] = Companions(_names_in(folder))
        return self._folders[folder]


def look(path: str, sidecars: Sidecars | None = None, mounts: Mapping[int, Mount] = NO_MOUNTS) -> FileStat | None:
    """One media file as it is now, with its sidecars; None if it is gone or no regular file.

    Who looks at many files passes the same `sidecars` for all.

    Raises:
        OSError: it is there, or may be, and cannot be looked at.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _described(path, status, mounts, *(sidecars or Sidecars()).of(path))


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
    noted = []
    returned = 0
    devices = set(scan.devices)
    for path, seen in scan.files.items():
        old = known.get(path)
        if old is None or not _same(seen, old):
            changed.append(seen)
        elif _inode_facts(seen) != _inode_facts(old):
            noted.append(seen)
        if old is not None:
            returned += old.missing_since is not None
            if old.inode == seen.inode and (seen.inode or seen.continues(old)):
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
    return Changes(changed, noted, missing, returned, protected, vanished=False, reason=reason, unsure=unsure)


def _vanished(reason: str, live: list[KnownFile], *, unsure: bool) -> Changes:
    protected = [file.path for file in live]
    return Changes([], [], [], 0, protected, vanished=True, reason=reason, unsure=len(live) if unsure else 0)


def _same(seen: FileStat, old: KnownFile) -> bool:
    return (
        seen.continues(old)
        and seen.sidecars == old.sidecars
        and seen.sidecars_stamp == old.sidecars_stamp
        and old.missing_since is None
    )


def _inode_facts(stat: FileStat) -> tuple[int, int, int, int | None]:
    return stat.mtime_ns, stat.inode, stat.device, stat.ctime_ns


def _obstacle(path: str, unreadable: Mapping[str, str]) -> str | None:
    """The unreadable thing at or above a path."""
    while path not in unreadable:
        above = os.path.dirname(path)
        if above == path:
            return None
        path = above
    return path


def _look_into(
    folder: Folder,
    scan: Scan,
    rules: IgnoreRules,
    *,
    mounts: Mapping[int, Mount],
    glance: Glance,
    known: Collection[str],
) -> None:
    if folder.error is not None:
        scan.unreadable[folder.path] = _why(folder.error)
    skip = len(scan.root.rstrip("/")) + 1
    media: list[os.DirEntry[str]] = []
    beside: list[str] = []
    paths = {entry.path for entry in folder.files}

    def is_there(path: str) -> bool:
        return path in paths or (os.path.dirname(path) != folder.path and os.path.isfile(path))

    for entry in folder.files:
        if is_media(entry.name) or is_open(entry.name) or entry.path in known:
            if not rules.skips_file(entry.path[skip:]) and original_of(entry.path, is_there) is None:
                media.append(entry)
        elif is_companion(entry.name):
            beside.append(entry.name)
        elif entry.is_symlink() and not os.path.exists(entry.path):
            scan.unreadable[entry.path] = "the link leads nowhere"  # perhaps to a folder on an unmounted disk
        elif (suffix := suffix_passed_over(entry.name)) is not None and not rules.skips_file(entry.path[skip:]):
            scan.passed_over[suffix] += 1
    companions = Companions(beside)
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
        signature = status.st_size, status.st_mtime_ns, status.st_ino
        if is_open(path) and path not in known and not glance.is_media(path, signature):
            scan.passed_over[os.path.splitext(path)[1].lower()] += 1
            continue
        sidecars = stamped([os.path.join(folder.path, one) for one in companions.of(entry.name)])
        scan.files[path] = _described(path, status, mounts, *sidecars)


def _described(
    path: str,
    status: os.stat_result,
    mounts: Mapping[int, Mount],
    sidecars: tuple[str, ...],
    sidecars_stamp: int | None,
) -> FileStat:
    mount = mounts.get(status.st_dev)
    lasting = mount is None or mount.keeps_inodes
    return FileStat(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_ino if lasting else 0,
        status.st_dev,
        sidecars,
        sidecars_stamp,
        ctime_ns=status.st_ctime_ns if lasting else None,
    )


def stamped(sidecars: Sequence[str]) -> tuple[tuple[str, ...], int | None]:
    """Those of these files that can be looked at, and what changes when one of them does: of one its mtime (ns)."""
    found, times = [], []
    for path in sidecars:
        try:
            times.append(os.stat(path).st_mtime_ns)
        except OSError:
            continue
        found.append(path)
    if len(times) > 1:
        digest = hashlib.blake2b(repr(times).encode(), digest_size=8).digest()
        return tuple(found), int.from_bytes(digest, signed=True)
    return tuple(found), next(iter(times), None)


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _device_above(folder: str) -> int:
    """The device of a folder, or of the closest one above it that exists."""
    while True:
        try:
            return os.stat(folder).st_dev
        except OSError:
            folder = os.path.dirname(folder)


def _why(error: OSError) -> str:
    return error.strerror or str(error)
