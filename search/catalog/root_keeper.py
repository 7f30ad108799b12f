"""The part of the catalog's front that keeps the roots, and forgets paths on purpose."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from search.catalog import files, roots
from search.catalog.database import Database
from search.catalog.rows import Forgettable, KnownFile, Root

AT_ONCE = 500
"""Paths that are hidden or forgotten in one transaction: others can write in between."""


class RootKeeper:
    """Which folders were given to index, what is known outside them, and what is forgotten; a base of `Catalog`.

    What takes several transactions can be killed between two of them and asked for again.
    """

    _database: Database
    _clock: Callable[[], float]

    def roots(self) -> list[Root]:
        """Every folder that was given to index, by path."""
        with self._database.read() as db:
            return roots.read(db)

    def configure_roots(self, folders: Collection[str]) -> list[str]:
        """Remember the folders of the settings. Returns those that were among them and are no more."""
        with self._database.write() as db:
            return roots.configure(db, folders)

    def ask_root(self, path: str) -> None:
        """Remember a folder that was named in a command, unless it lies in a root."""
        with self._database.write() as db:
            roots.ask(db, path)

    def drop_root(self, path: str) -> int:
        """Hide what is known in a root and in no other, as if it were gone. Returns how many paths."""
        with self._database.read() as db:
            paths = roots.only_in(db, path)
        for start in range(0, len(paths), AT_ONCE):
            with self._database.write() as db:
                files.record_missing(db, paths[start : start + AT_ONCE], self._clock())
        with self._database.write() as db:
            roots.drop(db, path)
        return len(paths)

    def note_root(self, path: str, *, identity: tuple[int, int] | None, unsure: int) -> None:
        """Remember device and inode of a root (None: as before), and how many of its files are not there and kept.
        A path that is no root is left alone."""
        with self._database.write() as db:
            roots.note(db, path, identity, unsure)

    def drop_empty_roots(self) -> None:
        """Forget the roots that are no folders of the settings and that nothing is known in any more."""
        with self._database.write() as db:
            roots.drop_empty(db)

    def known_in(self, path: str) -> int:
        """How many paths are known at or below one, tombstones included."""
        try:
            with self._database.read() as db:
                return roots.known_in(db, path)
        except UnicodeEncodeError:
            return 0  # no file can have this name

    def media_of(self, paths: Sequence[str]) -> set[int]:
        """The media that these paths hold, as far as that is known."""
        with self._database.read() as db:
            return roots.media_of(db, paths)

    def copies(self, media_ids: Collection[int]) -> list[KnownFile]:
        """The live paths of those of these media that have several."""
        with self._database.read() as db:
            return roots.copies(db, media_ids)

    def forgettable(self, paths: Sequence[str]) -> Forgettable:
        """What forgetting these paths, with all below them, would drop."""
        with self._database.read() as db:
            return roots.forgettable(db, paths)

    def forget(self, paths: Sequence[str]) -> Forgettable:
        """Drop these paths, with all below them, and everything that was derived from media that no other path holds.

        Their pictures stay on the disk until whoever removes them says so (`pictures_removed`).
        """
        count = 0
        contents: list[bytes] = []
        kept: set[bytes] = set()
        for some in roots.parts(paths):
            done = 1
            while done:
                with self._database.write() as db:
                    done, dropped, staying = roots.forget(db, some, AT_ONCE)
                count += done
                contents += dropped
                kept = kept.union(staying).difference(dropped)
        return Forgettable(count, tuple(contents), len(kept))

    def forgotten(self) -> dict[bytes, int]:
        """Content hashes whose pictures are still to be removed, each with the media id it had."""
        with self._database.read() as db:
            return dict(db.execute("SELECT content_hash, media_id FROM forgotten"))

    def pictures_removed(self, content_hashes: Collection[bytes]) -> None:
        """The pictures of these are gone, or belong to content that has come back."""
        with self._database.write() as db:
            db.executemany("DELETE FROM forgotten WHERE content_hash = ?", [(one,) for one in content_hashes])
