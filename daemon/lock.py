"""One writer for a library: a lock file that names its holder and dies with it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from config.disk import remedy_for
from config.errors import CatalogError, LibraryBusy


class LibraryLock:
    """An exclusive flock(2) on `path`, held until `close`. The kernel drops it when the process dies, however it dies.

    Raises:
        LibraryBusy: another process holds it; the message has its process id.
        CatalogError: the library's folder cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = _open(path)
        except OSError as error:
            raise CatalogError(
                f"The library {path.parent} cannot be used: {error.strerror}.", remedy_for(error)
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise LibraryBusy(
                f"Another Reverie process (pid {holder}) is working on the library {path.parent}.",
                "Let it finish or stop it, or name another library with --library DIR.",
            ) from error
        with contextlib.suppress(OSError):  # a full or read-only disk: it is held all the same, without a name
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough to lock it: flock(2) asks for no right to write
