"""What a source of models, the hub or a folder, is to a pull."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Protocol

from indexer.models.listing import ModelEntry


class CutOff(Exception):
    """The connection broke while a file was coming: the same again, from where it stopped, may do."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one file must be."""

    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a source has of a model."""

    commit: str | None
    files: Mapping[str, Expected]
    origin: str
    """Where it comes from, for the user: a repository and its commit, or a folder."""


class Source(Protocol):
    """Where files come from."""

    def offer(self, entry: ModelEntry) -> Offer:
        """What it has. Raises PullFailed if not all that the entry lists."""

    def open(self, entry: ModelEntry, commit: str | None, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """A stream of the file and the byte at which it begins: `offset`, or 0. Raises PullFailed, CutOff."""
