"""Whether somebody still has a file open for writing, as far as this machine can tell."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.mounts import Mount
from indexer.media.formats import is_media

LOOK_SECONDS = 1.0
"""How long what procfs said is believed: it takes some milliseconds to ask."""


class Writers:
    """Knows the writers of files.

    The kernel refuses a read lease (`F_SETLEASE`, fcntl(2)) on a file that is open for writing, by whomever. It grants
    one to the owner of the file and to root only, and not on every filesystem. Then procfs shows the open files of
    processes that are ours to look at. A writer on another machine is seen by neither.

    Args:
        clock: seconds that never go back.
        proc: where procfs is mounted.
    """

    def __init__(self, clock: Callable[[], float], proc: Path = Path("/proc")) -> None:
        self._clock = clock
        self._proc = proc
        self._written: dict[str, list[str]] = {}  # file name -> links in procfs to open files of that name
        self._listed = float("-inf")

    def hold(self, path: str, mount: Mount | None) -> bool | None:
        """Whether anybody may still write to a file; None: cannot be told. `mount`: what it is on, if that is known."""
        if mount is None or not (mount.is_remote or mount.is_fuse):
            answer = _refuses_a_lease(path)
            if answer is not None:
                return answer
        return True if self._shown_by_proc(path) else None

    def _shown_by_proc(self, path: str) -> bool:
        if self._clock() - self._listed > LOOK_SECONDS:
            self._written = _open_for_writing(self._proc)
            self._listed = self._clock()
        with contextlib.suppress(OSError):
            status = os.stat(path)
            # By number, too: in a container the same file has another path.
            return any(_is_same(link, status) for link in self._written.get(os.path.basename(path), ()))
        return False


def _refuses_a_lease(path: str) -> bool | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except BlockingIOError:
        return True  # a file server holds a lease for a client of its own that writes
    except OSError:
        return None
    try:
        # Who opens the file for writing in the instant of the lease is let in when it ends, and we are sent a signal:
        # one that is ignored, unlike the usual SIGIO.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return False


def _open_for_writing(proc: Path) -> dict[str, list[str]]:
    """By file name, the links in procfs to media files that are open for writing."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for process in _names(proc):
        if process.isdigit():
            for number in _names(proc / process / "fd"):
                link = proc / process / "fd" / number
                with contextlib.suppress(OSError):
                    target = os.readlink(link)
                    if is_media(target) and _writes(proc / process / "fdinfo" / number):
                        found[os.path.basename(target)].append(os.fspath(link))
    return found


def _names(folder: Path) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry.name


def _writes(fdinfo: Path) -> bool:
    """Whether a descriptor is open for writing (`flags`, in octal, of proc_pid_fdinfo(5))."""
    for line in fdinfo.read_text(encoding="ascii").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _is_same(link: str, status: os.stat_result) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(link), status)
    return False
