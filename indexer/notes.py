"""What a pass over a long file has found so far, on disk, so that a kill repeats one chunk of it at most.

A file of hours is analysed chunk by chunk, and stored as a whole at the end. Until then each finished chunk is a page
in a folder of the file's content. Pages are named by what they depend on: whoever asks for other stages, or another
revision of one, finds none. The service forgets the folder once the result is in the catalog; that of a file which may
be a recording that goes on is kept for a while, so that only what is added to it need be analysed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from config.errors import CatalogError

logger = logging.getLogger(__name__)

HASH_LENGTH = 64
KEPT_SECONDS = 3600.0
"""How long after its last change a recording may go on, and its notes are kept."""
_SIZE = "size"

_Page = TypeVar("_Page")


class Notes:
    """The pages of one pass over one file, in order. One thread writes them."""

    def __init__(self, folder: Path, content_hash: str, about: str) -> None:
        """`folder`: where all notes are. `about`: everything that the pages depend on besides the file's content."""
        self._folder = folder_of(folder, content_hash) / hashlib.sha256(about.encode()).hexdigest()[:16]

    def pages(self, kind: type[_Page]) -> list[_Page]:
        """What was written (as MessagePack), in order, as far as nothing is missing or of another form: a version
        before this one may have written it."""
        found: list[_Page] = []
        with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
            while True:
                found.append(msgspec.msgpack.decode(self._path(len(found)).read_bytes(), type=kind))
        return found

    def add(self, number: int, page: object) -> None:
        """Write page `number` (from 0), which is there as a whole or not at all.

        Raises CatalogError: the disk is full or cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                try:
                    file.write(msgspec.msgpack.encode(page))
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(file.name, self._path(number))
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise CatalogError(
                f"What was found in a long file so far cannot be kept: {error.strerror or error}.",
                "Make room on the disk of the library, or give the user of the service the right to write there.",
            ) from error

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}"


def folder_of(folder: Path, content_hash: str) -> Path:
    """Where the notes on one file are."""
    return folder / content_hash


def contents(folder: Path) -> list[str]:
    """The content hashes of the files that there are notes on."""
    return [path.name for path in folder.glob("[0-9a-f]*") if len(path.name) == HASH_LENGTH]


def keep(folder: Path, content_hash: str, size: int) -> None:
    """Keep the notes on a file of so many bytes, which is done, in case that it is a recording and goes on."""
    with contextlib.suppress(OSError):  # no notes, or no room: then it is analysed from the beginning
        (folder_of(folder, content_hash) / _SIZE).write_text(str(size), encoding="ascii")


def kept(folder: Path) -> dict[str, int]:
    """The content hashes, with the sizes in bytes, of the files that are done and may go on."""
    found = {}
    for content_hash in contents(folder):
        path = folder_of(folder, content_hash) / _SIZE
        with contextlib.suppress(OSError, ValueError):
            if time.time() - path.stat().st_mtime < KEPT_SECONDS:
                found[content_hash] = int(path.read_text(encoding="ascii"))
    return found


def carry_on(folder: Path, before: str, after: str) -> None:
    """Take over the notes on a content for another, which begins with all of it.

    What was said of the end is left out: that of a sound says so itself, and the newest page of every pass may. Notes
    on a file that is not done are copied, because somebody may be writing them.
    """
    is_done = (folder_of(folder, before) / _SIZE).exists()
    forget(folder, after)
    try:
        shutil.copytree(folder_of(folder, before), folder_of(folder, after), ignore=shutil.ignore_patterns(".*", _SIZE))
    except OSError as error:
        logger.info("a recording that went on is analysed from its beginning: %s", error)
        forget(folder, after)
        return
    if is_done:
        forget(folder, before)
    for passed in folder_of(folder, after).iterdir():
        pages = sorted(passed.iterdir())
        ended = next((at for at, page in enumerate(pages) if _is_last(page)), len(pages))
        for page in pages[min(ended, len(pages) - 1) :]:
            page.unlink()


def _is_last(page: Path) -> bool:
    """Also of one that cannot be read: nothing after it counts."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        said = msgspec.msgpack.decode(page.read_bytes())
        return isinstance(said, dict) and said.get("last") is True
    return True


def forget(folder: Path, content_hash: str) -> None:
    """Remove all notes on a file."""
    shutil.rmtree(folder_of(folder, content_hash), ignore_errors=True)
