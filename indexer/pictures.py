"""The small pictures that are kept beside the catalog: thumbnails, and the cut-outs of subjects.

Named by content and replaced whole, so that a kill leaves an old one, a new one or none.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from config.errors import CatalogError
from config.paths import cutout_path, thumbnail_path


class Pictures:
    """Those of one folder. Thread-safe; all methods that write raise CatalogError if the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep_thumbnail(self, content_hash: str, jpeg: bytes) -> None:
        """Write or replace it."""
        self._write(thumbnail_path(self._folder, content_hash), jpeg)

    def keep_cut_out(self, content_hash: str, png: bytes | None) -> None:
        """Write or replace it; None: remove an older one."""
        path = cutout_path(self._folder, content_hash)
        if png is not None:
            self._write(path, png)
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def cut_out(self, content_hash: str) -> Path | None:
        """Where it is, if there is one."""
        path = cutout_path(self._folder, content_hash)
        return path if path.is_file() else None

    def forget(self, content_hash: str) -> None:
        """Remove all pictures of a content."""
        for path in (thumbnail_path(self._folder, content_hash), cutout_path(self._folder, content_hash)):
            path.unlink(missing_ok=True)

    def drop_cut_outs(self) -> None:
        """Remove the cut-outs of all photos."""
        for path in self._folder.glob("*/*.png"):
            path.unlink(missing_ok=True)

    def take(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """All thumbnails and all cut-outs by content hash, out of the folder. Files still being written have other
        names."""
        return self._taken("jpg"), self._taken("png")

    def _taken(self, suffix: str) -> dict[str, bytes]:
        taken = {}
        for path in self._folder.glob(f"*/*.{suffix}"):
            taken[path.stem] = path.read_bytes()
            path.unlink()
        return taken

    def _write(self, path: Path, data: bytes) -> None:
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")  # two copies may be decoded at once
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> CatalogError:
        # Not the photo's fault: the worker stops, and the photo is tried again.
        return CatalogError(
            f"Thumbnails cannot be written to {self._folder}: {error.strerror}.",
            "Free some space on that disk, or mend its permissions. Nothing is lost.",
        )
