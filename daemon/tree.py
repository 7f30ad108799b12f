"""Walk the folders below a root: the one order, and the one set of rules, that scanning and watching share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from daemon.ignore import IgnoreRules


@dataclass(slots=True)
class Folder:
    """One folder of the walk."""

    path: str
    device: int = 0
    """`st_dev`; 0 if it could not be told."""
    files: list[os.DirEntry[str]] = field(default_factory=list)
    """Everything in it that is no folder, unless it is marked."""
    marked: bool = False
    """It holds a marker: nothing in or below it enters."""
    error: OSError | None = None
    """Why it could not be read, or not to its end."""


def walk(
    root: str, rules: IgnoreRules, start: str | None = None, *, entering: Callable[[str], None] | None = None
) -> Iterator[Folder]:
    """Every folder from `start` (the root, unless given) downwards that the rules let in, `start` first.

    A folder is visited once, whatever leads to it: it is known by device and inode, so a loop of symbolic links or
    bind mounts ends. Real folders come before linked ones, so a photo is known by its real path if that is below the
    root. A linked folder elsewhere is followed, unless it holds the root itself (a link to `/` is not a photo album).
    A folder that vanishes meanwhile is left out without a word.

    Args:
        root: absolute path; the rules judge paths relative to it.
        rules: what to leave out. They do not judge `start` itself.
        start: a folder at or below the root.
        entering: called with each folder's path before it is read: what appears in it afterwards is either read here,
            or noticed by what this call set up.
    """
    real_root = os.path.realpath(root)
    visited: set[tuple[int, int]] = set()
    pending: list[tuple[str, bool]] = [(start or root, False)]
    links: list[str] = []
    while pending or links:
        path, linked = pending.pop() if pending else (links.pop(0), True)
        if linked and _holds(os.path.realpath(path), real_root):
            continue
        folder = Folder(path)
        subfolders: list[str] = []
        try:
            status = os.stat(path)
            folder.device = status.st_dev
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            if entering is not None:
                entering(path)
            _read(folder, subfolders, links, root, rules)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            folder.error = error
        yield folder
        if not folder.marked:
            pending.extend((subfolder, False) for subfolder in sorted(subfolders, reverse=True))
            links.sort()


def _read(folder: Folder, subfolders: list[str], links: list[str], root: str, rules: IgnoreRules) -> None:
    skip = len(root.rstrip("/")) + 1
    found_links: list[str] = []
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                target = subfolders
            elif entry.is_symlink() and os.path.isdir(entry.path):
                target = found_links
            else:
                folder.files.append(entry)
                continue
            if not rules.skips_folder(entry.path[skip:]):
                target.append(entry.path)
    if rules.is_marked(entry.name for entry in folder.files):
        folder.marked = True
        folder.files.clear()
    else:
        links.extend(found_links)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
