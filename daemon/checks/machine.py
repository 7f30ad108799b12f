"""Does this machine let Reverie work: the library's disk, the folders, the kernel's limits, the card, the service?"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from config.errors import NoService, ReverieError
from config.settings import Settings
from daemon.checks import Check, Level
from daemon.ignore import IgnoreRules
from daemon.inotify_limits import InotifyLimits, read_limits
from daemon.mounts import mount_of, read_mounts
from daemon.tree import walk
from search.client import Client

LITTLE_SPACE, TOO_LITTLE_SPACE = 1_000_000_000, 100_000_000
"""Bytes. The prepared networks, thumbnails and the catalog of a first evening fit into the larger one."""

ANSWER_SECONDS = 10.0


def check_library(settings: Settings) -> Iterator[Check]:
    """The library and the model cache can be written, and SQLite's shared memory works where the library is."""
    library = settings.paths.library
    for name, folder in (("library", library), ("model cache", settings.paths.model_cache)):
        existing = _nearest_existing(folder)
        if os.access(existing, os.W_OK | os.X_OK):
            state = "" if existing == folder else " (will be made)"
            yield Check(name, Level.OK, f"{folder}{state}")
        else:
            yield Check(
                name,
                Level.ERROR,
                f"{folder} cannot be written: {existing} is closed to you.",
                "Correct its permissions, or choose another place.",
            )
    mount = mount_of(os.path.realpath(library), read_mounts())
    if mount is not None and mount.is_remote:
        yield Check(
            "library",
            Level.ERROR,
            f"{library} is on a network filesystem ({mount.type}), where a SQLite catalog can be damaged.",
            "Set `library` in the settings (or --library) to a folder on a local disk.",
        )


def check_space(settings: Settings) -> Iterator[Check]:
    """There is room for the library."""
    free = shutil.disk_usage(_nearest_existing(settings.paths.library)).free
    what = f"{free / 1e9:.1f} GB are free for the library."
    if free < LITTLE_SPACE:
        level = Level.ERROR if free < TOO_LITTLE_SPACE else Level.WARNING
        yield Check("disk", level, what, "Make room, or set `library` in the settings to a folder on another disk.")
    else:
        yield Check("disk", Level.OK, what)


def check_folders(settings: Settings) -> Iterator[Check]:
    """The watched folders are there and can be read."""
    if not settings.folders:
        yield Check("folders", Level.OK, "none are watched by the service", "Set `folders`: `reverie config init`.")
    for folder in settings.folders:
        try:
            with os.scandir(folder):
                pass
        except FileNotFoundError:
            fix = "Mount its disk, or correct `folders` in the settings. What is known about it is kept meanwhile."
            yield Check("folders", Level.WARNING, f"{folder} is not there.", fix)
        except NotADirectoryError:
            yield Check("folders", Level.ERROR, f"{folder} is not a folder.", "Correct `folders` in the settings.")
        except OSError as error:
            yield Check("folders", Level.ERROR, f"{folder} cannot be read: {error.strerror}.", _let_read(folder))
        else:
            yield Check("folders", Level.OK, f"{folder}")


def check_watches(settings: Settings) -> Iterator[Check]:
    """The kernel allows a watch for every folder below the watched ones."""
    allowed = read_limits().our_watches
    if allowed is None:
        yield Check("watches", Level.WARNING, "The system does not tell how many folders it lets us watch.")
        return
    rules = IgnoreRules(settings.watch.ignore, settings.watch.markers)
    count = sum(1 for root in settings.folders if os.path.isdir(root) for _ in walk(os.fspath(root), rules))
    what = f"{count} folders to watch, {allowed} allowed"
    if count > allowed:
        _, fix = InotifyLimits(count, None).explain(OSError(errno.ENOSPC, "no more watches"))
        yield Check("watches", Level.WARNING, f"{what}: the rest is looked at by the clock.", fix)
    else:
        yield Check("watches", Level.OK, what)


def check_service(settings: Settings) -> Iterator[Check]:
    """The service answers, if one runs."""
    path = settings.paths.socket
    try:
        status = Client(path, timeout=ANSWER_SECONDS).get("/v1/status")
    except NoService:
        yield Check(
            "service", Level.OK, f"not running (no answer at {path})", "reverie run, or reverie service install"
        )
    except ReverieError as error:
        yield Check("service", Level.ERROR, error.title, error.remedy)
    else:
        yield Check("service", Level.OK, f"running, process {status['service']['pid']}, {path}")


def _nearest_existing(folder: Path) -> Path:
    # Not Path.exists, which raises where a parent is closed to us.
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))


def _let_read(folder: Path) -> str:
    """The command that its owner gives so that this user can read a folder."""
    user = os.environ.get("USER") or str(os.getuid())
    return "As its owner: " + shlex.join(["setfacl", "-R", "-m", f"u:{user}:rX,d:u:{user}:rX", str(folder)])
