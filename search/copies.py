"""Which path stands for a media file that lies at several: the one that the question names."""

from __future__ import annotations

from collections.abc import Iterable

from search import scripts
from search.asked_spans import positive
from search.catalog import Catalog, PhotoRow
from search.conditions import AnyOf
from search.filters import at_paths
from search.query import Query
from search.speech import stem, words_in


def named_paths(catalog: Catalog, rows: Iterable[PhotoRow], query: Query) -> dict[int, str]:
    """By media id, the path to show: of copies the one that fulfils most of `path:`, then the one that holds most of
    the words that are looked for, then the first. Media that no path holds are left out."""
    rows = [row for row in rows if row.paths]
    copies = [row for row in rows if len(row.paths) > 1]
    if not copies:
        return {row.media_id: row.paths[0] for row in rows}
    ids = [row.media_id for row in copies]
    asked = [catalog.paths_of(ids, *at_paths(text)) for text in _texts(query)]
    words = {stem(word) for one in query.texts for word in scripts.words(one.words)}

    def named(path: str) -> tuple[int, int]:
        return sum(path in found for found in asked), len(words_in(words, path))

    return {row.media_id: max(row.paths, key=named) for row in rows}


def _texts(query: Query) -> list[str]:
    """What the filters `path:` ask for."""
    values = (condition.value for condition in positive(query) if condition.name == "path")
    return [text for value in values if isinstance(value, AnyOf) for text in value.texts]
