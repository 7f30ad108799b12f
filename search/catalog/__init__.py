"""The truth: what was seen, what it holds, what is still to do, in one SQLite file."""

from search.catalog.catalog import Catalog
from search.catalog.rows import (
    Brief,
    Building,
    Counts,
    EventMatch,
    FileStat,
    Forgettable,
    Job,
    KnownFile,
    PhotoRow,
    Plans,
    Problem,
    Root,
    SpokenMatch,
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
    "EventMatch",
    "FileStat",
    "Forgettable",
    "Job",
    "KnownFile",
    "PhotoRow",
    "Plans",
    "Problem",
    "Root",
    "SpokenMatch",
    "TagMatch",
    "TextMatch",
    "Vectors",
    "Work",
]
