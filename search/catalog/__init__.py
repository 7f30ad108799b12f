"""The truth: what was seen, what it holds, what is still to do, in one SQLite file."""

from search.catalog.catalog import Catalog
from search.catalog.rows import (
    Brief,
    Building,
    Counts,
    FileStat,
    Job,
    KnownFile,
    PhotoRow,
    Plans,
    Problem,
    TagMatch,
    TextMatch,
    Vectors,
    Work,
)

__all__ = [
    "Brief",
    "Building",
    "Catalog",
    "Counts",
    "FileStat",
    "Job",
    "KnownFile",
    "PhotoRow",
    "Plans",
    "Problem",
    "TagMatch",
    "TextMatch",
    "Vectors",
    "Work",
]
