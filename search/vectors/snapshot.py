"""A table of vectors on disk: one file, published whole or not at all, and checked before it is believed.

The file is a FAISS index, then the ids of its rows (NumPy's own format), then one line of JSON that says what the
file holds and the SHA-256 of everything before it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np

from config.errors import CatalogError
from indexer.records import Space
from search.atomic import replacing
from search.vectors.table import VectorTable

logger = logging.getLogger(__name__)

FORMAT = 1
LONGEST_TRAILER = 4096


class Unbelievable(Exception):
    """A snapshot that must not be used, and why."""


def write(path: Path, table: VectorTable, space: Space) -> None:
    """Publish a snapshot. Raises CatalogError, leaving the one that was there."""
    try:
        with replacing(path) as file:
            faiss.write_index(table.index, file.name)
            file.seek(0, os.SEEK_END)
            rows_at = file.tell()
            np.save(file, np.stack((table.ids, table.media_ids, table.alive.astype(np.int64))))
            size = file.tell()
            trailer = {
                "format": FORMAT,
                "space": space.name,
                "dimension": space.dimension,
                "generation": table.newest,
                "count": table.live,
                "rows_at": rows_at,
                "sha256": _digest(file, size),
            }
            file.seek(size)
            file.write(b"\n" + json.dumps(trailer, sort_keys=True).encode())
    except (OSError, RuntimeError) as error:  # FAISS reports a failed write as RuntimeError
        raise CatalogError(
            f"The vector snapshot {path} cannot be written: {error}.",
            "Free some space on that disk; nothing is lost, the next start only takes longer.",
        ) from error


def read(path: Path, space: Space) -> VectorTable | None:
    """The snapshot, None if there is none. Raises Unbelievable."""
    try:
        with path.open("rb") as file:
            size, trailer = _trailer(file)
            if (trailer.get("format"), trailer.get("space"), trailer.get("dimension")) != (
                FORMAT,
                space.name,
                space.dimension,
            ):
                raise Unbelievable("it is of another format or space")
            if _digest(file, size) != trailer["sha256"]:
                raise Unbelievable("its checksum does not match")
            # By the open file, not by its name: another index of this space may publish a newer one meanwhile.
            index = faiss.read_index(f"/proc/self/fd/{file.fileno()}")
            file.seek(trailer["rows_at"])
            ids, media_ids, alive = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise Unbelievable(f"it cannot be read ({error})") from error
    if index.ntotal != len(ids):
        raise Unbelievable("it has not as many vectors as ids")
    table = VectorTable(index, ids, media_ids)
    table.alive = alive.astype(np.bool_)
    return table


def quarantine(path: Path, reason: str) -> None:
    """Move a snapshot aside; it is kept, so that what happened can be found out. A read-only disk keeps it where it
    is."""
    aside = path.with_name(f"{path.name}.corrupt-{time.time_ns()}")
    try:
        path.replace(aside)
    except OSError:
        aside = path
    logger.warning("the vector snapshot %s is not used, because %s; it is kept as %s", path, reason, aside.name)


def _trailer(file: BinaryIO) -> tuple[int, dict[str, Any]]:
    """(size of the data before the trailer, the trailer). Raises ValueError."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - LONGEST_TRAILER)
    file.seek(start)
    data, newline, line = file.read().rpartition(b"\n")
    trailer = json.loads(line) if newline else None
    if not isinstance(trailer, dict):
        raise ValueError("no description at its end")
    return start + len(data), trailer


def _digest(file: BinaryIO, size: int) -> str:
    """SHA-256 of the first `size` bytes, hexadecimal."""
    digest = hashlib.sha256()
    file.seek(0)
    while size and (block := file.read(min(size, 1 << 20))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
