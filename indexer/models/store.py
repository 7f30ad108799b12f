"""Pulled weights: `models/NAME/` holds a model's files and a manifest of what they must be.

A model appears by one rename when it is complete. What is being fetched lies beside, in a hidden folder that a later
pull goes on with.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from config.errors import ModelError
from indexer.models.listing import ModelEntry
from indexer.runtime.artifacts import MANIFEST, sha256_of, sync


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What an installed file must be."""

    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was installed."""

    repository: str
    commit: str
    """The hub's commit; for files that came from a folder without one, 40 hex digits made from their checksums."""
    files: Mapping[str, StoredFile]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def content_commit(files: Mapping[str, StoredFile]) -> str:
    """Stands for a commit that nobody named: the same files have the same one, on any machine."""
    lines = "".join(f"{path}\0{file.sha256}\n" for path, file in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:40]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder; None if there is none that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


class Store:
    """The folder of all pulled models. Made by the first pull."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, entry: ModelEntry) -> Path:
        """Where the model's files are, or will be."""
        return self._folder / entry.name

    def installed(self, entry: ModelEntry) -> bool:
        """Whether the model is there, as far as its manifest says; `verified` reads the files themselves."""
        if entry.package is not None:
            name, _, wanted = entry.package.partition("==")
            try:
                return version(name) == wanted
            except PackageNotFoundError:
                return False
        manifest = read_manifest(self.folder(entry))
        return manifest is not None and _deviation(entry, manifest) is None

    def manifest(self, entry: ModelEntry) -> Manifest:
        """What was installed. Raises ModelError if nothing was, or something else than the list names now."""
        manifest = read_manifest(self.folder(entry))
        if manifest is None:
            raise ModelError(
                f"The model {entry.name} is not installed.", f"Pull it: `reverie models pull {entry.name}`"
            )
        if (reason := _deviation(entry, manifest)) is not None:
            raise ModelError(
                f"The model {entry.name} is installed, but {reason}.",
                f"`reverie models pull {entry.name}` fetches what the list names now.",
            )
        return manifest

    def verified(self, entry: ModelEntry) -> Path:
        """The folder of a model whose every file was read and is what it must be.

        Raises ModelError if something is missing, altered, or there that does not belong.
        """
        manifest = self.manifest(entry)
        folder = self.folder(entry)
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}
        for path in sorted({*manifest.files, MANIFEST} ^ found):
            raise self._damaged(entry, f"{path} is missing" if path in manifest.files else f"{path} is not part of it")
        for path, expected in manifest.files.items():
            try:
                intact = (folder / path).stat().st_size == expected.size and sha256_of(folder / path) == expected.sha256
            except OSError as error:
                raise self._damaged(entry, f"{path} cannot be read: {error.strerror}") from error
            if not intact:
                raise self._damaged(entry, f"{path} is not what was installed")
        return folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep other processes from installing into this store; False if one is at it. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def workplace(self, entry: ModelEntry, revision: str) -> Path:
        """Where a revision is put together, kept between pulls."""
        return self._folder / f".pulling-{entry.name}@{revision}"

    def make_workplace(self, entry: ModelEntry, revision: str) -> Path:
        """Make the workplace of a revision where there is none; those of other revisions go. Raises OSError."""
        place = self.workplace(entry, revision)
        for other in self._folder.glob(f".pulling-{entry.name}@*"):
            if other != place:
                shutil.rmtree(other)
        place.mkdir(mode=0o755, exist_ok=True)
        return place

    def free_bytes(self) -> int:
        """What the disk has left for this user, before a first pull too. Raises OSError."""
        place = self._folder
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def publish(self, entry: ModelEntry, workplace: Path, manifest: Manifest) -> None:
        """Make a complete workplace the installed model, in place of one that was there. Raises OSError."""
        for path in sorted(workplace.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            elif not path.is_dir() and str(path.relative_to(workplace)) not in manifest.files:
                path.unlink()
        (workplace / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        for path in (*workplace.rglob("*"), workplace):
            sync(path)
        target = self.folder(entry)
        if target.exists():
            # A kill between these two leaves no model, and a workplace from which the next pull takes every file.
            shutil.rmtree(target)
        workplace.rename(target)
        sync(self._folder)

    def _damaged(self, entry: ModelEntry, reason: str) -> ModelError:
        return ModelError(
            f"The model {entry.name} in {self.folder(entry)} is damaged: {reason}.",
            f"`reverie models pull {entry.name}` fetches it afresh.",
        )


def _deviation(entry: ModelEntry, manifest: Manifest) -> str | None:
    """What keeps an installed model from being the one of the list; None if nothing does."""
    if manifest.repository != entry.repository and entry.revision is None:
        # A pinned commit is the same under any name: repositories are renamed.
        return f"from {manifest.repository}"
    if entry.revision not in (None, manifest.commit):
        return f"at another revision ({manifest.commit[:12]})"
    if set(manifest.files) != {file.path for file in entry.files}:
        return "with other files"
    for file in entry.files:
        stored = manifest.files[file.path]
        if file.sha256 not in (None, stored.sha256) or file.size not in (None, stored.size):
            return f"with another {file.path}"
    return None
