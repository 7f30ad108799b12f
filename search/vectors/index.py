"""The vector index of one space: kept in step with the catalog, searched from many threads."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.records import Space
from search.catalog import Catalog, Vectors
from search.vectors import snapshot
from search.vectors.table import VectorTable

logger = logging.getLogger(__name__)

EXACT_UP_TO = 500_000
"""Vectors that are searched exactly; above, inverted lists are worth their error (docs/decisions/vector-index.md)."""

MOST_DEAD = 0.15
"""Share of dead rows at which the table is built anew."""

EXTRA_CANDIDATES = 50
"""Candidates beyond twice the answers wanted: what the approximate order may have misplaced, and hidden media."""

GROWTH = 4
"""By how much a search that found too little widens."""


MOST_SEGMENTS = 4
"""Of one media, segments that are named in an answer."""


@dataclass(frozen=True, slots=True)
class Near:
    """A media file near to a vector."""

    media_id: int
    cosine: float
    """Of its best segment."""
    vector_ids: tuple[int, ...]
    """Of its best segments, the best first."""


class VectorIndex:
    """Nearest media in one space.

    The catalog is the truth: every answer is scored from its vectors, so one that was removed or hidden there is never
    returned, whatever the table still holds; an answer can only lack what `refresh` has not fetched yet.
    """

    def __init__(
        self, catalog: Catalog, space: Space, directory: Path, *, exact_up_to: int = EXACT_UP_TO, threads: int = 1
    ) -> None:
        """Load the snapshot in `directory` and catch up. One that does not match the catalog is moved aside and
        rebuilt. `threads` is FAISS's OpenMP setting, which the whole process shares."""
        faiss.omp_set_num_threads(threads)
        self.space = space
        self._catalog = catalog
        self._exact_up_to = exact_up_to
        self._path = _snapshot_path(directory, space)
        self._table_lock = threading.Lock()
        self._refresh_lock = threading.Lock()
        self._saved: tuple[int, int] | None = None
        table = self._load()
        self._table = self._build() if table is None else table
        self.refresh()

    def __len__(self) -> int:
        """Vectors that can be found."""
        with self._table_lock:
            return self._table.live

    def refresh(self) -> None:
        """Apply what the catalog gained and lost since the last time. Searches go on meanwhile."""
        with self._refresh_lock:
            newest, total = self._catalog.vector_totals(self.space)
            if newest > self._table.newest:
                for block in self._blocks(self._table.newest):
                    with self._table_lock:
                        self._table.append(block)
            complete = self._table.live == total or self._bury()
            rows = len(self._table.ids)
            too_dead = rows - self._table.live > MOST_DEAD * rows
            too_large = self._table.exact and self._table.live > self._exact_up_to
            if not complete or too_dead or too_large:
                table = self._build()
                with self._table_lock:
                    self._table = table

    def save(self) -> None:
        """Write a snapshot, if anything changed since the last one. Raises CatalogError."""
        with self._refresh_lock:  # only a refresh changes the table, so it can be written while searches read it
            state = (self._table.newest, self._table.live)
            if state != self._saved:
                snapshot.write(self._path, self._table, self.space)
                self._saved = state

    def search(
        self, vector: NDArray[np.float32], k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> list[tuple[int, float]]:
        """The `k` nearest searchable media as (media_id, cosine), best first; of a media's segments the best counts.

        `vector` is (dimension,), of any length but zero. `allowed` restricts the answer to these media.
        Raises ValueError for a vector that has no direction or the wrong dimension.
        """
        return [(near.media_id, near.cosine) for near in self.nearest(vector, k, allowed=allowed)]

    def nearest(self, vector: NDArray[np.float32], k: int, *, allowed: NDArray[np.int64] | None = None) -> list[Near]:
        """Like `search`, and by which of their segments.

        A long video may fill the first candidates with its moments alone: it is left out of the next ones, so that
        there are `k` media if there are so many, however many vectors each of them has.
        """
        query = self._unit(vector)
        count, effort = 2 * k + EXTRA_CANDIDATES, 1
        found: dict[int, Near] = {}
        while True:
            with self._table_lock:
                rows = None if allowed is None else self._table.allowed_rows(allowed)
                if found:
                    rows = self._table.rows_without(np.fromiter(found, np.int64), rows)
                ids, exhausted = self._table.nearest(query, count, rows, effort)
            found |= self._scored(query, ids)
            if exhausted or len(found) >= k:
                return sorted(found.values(), key=lambda near: (-near.cosine, near.media_id))[:k]
            count, effort = count * GROWTH, effort * GROWTH

    def vectors_of(self, media_ids: Sequence[int]) -> NDArray[np.float32]:
        """(n, dimension) the vectors of these media, in their order; media without one are left out."""
        return self._catalog.vectors_of_media(self.space, media_ids).data.astype(np.float32)

    def _scored(self, query: NDArray[np.float32], ids: NDArray[np.int64]) -> dict[int, Near]:
        """Media id to how near it is, from the catalog's own vectors."""
        vectors = self._catalog.vectors_with_ids(self.space, ids.tolist())
        scores = vectors.data.astype(np.float32) @ query
        best: dict[int, Near] = {}
        order = np.argsort(-scores, kind="stable")
        for media_id, score, vector_id in zip(
            vectors.media_ids[order].tolist(), scores[order].tolist(), vectors.ids[order].tolist(), strict=True
        ):
            near = best.get(media_id)
            if near is None:
                best[media_id] = Near(media_id, score, (vector_id,))
            elif len(near.vector_ids) < MOST_SEGMENTS:
                best[media_id] = Near(media_id, near.cosine, (*near.vector_ids, vector_id))
        return best

    def _unit(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        if vector.shape != (self.space.dimension,):
            raise ValueError(f"a vector of shape {vector.shape} for {self.space.dimension} dimensions")
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            raise ValueError("a vector without a direction")
        return (vector / length).astype(np.float32)

    def _load(self) -> VectorTable | None:
        try:
            table = snapshot.read(self._path, self.space)
            if table is not None and table.newest > self._catalog.newest_vector_ever():
                raise snapshot.Unbelievable("it knows vectors that the catalog never had")
        except snapshot.Unbelievable as error:
            snapshot.quarantine(self._path, str(error))
            return None
        if table is not None:
            self._saved = (table.newest, table.live)
        return table

    def _build(self) -> VectorTable:
        """A fresh table of everything in the catalog."""
        _, total = self._catalog.vector_totals(self.space)
        return VectorTable.build(self._blocks, self.space.dimension, total, exact=total <= self._exact_up_to)

    def _bury(self) -> bool:
        """Mark rows dead that the catalog lost. False: the table lacks some that it should have."""
        ids = self._catalog.vector_ids(self.space)
        with self._table_lock:
            self._table.keep_only(ids)
        return self._table.live == np.count_nonzero(ids <= self._table.newest)

    def _blocks(self, newest: int = 0) -> Iterator[Vectors]:
        while len((block := self._catalog.vectors_after(self.space, newest)).ids):
            yield block
            newest = int(block.ids[-1])


def drop_snapshots(directory: Path, *, keep: Collection[Space]) -> None:
    """Delete the snapshots of all spaces but these, as far as the disk lets us: the rest only takes room."""
    kept = {_snapshot_path(directory, space) for space in keep}
    for path in directory.glob("vectors-*.faiss"):
        if path not in kept:
            with contextlib.suppress(OSError):
                path.unlink()


def _snapshot_path(directory: Path, space: Space) -> Path:
    return directory / f"vectors-{_file_name(space.name)}.faiss"


def _file_name(space_name: str) -> str:
    """A space's name as part of a file name; a digest tells apart what the replacement makes equal."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", space_name)[:80]
    return plain if plain == space_name else f"{plain}-{hashlib.sha256(space_name.encode()).hexdigest()[:8]}"
