"""Nearest vectors, quickly: FAISS over the catalog's vectors, a cache that can always be rebuilt."""

from search.vectors.index import VectorIndex, drop_snapshots

__all__ = ["VectorIndex", "drop_snapshots"]
