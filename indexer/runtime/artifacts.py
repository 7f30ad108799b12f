"""What is derived from weights once and kept: graphs and matrices in a cache directory, verified at every load.

Each artefact is a directory named for everything that went into it. It appears by one rename when it is complete, so
that neither a kill nor a second process ever leaves half of one; damage found later leads to a rebuild.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from config.errors import ModelError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
UNFINISHED = ".building-"
"""How directories begin that nobody needs once whoever made them is gone."""


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def key_of(*parts: str) -> str:
    """A short name for everything that an artefact is made from: 16 hex digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on the disk before what comes next. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ArtifactCache:
    """A directory of artefacts. It may be deleted at any time: everything in it can be built again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def obtain(self, name: str, build: Callable[[Path], None]) -> Path:
        """The artefact's directory, verified; built first where it is missing or damaged.

        `build` fills the empty directory it is given. Other processes wait for it instead of building the same again.
        Raises ModelError if the cache cannot be written, and whatever `build` raises.
        """
        target = self._directory / name
        if _is_intact(target):
            return target
        with self._writing():
            self._directory.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if not _is_intact(target):
                    self._build(target, build)
        return target

    def find(self, name: str) -> Path | None:
        """The artefact's directory, verified; None where it is missing or damaged."""
        target = self._directory / name
        return target if _is_intact(target) else None

    def discard(self, name: str) -> None:
        """Delete an artefact, so that it is built again when it is wanted. Raises ModelError as `obtain` does."""
        target = self._directory / name
        if not target.exists():
            return
        with self._writing(), self._locked():
            shutil.rmtree(target, ignore_errors=True)

    def _build(self, target: Path, build: Callable[[Path], None]) -> None:
        # Under the lock nobody else builds: what lies here was left by a kill.
        for leftover in self._directory.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover)
        if target.exists():
            logger.warning("%s is damaged and is built again", target)
            shutil.rmtree(target)
        workplace = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._directory))
        try:
            build(workplace)
            files = {path.name: sha256_of(path) for path in sorted(workplace.iterdir())}
            (workplace / MANIFEST).write_text(json.dumps(files, indent=1))
            for path in (*workplace.iterdir(), workplace):
                sync(path)
            workplace.rename(target)
            sync(self._directory)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ModelError(
                f"The model cache {self._directory} cannot be written: {error.strerror or error}.",
                "Free some space there, make it writable, or choose another place with XDG_CACHE_HOME.",
            ) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def check_private(directory: Path, root: Path) -> None:
    """Raise ModelError if other users own, or can enter, a directory or one between it and `root`.

    A compiled engine carries code that runs in this process: whoever can write it can run as us.
    """
    parents = [directory, *directory.parents]
    for path in (*parents[: parents.index(root) + 1], *directory.iterdir()):
        status = path.lstat()
        # The mode of a file says nothing: the directory around it lets nobody in.
        exposed = stat.S_ISDIR(status.st_mode) and status.st_mode & 0o077
        if status.st_uid != os.geteuid():
            fault = f"belongs to the user with the number {status.st_uid}"
        elif exposed or stat.S_ISLNK(status.st_mode):
            fault = "is open to other users"
        else:
            continue
        raise ModelError(
            f"{path} {fault}, and an engine can carry code.",
            f"Delete it, and it is built again: rm -r {shlex.quote(str(path))}",
        )


def _is_intact(directory: Path) -> bool:
    """Whether every file that the manifest names is there with its checksum."""
    try:
        files = json.loads((directory / MANIFEST).read_bytes())
        return bool(files) and all(sha256_of(directory / name) == checksum for name, checksum in files.items())
    except (OSError, ValueError, AttributeError):
        return False
