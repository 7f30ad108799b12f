"""The truth: what was seen, what it holds, what is still to do, in one SQLite file."""

from search.catalog.catalog import Catalog
from search.catalog.rows import Brief, Counts, FileStat, Job, KnownFile, PhotoRow, Problem, TextMatch, Vectors, Work

__all__ = [
    "Brief",
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
