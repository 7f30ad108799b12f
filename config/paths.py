"""Where things are: settings files, the library and what it holds, the model cache, the socket.

An environment in, paths out. Nothing is made here: directories are made by whoever writes into them.
The places are those of the XDG base directory specification, or those systemd hands to a service (systemd.exec(5)).
"""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError

SYSTEM_CONFIG = Path("/etc/reverie/config.yaml")

SUN_PATH_BYTES = 107
"""The longest path a unix socket can be bound to: `sun_path` has 108 bytes, one of them the closing zero (unix(7))."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The places of one library on this machine, all absolute."""

    library: Path
    """Holds all state; must be on a local disk."""
    model_cache: Path
    """Made from weights on this machine; safe to delete."""
    socket: Path
    config_folders: tuple[Path, ...]
    """The system's and the user's: settings, and lists of models and labels, the strongest last."""

    @property
    def catalog(self) -> Path:
        return self.library / "catalog.sqlite3"

    @property
    def authored(self) -> Path:
        return self.library / "authored.json"

    @property
    def thumbnails(self) -> Path:
        return self.library / "thumbnails"

    @property
    def notes(self) -> Path:
        """What was found so far in long files that are not done."""
        return self.library / "notes"

    @property
    def models(self) -> Path:
        """Pulled weights."""
        return self.library / "models"

    @property
    def lock(self) -> Path:
        return self.library / "lock"


def home(environ: Mapping[str, str]) -> Path:
    """The user's home folder. Raises ConfigError where there is none."""
    if named := _absolute(environ, "HOME"):
        return named
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise ConfigError(
            "This user has no home folder, so nothing says where the library should be.",
            "Set HOME, or name a place with --library DIR or REVERIE_LIBRARY.",
        ) from error


def user_config(environ: Mapping[str, str]) -> Path:
    """The user's own settings file."""
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "config.yaml"


def user_state(environ: Mapping[str, str]) -> Path:
    """The user's folder for what programs remember between two runs."""
    return _xdg(environ, "XDG_STATE_HOME", ".local/state")


def config_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The settings files that are read where they exist, the strongest last."""
    return (SYSTEM_CONFIG, user_config(environ))


def resolve(library: Path | None, socket: Path | None, environ: Mapping[str, str]) -> Paths:
    """The paths that follow from the two configured ones; None stands for the default in this environment."""
    root = library or _service_directory(environ, "STATE_DIRECTORY") or _xdg(environ, "XDG_DATA_HOME", ".local/share")
    cache = _service_directory(environ, "CACHE_DIRECTORY") or _xdg(environ, "XDG_CACHE_HOME", ".cache")
    return Paths(
        library=root,
        model_cache=cache / "models",
        socket=socket or _default_socket(root, environ),
        config_folders=tuple(file.parent for file in config_files(environ)),
    )


def fits_socket(path: Path) -> bool:
    """Whether a unix socket can be bound to this path."""
    return len(os.fsencode(path)) <= SUN_PATH_BYTES


def _default_socket(library: Path, environ: Mapping[str, str]) -> Path:
    """In the library; for a library with a long path, or one that cannot be written, in the user's runtime directory
    under a name made from it.

    `/run/user/UID` is also tried without XDG_RUNTIME_DIR, so that a cron job finds the service of a desktop session.
    """
    inside = library / "run" / "reverie.sock"
    name = hashlib.sha256(os.fsencode(library)).hexdigest()[:16] + ".sock"
    runtime = _absolute(environ, "XDG_RUNTIME_DIR") or Path(f"/run/user/{os.getuid()}")
    short = runtime / "reverie" / name
    if fits_socket(inside) and (not _only_readable(library) or _answers(inside)):
        # A service that began on a read-only disk stays where it is when the disk can be written again.
        return short if os.path.lexists(short) and fits_socket(short) and _answers(short) else inside
    if runtime.is_dir() and fits_socket(short):
        return short
    return Path(f"/tmp/reverie-{os.getuid()}") / name  # noqa: S108 - the service makes the folder 0700 and checks its owner


def _only_readable(library: Path) -> bool:
    """Whether we may read a library, and make no socket in it: it lies on a read-only disk, for example."""
    run = library / "run"
    place = run if os.path.lexists(run) else library
    return os.access(library, os.R_OK | os.X_OK) and not os.access(place, os.W_OK | os.X_OK)


def _answers(path: Path) -> bool:
    """Whether a service listens there. One that was killed leaves a socket behind, which a read-only disk keeps."""
    import socket  # noqa: PLC0415 - hardly ever needed

    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    return (_absolute(environ, variable) or home(environ) / default) / "reverie"


def _absolute(environ: Mapping[str, str], variable: str) -> Path | None:
    """The directory a variable names. Relative ones are to be ignored, says the XDG specification."""
    named = environ.get(variable, "")
    return Path(named) if named.startswith("/") else None


def _service_directory(environ: Mapping[str, str], variable: str) -> Path | None:
    """The first of the directories systemd made for a service; it separates them by colons."""
    first = environ.get(variable, "").partition(":")[0]
    return Path(first) if first.startswith("/") else None


def thumbnail_path(folder: Path, content_hash: str) -> Path:
    """Where the thumbnail of a content is: under 256 folders, so that none grows beyond what file systems like."""
    return folder / content_hash[:2] / f"{content_hash}.jpg"


def cutout_path(folder: Path, content_hash: str) -> Path:
    """Where the cut-out of a content's subject is, if it has one: beside its thumbnail."""
    return thumbnail_path(folder, content_hash).with_suffix(".png")


def keyframe_path(folder: Path, content_hash: str, ordinal: int) -> Path:
    """Where the keyframe of a video's moment is; of the whole (ordinal 0), its cover."""
    whole = thumbnail_path(folder, content_hash)
    return whole if ordinal == 0 else whole.with_name(f"{content_hash}-{ordinal}.jpg")


def preview_path(folder: Path, content_hash: str) -> Path:
    """Where the animated preview of a video is."""
    return thumbnail_path(folder, content_hash).with_suffix(".webp")
