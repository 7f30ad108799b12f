"""Nearest vectors, quickly: FAISS over the catalog's vectors, a cache that can always be rebuilt."""

from search.vectors.index import Near, VectorIndex, drop_snapshots

__all__ = ["Near", "VectorIndex", "drop_snapshots"]
