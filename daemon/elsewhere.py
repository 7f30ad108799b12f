"""Known paths that no scan comes by: is each of them still there, and is one that is not there gone for good?"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from search.catalog import Catalog, KnownFile, Root
from search.catalog.roots import root_above


@dataclass(slots=True)
class Verdict:
    """What became of some known files."""

    present: int = 0
    gone: list[str] = field(default_factory=list)
    """Not there, and gone for good reason to believe so."""
    unsure: list[str] = field(default_factory=list)
    """Not there, but the file system that held them may not be there either."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder, or what is left of the way to it."""

    device: int | None
    """Of the folder, or of the closest one above it that exists; None: it cannot be looked at."""
    entries: Mapping[str, int] = field(default_factory=dict)
    """Names and inodes of what is in the folder."""


def judge(files: Iterable[KnownFile]) -> Verdict:
    """Whether each of these files is still there. Each folder is listed once; no file is looked at.

    A file that is not there is gone if the file system at its place is the one that held it. That is so if

    - the device of its folder, or of the closest one above that exists, has the number that the file's had; or
    - a file with that number is still at its place, with its inode, on the device that is there now: the number
      changed when the disk was mounted again.

    It is gone, too, if the very same file is at another place: it was moved, or the disk is mounted elsewhere.
    """
    verdict = Verdict()
    numbers: defaultdict[int, set[int]] = defaultdict(set)
    alive: set[tuple[int, ...]] = set()
    absent: list[tuple[KnownFile, int]] = []
    for folder, inside in _by_folder(files).items():
        place = _look(folder)
        for file in inside:
            inode = place.entries.get(os.path.basename(file.path))
            if inode is not None:
                verdict.present += 1
                if inode == file.inode and place.device is not None:
                    numbers[file.device].add(place.device)
                    alive.add((file.device, *file.signature))
            elif place.device is not None:
                absent.append((file, place.device))
    for file, device in absent:
        moved = (file.device, *file.signature) in alive
        held_here = device == file.device or device in numbers[file.device]
        (verdict.gone if moved or held_here else verdict.unsure).append(file.path)
    return verdict


def look_elsewhere(catalog: Catalog, scanned: Sequence[str]) -> int:
    """Hide what is gone among all known files outside the folders that are scanned. Returns how many.

    A folder of the settings that is not there at all, and a root that is another folder than it was and holds nothing
    that is known, may be the mount points of disks that are away: what they held is kept, and `status` asks.
    """
    roots = {root.path: root for root in catalog.roots() if root.origin != "dropped"}
    groups: defaultdict[str | None, list[KnownFile]] = defaultdict(list)
    skipped = frozenset(scanned)
    live = (file for file in catalog.known_files("/").values() if file.missing_since is None)
    for folder, inside in _by_folder(live).items():
        if root_above(folder, skipped) is None:
            groups[root_above(folder, roots)] += inside
    hidden = 0
    for path, files in groups.items():
        verdict = judge(files)
        root = None if path is None else roots[path]
        if root is not None:
            if not verdict.present and _may_be_away(root):
                verdict.unsure += verdict.gone
                verdict.gone = []
            catalog.note_root(root.path, identity=None, unsure=len(verdict.unsure))
        catalog.record_missing(verdict.gone)
        hidden += len(verdict.gone)
    return hidden


def _by_folder(files: Iterable[KnownFile]) -> dict[str, list[KnownFile]]:
    folders: defaultdict[str, list[KnownFile]] = defaultdict(list)
    for file in files:
        folders[os.path.dirname(file.path)].append(file)
    return folders


def _may_be_away(root: Root) -> bool:
    try:
        status = os.stat(root.path)
    except OSError:
        return root.origin == "settings"
    return root.identity not in {None, (status.st_dev, status.st_ino)}


def _look(folder: str) -> _Place:
    try:
        with os.scandir(folder) as entries:
            return _Place(os.stat(folder).st_dev, {entry.name: entry.inode() for entry in entries})
    except (FileNotFoundError, NotADirectoryError):
        return _Place(_device_above(folder))
    except OSError:
        return _Place(None)


def _device_above(path: str) -> int | None:
    """The device of a path, or of the closest folder above it that exists; None if that cannot be told."""
    while True:
        try:
            return os.stat(path).st_dev
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path) or path == "/":
                return None  # a link that leads nowhere may lead to a disk that is not mounted
            path = os.path.dirname(path)
        except OSError:
            return None
