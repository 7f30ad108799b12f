"""Reading a file's bytes, once, and only if it stays the same file while being read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from config.errors import EmptyFile, FileVanished, MediaError, UnreadableFile
from indexer.media.limits import Limits, too_many_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """What a file was when it was last looked at; a difference means that it is another file by now."""

    size: int
    mtime_ns: int
    inode: int
    """0: it is not known, because the file system numbers its files anew now and then."""

    def fits(self, found: FileIdentity) -> bool:
        """Whether a file that was found is this one."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns) and self.inode in (0, found.inode)


def read_file(path: str, expected: FileIdentity | None, limits: Limits) -> bytes:
    """All bytes of a regular file.

    Raises:
        FileVanished: it is gone, is not the `expected` one, or changed while being read.
        EmptyFile: it has zero bytes.
        TooLarge: it has more than `limits.max_bytes`.
        MediaError: no permission, not a regular file, or the disk failed.
    """
    with held_open(path, expected) as descriptor:
        try:
            size = os.fstat(descriptor).st_size
            if size > limits.max_bytes:
                raise too_many_bytes(size, limits)
            data = _read_up_to(descriptor, size + 1)
        except OSError as error:
            raise explained(error) from error
        if len(data) != size:
            raise _changed()
    return data


@contextmanager
def held_open(path: str, expected: FileIdentity | None) -> Iterator[int]:
    """The descriptor of a regular file that is not empty, for reading; at the end it must still be the same.

    Raises as `read_file`, but for TooLarge: what is not read at once may be of any size.
    """
    # O_NONBLOCK: opening a FIFO or a device must not wait for its other end.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise explained(error) from error
    try:
        before = _checked(descriptor, expected)
        yield descriptor
        if _identity(os.fstat(descriptor)) != before:
            raise _changed()
    finally:
        os.close(descriptor)


def _checked(descriptor: int, expected: FileIdentity | None) -> FileIdentity:
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        raise MediaError(
            "This is not a regular file but a folder, pipe, socket or device.",
            "Keep it out of the watched folders, or add its name to the ignore patterns.",
        )
    if expected is not None and not expected.fits(_identity(before)):
        raise _vanished("The file was replaced or changed since it was found.")
    if before.st_size == 0:
        raise EmptyFile("The file is empty (zero bytes).", "Copy it again from its source, or delete it.")
    return _identity(before)


def _read_up_to(descriptor: int, size: int) -> bytes:
    chunks = []
    while size > 0 and (chunk := os.read(descriptor, size)):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def _identity(status: os.stat_result) -> FileIdentity:
    return FileIdentity(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def _changed() -> FileVanished:
    return _vanished("The file changed while it was being read.")


def _vanished(title: str) -> FileVanished:
    return FileVanished(title, "Nothing to do: it will be looked at again.")


def explained(error: OSError) -> MediaError:
    """What the system's refusal to open or read a file means for it."""
    # EAGAIN: a file server holds a lease on it (open(2)), that is, somebody is still writing it.
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EAGAIN):
        return _vanished("The file is gone, moved or still being written.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableFile(
            "Reverie has no permission to read the file.",
            "Give the user that runs Reverie read permission on it and on the folders above it.",
        )
    kind = MediaError if error.errno in (errno.ENXIO, errno.ELOOP, errno.ENAMETOOLONG) else UnreadableFile
    return kind(
        f"The file could not be read: {os.strerror(error.errno or errno.EIO)}.",
        "Check the disk or the network mount; it is tried again at the next scan.",
    )
