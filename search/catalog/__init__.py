"""The truth: what was seen, what it holds, what is still to do, in one SQLite file."""

from search.catalog.catalog import Catalog
from search.catalog.rows import Counts, FileStat, Job, KnownFile, PhotoRow, Problem, TextMatch, Vectors, Work

__all__ = [
    "Catalog",
    "Counts",
    "FileStat",
    "Job",
    "KnownFile",
    "PhotoRow",
    "Problem",
    "TextMatch",
    "Vectors",
    "Work",
]
