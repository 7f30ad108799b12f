"""Why a disk does not take what is written to it, in words for a person."""

from __future__ import annotations

import errno
import os
from pathlib import Path

FULL_BYTES = 1 << 20
"""A disk with less room than this is full: one batch of results needs more."""

FULL = "Check that disk and make room on it: nothing recorded so far is lost."
READ_ONLY = (
    "Questions are answered all the same. To change anything, mount it so that it can be written, or copy the library"
    " to another disk (--library DIR)."
)
FORBIDDEN = "Check that the library's folder and the files in it belong to the user that runs Reverie."


def obstacle(file: Path) -> tuple[str, str] | None:
    """What keeps a file from being read and written, and what to do about it; None if nothing can be seen that does.

    The file need not exist, but its folder must.
    """
    try:
        status = os.statvfs(file.parent)
    except OSError:
        return None
    if status.f_flag & os.ST_RDONLY:
        return f"The disk that holds {file} is read-only.", READ_ONLY
    there = os.path.lexists(file)
    if there and not os.access(file, os.R_OK):
        return f"You may not read {file}.", FORBIDDEN
    if not os.access(file.parent, os.W_OK | os.X_OK) or (there and not os.access(file, os.W_OK)):
        return f"You may not write to {file}.", FORBIDDEN
    no_files_left = status.f_files > 0 and status.f_favail == 0  # some file systems count none
    if status.f_bavail * status.f_frsize < FULL_BYTES or no_files_left:
        return f"The disk that holds {file} is full.", FULL
    return None


def remedy_for(error: OSError) -> str:
    """What to do about a failed write."""
    if error.errno == errno.EROFS:
        return READ_ONLY
    if error.errno in {errno.EACCES, errno.EPERM}:
        return FORBIDDEN
    return FULL
