"""Which file of the library is meant by a path."""

from __future__ import annotations

import os

from search.catalog import Catalog


def media_named(catalog: Catalog, path: str) -> int | None:
    """The media at a path; None: the library has none there.

    Links and mounts give a folder several names, and the library knows its files by one of them. So an absolute path
    that it does not know may still lead to a file that it does.
    """
    try:
        found = catalog.media_at(os.path.normpath(path))
        if found is not None or not os.path.isabs(path):
            return found
        found = catalog.media_at(os.path.realpath(path))
        return found if found is not None else _by_inode(catalog, path)
    except (OSError, ValueError):
        return None  # nothing is there, or no file can have this name


def _by_inode(catalog: Catalog, path: str) -> int | None:
    meant = os.stat(path)
    for other in catalog.paths_of_inode(meant.st_ino):
        try:
            same = os.path.samestat(meant, os.stat(other))
        except OSError:
            continue  # gone since the library saw it
        if same:
            return catalog.media_at(other)
    return None
