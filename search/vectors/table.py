"""Vectors in memory, row by row, with the catalog's ids beside them.

A row's number is its FAISS id. Rows are only ever added; one that the catalog no longer has is marked dead and left
out of every answer until the table is built anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from search.catalog import Vectors

faiss: Any = _faiss  # its own type hints contradict what its Python layer accepts

TRAINING_PER_LIST = 64
"""Vectors to train each inverted list on: FAISS warns below 39, and gains nothing above 256."""

PROBED_SHARE = 1 / 32
"""Share of the inverted lists that one search visits."""

FEWEST_PROBED = 16


class VectorTable:
    """Rows of unit vectors, searched by inner product, exactly or by inverted lists. Not thread-safe."""

    def __init__(self, index: Any, ids: NDArray[np.int64], media_ids: NDArray[np.int64]) -> None:
        self.index = index
        self.ids = ids
        """(rows,) vector ids, ascending."""
        self.media_ids = media_ids
        """(rows,)"""
        self.alive = np.ones(len(ids), dtype=np.bool_)

    @classmethod
    def build(cls, blocks: Callable[[], Iterator[Vectors]], dimension: int, total: int, *, exact: bool) -> VectorTable:
        """A table of everything in `blocks` (asked twice if training is needed); `total` is about how much that is."""
        if exact:
            # float16 is what the catalog stores, so nothing is lost and nothing has to be trained.
            index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        else:
            index = _trained(blocks(), dimension, total)
        nothing = np.empty(0, dtype=np.int64)
        table = cls(index, nothing, nothing)
        for block in blocks():
            table.append(block)
        return table

    @property
    def exact(self) -> bool:
        """Every vector is looked at, none approximately."""
        return not isinstance(self.index, faiss.IndexIVF)

    @property
    def newest(self) -> int:
        """The greatest vector id; 0 when empty."""
        return int(self.ids[-1]) if len(self.ids) else 0

    @property
    def live(self) -> int:
        """Rows that are not dead."""
        return int(np.count_nonzero(self.alive))

    def append(self, vectors: Vectors) -> None:
        """Add rows; their ids must be above `newest`."""
        self.index.add(vectors.data.astype(np.float32))
        self.ids = np.concatenate((self.ids, vectors.ids))
        self.media_ids = np.concatenate((self.media_ids, vectors.media_ids))
        self.alive = np.concatenate((self.alive, np.ones(len(vectors.ids), dtype=np.bool_)))

    def keep_only(self, ids: NDArray[np.int64]) -> None:
        """Mark every row dead whose vector id is not among these."""
        self.alive &= np.isin(self.ids, ids, assume_unique=True)

    def allowed_rows(self, media_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(rows,) which live rows belong to these media."""
        return self.alive & np.isin(self.media_ids, media_ids)

    def rows_without(self, media_ids: NDArray[np.int64], rows: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """(rows,) which of these rows (all live ones by default) belong to other media."""
        return (self.alive if rows is None else rows) & np.isin(self.media_ids, media_ids, invert=True)

    def nearest(
        self, vector: NDArray[np.float32], count: int, rows: NDArray[np.bool_] | None, effort: int
    ) -> tuple[NDArray[np.int64], bool]:
        """The ids of about the `count` nearest vectors among `rows` (all live ones by default), and whether there are
        no more to be had. `effort` multiplies the share of the lists that is visited."""
        selected = self.alive if rows is None else rows
        available = int(np.count_nonzero(selected))
        if available <= count:
            return self.ids[selected], True
        # A bit per row, lowest bit first; the selector reads the array in place, so `bits` must outlive the search.
        bits = np.packbits(selected, bitorder="little") if available < len(self.ids) else None
        options: dict[str, Any] = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
        everything = True
        if self.exact:
            parameters = faiss.SearchParameters(**options)
        else:
            lists = self.index.nlist
            share = PROBED_SHARE * effort * len(self.ids) / available
            probes = min(lists, max(FEWEST_PROBED, math.ceil(lists * share)))
            everything = probes == lists
            parameters = faiss.SearchParametersIVF(nprobe=probes, **options)
        _, found = self.index.search(vector[None, :], count, params=parameters)
        found = found[0][found[0] >= 0]
        return self.ids[found], everything and len(found) < count


def _trained(blocks: Iterator[Vectors], dimension: int, total: int) -> Any:
    """An empty index of inverted lists with int8 codes, trained on an even sample."""
    lists = 2 ** int(math.log2(max(1, min(4 * math.sqrt(total), total / TRAINING_PER_LIST))))
    stride = max(1, total // (lists * TRAINING_PER_LIST))
    sample = np.concatenate([block.data[::stride] for block in blocks]).astype(np.float32)
    quantizer = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.own_fields = True  # the index frees the quantizer; Python must not
    quantizer.this.disown()
    index.train(sample)
    return index
