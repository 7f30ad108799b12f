"""Models from a folder: for a machine without a connection, and for files that another program fetched before.

The folder is one of plain files, `models` of another library, or the cache of the hub's own client. That cache holds
`models--ORG--NAME/snapshots/COMMIT`, whose files are links to `blobs/CHECKSUM`: SHA-256 for files in large-file
storage, git's SHA-1 for the others (documentation of huggingface_hub, "Understand caching").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from config.errors import PullFailed
from indexer.models.listing import ModelEntry
from indexer.models.sources import Expected, Offer
from indexer.models.store import read_manifest

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Folder:
    """A folder as a source."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offer(self, entry: ModelEntry) -> Offer:
        """What the folder holds, with what a manifest or the cache's links say that its files must be."""
        self._folder = folder = self._find(entry)
        manifest = read_manifest(folder)
        commit = manifest.commit if manifest else _snapshot_commit(folder)
        if commit and not _COMMIT.fullmatch(commit):
            raise PullFailed(f"The manifest in {folder} is damaged.", "Copy the folder again, or delete its manifest.")
        if commit and entry.revision not in (None, commit):
            raise PullFailed(
                f"{folder} holds another revision of {entry.name} ({commit[:12]}).",
                f"Copy the files from {entry.repository} at {entry.revision}.",
            )
        files = {}
        for file in entry.files:
            stored = manifest.files.get(file.path) if manifest else None
            if stored:
                files[file.path] = Expected(stored.size, stored.sha256, None)
            else:
                files[file.path] = _expected(folder / file.path)
        return Offer(entry.revision or commit, files, str(folder))

    def open(self, entry: ModelEntry, commit: str | None, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """The file on the disk."""
        stream = (self._folder / path).open("rb")
        stream.seek(offset)
        return stream, offset

    def _find(self, entry: ModelEntry) -> Path:
        """The first place that has all files, else of which to say what is missing. Raises PullFailed."""
        nearest, missing = self._folder, [file.path for file in entry.files]
        for folder in self._places(entry):
            lacking = [file.path for file in entry.files if not (folder / file.path).is_file()]
            if not lacking:
                return folder
            if len(lacking) < len(missing):
                nearest, missing = folder, lacking
        raise PullFailed(
            f"{nearest} does not hold all of {entry.name}: {', '.join(missing)} {_is_or_are(missing)} not there.",
            f"Copy these files from {entry.repository} at {entry.revision or entry.branch} into that folder.",
        )

    def _places(self, entry: ModelEntry) -> Iterator[Path]:
        """Where the model may be, the likeliest first."""
        name = (entry.repository or "").rpartition("/")[2]
        yield self._folder / entry.name
        yield self._folder / name
        # The cache as a whole ($HF_HOME, or `hub` in it), or one repository of it.
        for cached in (
            *self._folder.glob(f"models--*--{name}"),
            *self._folder.glob(f"hub/models--*--{name}"),
            self._folder,
        ):
            yield from _snapshots(cached, entry)
        yield self._folder


def _snapshots(cached: Path, entry: ModelEntry) -> Iterator[Path]:
    """The snapshot of a repository in the cache that an entry means.

    A commit is the same under any name: a repository that was renamed may be cached under its old one. Where the entry
    pins no commit, the repository must have the entry's name, and the cache says what its branch was.
    """
    if entry.revision:
        yield cached / "snapshots" / entry.revision
        # So that another revision is named, rather than called missing.
        yield from sorted((cached / "snapshots").glob("*"))
    elif cached.name == "models--" + (entry.repository or "").replace("/", "--"):
        try:
            commit = (cached / "refs" / entry.branch).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return
        if _COMMIT.fullmatch(commit):
            yield cached / "snapshots" / commit


def _snapshot_commit(folder: Path) -> str | None:
    """The commit of a snapshot in the cache; None for any other folder."""
    inside = folder.resolve()
    return inside.name if inside.parent.name == "snapshots" and _COMMIT.fullmatch(inside.name) else None


def _expected(file: Path) -> Expected:
    """What a file must be by its own size, and by the name of the cache's blob if it is a link to one."""
    blob = file.resolve()
    name = blob.name if blob.parent.name == "blobs" else ""
    sha256 = name if _SHA256.fullmatch(name) else None
    git_sha1 = name if _COMMIT.fullmatch(name) else None
    return Expected(blob.stat().st_size, sha256, git_sha1)


def _is_or_are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
