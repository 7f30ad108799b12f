"""The small pictures that are kept beside the catalog: thumbnails, cut-outs of subjects, keyframes and previews.

Named by content and replaced whole, so that a kill leaves an old one, a new one or none.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from config.errors import CatalogError
from config.paths import cutout_path, keyframe_path, preview_path, thumbnail_path

_NAME = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{62}(-[0-9]+)?\.(jpg|png|webp)")


class Pictures:
    """Those of one folder. Thread-safe; all methods that write raise CatalogError if the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep_thumbnail(self, content_hash: str, jpeg: bytes) -> None:
        """Write or replace it."""
        self._write(thumbnail_path(self._folder, content_hash), jpeg)

    def keep_keyframe(self, content_hash: str, ordinal: int, jpeg: bytes) -> None:
        """Write or replace that of a video's moment; of ordinal 0, the thumbnail."""
        self._write(keyframe_path(self._folder, content_hash, ordinal), jpeg)

    def keep_preview(self, content_hash: str, webp: bytes) -> None:
        """Write or replace it."""
        self._write(preview_path(self._folder, content_hash), webp)

    def drop_keyframes(self, content_hash: str, beyond: int) -> None:
        """Remove those of moments after this one, which a video had when it was cut in another way."""
        for path in self._keyframes(content_hash):
            if int(path.stem.rpartition("-")[2]) > beyond:
                self._remove(path)

    def keep_cut_out(self, content_hash: str, png: bytes | None) -> None:
        """Write or replace it; None: remove an older one."""
        path = cutout_path(self._folder, content_hash)
        if png is not None:
            self._write(path, png)
        else:
            self._remove(path)

    def cut_out(self, content_hash: str) -> Path | None:
        """Where it is, if there is one."""
        return _if_there(cutout_path(self._folder, content_hash))

    def keyframe(self, content_hash: str, ordinal: int) -> Path | None:
        """Where that of a moment is, if there is one."""
        return _if_there(keyframe_path(self._folder, content_hash, ordinal))

    def preview(self, content_hash: str) -> Path | None:
        """Where it is, if there is one."""
        return _if_there(preview_path(self._folder, content_hash))

    def forget(self, content_hash: str) -> None:
        """Remove all pictures of a content."""
        for place in (thumbnail_path, cutout_path, preview_path):
            self._remove(place(self._folder, content_hash))
        self.drop_keyframes(content_hash, 0)

    def drop_cut_outs(self) -> None:
        """Remove the cut-outs of all photos."""
        for path in self._folder.glob("*/*.png"):
            self._remove(path)

    def take(self, contents: Iterable[str]) -> dict[str, bytes]:
        """The pictures of contents (by their hashes) by their names in the folder, out of it. Those of a video that is
        not done stay: its cover and its preview are made of them. Files still being written have other names."""
        taken = {}
        for content_hash in contents:
            for path in thumbnail_path(self._folder, content_hash).parent.glob(f"{content_hash}*"):
                name = path.relative_to(self._folder).as_posix()
                if _NAME.fullmatch(name):
                    taken[name] = path.read_bytes()
                    path.unlink()
        return taken

    def put(self, taken: Mapping[str, bytes]) -> None:
        """What `take` gave on another machine. Raises ValueError for a name that it cannot have given."""
        for name, data in taken.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a picture")
            self._write(self._folder / name, data)

    def _keyframes(self, content_hash: str) -> Iterator[Path]:
        return thumbnail_path(self._folder, content_hash).parent.glob(f"{content_hash}-*.jpg")

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")  # two copies may be decoded at once
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()  # half a picture would take the room that is missing
            raise self._unwritable(error) from error

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> CatalogError:
        # Not the photo's fault: the worker stops, and the photo is tried again.
        return CatalogError(
            f"Thumbnails cannot be written to {self._folder}: {error.strerror}.",
            "Free some space on that disk, or mend its permissions. Nothing is lost.",
        )


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None
