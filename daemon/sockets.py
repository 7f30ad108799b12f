"""The listening unix socket: bound privately, or handed over by systemd."""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from config.errors import ServiceError
from daemon.notify import listen_fds

logger = logging.getLogger(__name__)

GROUP_READ_WRITE = 0o660
BACKLOG = 128


def open_socket(path: Path, environ: Mapping[str, str]) -> socket.socket:
    """The socket to serve on: systemd's if it activated us, else one bound to `path`, mode 0660.

    Call it only while holding the library's lock: a socket that is already there is then a dead service's, and is
    replaced. Its folder is made with mode 0750 if it is missing, so that nobody else can put one there.

    Raises:
        ServiceError: the path is taken by something that is not our socket, or cannot be bound.
    """
    handed = listen_fds(environ, os.getpid())
    if handed:
        listener = socket.socket(fileno=handed[0])
        listener.settimeout(0)
        return listener
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        owner = path.parent.stat()
        if owner.st_uid != os.geteuid() or owner.st_mode & stat.S_IWOTH:
            raise ServiceError(
                f"The folder {path.parent} belongs to somebody else, or anybody may write to it.",
                "Remove it, or choose another place with the setting socket.path.",
            )
        _remove_stale(path)
        return _listen(path)
    except OSError as error:
        raise ServiceError(
            f"The socket {path} cannot be opened: {error.strerror or error}.",
            "Choose another place with the setting socket.path.",
        ) from error


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Between bind and chmod anybody could connect; a umask leaves no such moment (cpython gh-94984).
    previous = os.umask(0o777 & ~GROUP_READ_WRITE)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(previous)
    return listener


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise ServiceError(
            f"{path} is in the way: it is not a socket of ours.",
            "Move it away, or choose another place with the setting socket.path.",
        )
    logger.info("removing the socket of a service that has died")
    path.unlink()
