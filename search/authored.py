"""What people made by hand: tags, labels and saved searches, in one JSON file that they can read and carry away.

It is the only state that cannot be computed again, so it is kept apart from the catalog, and no rebuild touches it.
A few hundred entries are what it is for: TinyDB rewrites the whole file at each change
(docs/decisions/sqlite-for-tags.md).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tinydb import Query, TinyDB
from tinydb.storages import Storage

from config.disk import remedy_for
from config.errors import CatalogError
from search.atomic import replacing
from search.catalog import Catalog

FILE_NAME = "authored.json"


class Authored:
    """Hand-made tags and labels by content hash (SHA-256, hexadecimal), and saved searches by name.

    Safe to use from many threads of one process. Raises CatalogError when the file cannot be read or written.
    """

    def __init__(self, directory: Path) -> None:
        """Open `directory`/authored.json, made at the first change. A damaged file is moved aside, and a CatalogError
        names where it is; the next opening starts empty."""
        self._lock = threading.Lock()
        self._database = TinyDB(directory / FILE_NAME, storage=AtomicJson)

    def close(self) -> None:
        """Close the file; every change is on the disk already."""
        self._database.close()

    def tags_of(self, content_hash: str) -> tuple[str, ...]:
        """The hand-made tags of one content, in alphabetical order."""
        with self._lock:
            entry = self._entry("tags", content_hash)
        return tuple(entry["tags"]) if entry else ()

    def add_tags(self, content_hash: str, names: Iterable[str]) -> tuple[str, ...]:
        """Add tags; returns all it has now. Names are kept in lower case, with single spaces."""
        with self._lock:
            entry = self._entry("tags", content_hash)
            tags = sorted({*(entry["tags"] if entry else ()), *map(_tidy, names)} - {""})
            self._put("tags", content_hash, {"tags": tags} if tags else None)
        return tuple(tags)

    def remove_tags(self, content_hash: str, names: Iterable[str]) -> tuple[str, ...]:
        """Remove tags, those it does not have ignored; returns all it has now."""
        with self._lock:
            entry = self._entry("tags", content_hash)
            tags = sorted({*(entry["tags"] if entry else ())} - {*map(_tidy, names)})
            self._put("tags", content_hash, {"tags": tags} if tags else None)
        return tuple(tags)

    def label_of(self, content_hash: str) -> str | None:
        """The caption that a person gave one content."""
        with self._lock:
            entry = self._entry("labels", content_hash)
        return entry["label"] if entry else None

    def labels(self) -> dict[str, str]:
        """Every caption, by content hash."""
        with self._lock:
            return {entry["key"]: entry["label"] for entry in self._database.table("labels")}

    def contents(self) -> set[str]:
        """The hashes of all content that was given tags or a caption."""
        with self._lock:
            return {entry["key"] for table in ("tags", "labels") for entry in self._database.table(table)}

    def set_label(self, content_hash: str, label: str | None) -> None:
        """Give a caption, or take it away with None."""
        with self._lock:
            self._put("labels", content_hash, {"label": label} if label else None)

    def saved_searches(self) -> dict[str, str]:
        """Name to query, by name."""
        with self._lock:
            return {entry["key"]: entry["query"] for entry in sorted(self._database.table("searches"), key=_key)}

    def save_search(self, name: str, query: str) -> None:
        """Keep a query under a name, replacing what the name stood for."""
        with self._lock:
            self._put("searches", name, {"query": query})

    def delete_search(self, name: str) -> bool:
        """Forget a saved search; False if there was none of that name."""
        with self._lock:
            known = self._entry("searches", name) is not None
            self._put("searches", name, None)
        return known

    def mirror_into(self, catalog: Catalog) -> None:
        """Write the hand-made tags into the catalog, for all content it knows: after a rebuild, or when content that
        was tagged once has come back."""
        with self._lock:
            tags = {bytes.fromhex(entry["key"]): tuple(entry["tags"]) for entry in self._database.table("tags")}
        for content_hash, media_id in catalog.media_with_hashes(tags).items():
            catalog.set_authored_tags(media_id, tags[content_hash])

    def _entry(self, table: str, key: str) -> dict[str, Any] | None:
        found = self._database.table(table).get(Query().key == key)
        return dict(found) if found else None

    def _put(self, table: str, key: str, value: dict[str, Any] | None) -> None:
        """Replace one entry; None removes it."""
        if value is None:
            self._database.table(table).remove(Query().key == key)
        else:
            self._database.table(table).upsert({"key": key, **value}, Query().key == key)


class AtomicJson(Storage):
    """A TinyDB storage that replaces the file as a whole.

    TinyDB's own rewrites it in place: a full disk or a power cut in the middle leaves nothing readable.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The whole content; None where there is no file."""
        try:
            content: dict[str, dict[str, Any]] = json.loads(self._path.read_bytes())
            if not _is_database(content):
                raise ValueError("not what Reverie writes")
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self._damaged(error) from error
        except OSError as error:
            raise CatalogError(
                f"The file of hand-made tags {self._path} cannot be read: {error.strerror}.",
                "Check that it belongs to the user that runs Reverie.",
            ) from error
        return content

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Publish new content: written beside the old, flushed, renamed over it."""
        text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        try:
            with replacing(self._path) as file:
                file.write(text.encode())
        except OSError as error:
            raise CatalogError(
                f"The file of hand-made tags {self._path} cannot be written: {error.strerror}.", remedy_for(error)
            ) from error
        except UnicodeEncodeError as error:
            raise CatalogError(
                f"The file of hand-made tags {self._path} cannot be written: {error}.", "Type it as UTF-8 text."
            ) from error

    def _damaged(self, error: ValueError) -> CatalogError:
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
        try:
            self._path.replace(aside)
        except OSError:
            return CatalogError(
                f"The file of hand-made tags {self._path} is damaged ({error}).", "Repair it, or move it away."
            )
        return CatalogError(
            f"The file of hand-made tags is damaged ({error}); it was moved to {aside}.",
            f"Repair it and move it back to {self._path}, or start again without hand-made tags.",
        )


def _is_database(content: object) -> bool:
    """Tables of numbered entries, each with its key."""
    return isinstance(content, dict) and all(
        isinstance(table, dict) and all(isinstance(entry, dict) and "key" in entry for entry in table.values())
        for table in content.values()
    )


def _tidy(name: str) -> str:
    return " ".join(name.lower().split())


def _key(entry: Any) -> str:
    return str(entry["key"])
