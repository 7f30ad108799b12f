"""Questions about a library, answered as messages: what the socket serves and, with no service, what the CLI calls."""

from __future__ import annotations

import ctypes
import dataclasses
import datetime
import functools
import logging
import os
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from config.errors import ReverieError
from config.paths import Paths, thumbnail_path
from indexer.models.builtin import SPACE, describe_models, load_labels, load_text_encoder
from indexer.models.text import TextEncoder
from search.authored import Authored
from search.catalog import Catalog, PhotoRow
from search.engine import Answer, Engine
from search.messages import PhotoMessage, ProblemMessage, ResultMessage, SearchMessage, StatusMessage
from search.query import parse
from search.vectors import VectorIndex

logger = logging.getLogger(__name__)

PROBLEMS_SHOWN = 100


class NotIndexed(ReverieError):
    """A path that the library does not know."""

    exit_status = 1


class NoText(ReverieError):
    """A word that is made of bytes that are not UTF-8."""

    exit_status = 2


class Answers:
    """Search, similar, show and status over an open library. Safe to use from several threads.

    The text encoder is loaded with the first question and can be let go with `rest`.
    """

    def __init__(self, paths: Paths, catalog: Catalog) -> None:
        self.paths = paths
        self.catalog = catalog
        self.index = VectorIndex(catalog, SPACE, paths.library)
        self.authored = Authored(paths.library)
        self._engine = Engine(catalog, self.index, self._encode, labels=self._labels)
        self._encoder: TextEncoder | None = None
        self._encoder_lock = threading.Lock()
        self._last_question = time.monotonic()

    def search(self, text: str, *, limit: int, everything: bool) -> SearchMessage:
        """Raises QueryError for a query that cannot be understood, NoText for one that is no text."""
        began = time.perf_counter()
        _check_text(text)
        query = parse(text, today=datetime.date.today(), saved=self._saved)
        answer = self._engine.search(query, limit=query.limit or limit, everything=everything)
        return self._message(answer, began)

    def similar(self, path: str, *, limit: int, everything: bool) -> SearchMessage:
        """Raises NotIndexed for a path the library does not know."""
        began = time.perf_counter()
        return self._message(self._engine.similar(self._media_at(path), limit=limit, everything=everything), began)

    def show(self, path: str) -> PhotoMessage:
        """Raises NotIndexed for a path the library does not know."""
        [row] = self.catalog.photos([self._media_at(path)])
        return self._photo(row)

    def tag(self, path: str, *, add: Sequence[str], remove: Sequence[str]) -> PhotoMessage:
        """Add and remove hand-made tags. They are kept with what people made, and findable at once."""
        _check_text(*add, *remove)
        [row] = self.catalog.photos([self._media_at(path)])
        self.authored.add_tags(row.content_hash, add)
        self.authored.remove_tags(row.content_hash, remove)
        self.catalog.set_authored_tags(row.media_id, self.authored.tags_of(row.content_hash))
        return self.show(path)

    def save(self, name: str, query: str) -> None:
        """Keep a query under a name, for `reverie search @name`. An empty query forgets the name.

        Raises QueryError for a query that cannot be understood.
        """
        _check_text(name, query)
        if not query:
            self.authored.delete_search(name)
            return
        parse(query, today=datetime.date.today(), saved=self._saved)
        self.authored.save_search(name, query)

    def saved(self) -> dict[str, str]:
        """Every saved search, by name."""
        return self.authored.saved_searches()

    def status(self, runtime: str | None) -> StatusMessage:
        """The state of the library; the service adds its own."""
        counts = self.catalog.counts()
        numbers = dataclasses.asdict(counts)
        vectors = numbers.pop("vectors")
        return {
            "library": str(self.paths.library),
            "service": None,
            "counts": numbers,
            "vectors": dict(vectors),
            "profile": "builtin",
            "runtime": runtime or "not loaded (the worker starts when there is work)",
            "device": "CPU",
            "models": [
                {
                    "name": card.name,
                    "task": card.task,
                    "package": card.package,
                    "version": card.version,
                    "licence": card.licence,
                }
                for card in describe_models()
            ],
            "problems": self.problems(PROBLEMS_SHOWN),
            "problems_total": counts.problems,
        }

    def problems(self, limit: int) -> list[ProblemMessage]:
        """Files that are not searchable, or not as they should be."""
        return [
            {"path": problem.path, "title": problem.title, "remedy": problem.remedy, "attempts": problem.attempts}
            for problem in self.catalog.problems(limit)
        ]

    def rest(self, idle_seconds: float) -> None:
        """Let the text encoder go if nobody has asked for so long. The next question loads it again."""
        with self._encoder_lock:
            if self._encoder is not None and time.monotonic() - self._last_question > idle_seconds:
                self._encoder = None
                ctypes.CDLL(None).malloc_trim(0)  # glibc would keep what it held (malloc_trim(3))
                logger.info("no question for %.0f s: the text encoder is unloaded", idle_seconds)

    def _saved(self, name: str) -> str | None:
        return self.authored.saved_searches().get(name)

    def _encode(self, text: str) -> NDArray[np.float32]:
        with self._encoder_lock:
            self._last_question = time.monotonic()
            if self._encoder is None:
                self._encoder = load_text_encoder(self.paths.model_cache, threads=1)
            return self._encoder.encode(text)

    @functools.cached_property
    def _label_vectors(self) -> NDArray[np.float32]:
        return load_labels(self.paths.model_cache, threads=1)

    def _labels(self) -> NDArray[np.float32]:
        return self._label_vectors

    def _media_at(self, path: str) -> int:
        try:
            media_id = self.catalog.media_at(path)
        except UnicodeEncodeError:
            media_id = None  # no file can have this name
        if media_id is None:
            if not os.path.lexists(path):
                raise NotIndexed(f"There is no file {path}.", "Check the name.")
            raise NotIndexed(
                f"{path} is not indexed.", f"Index it (`reverie index {path}`), or see `reverie status` for a problem."
            )
        return media_id

    def _message(self, answer: Answer, began: float) -> SearchMessage:
        results: list[ResultMessage] = [
            {
                "path": result.path,
                "kind": result.kind,
                "score": round(result.score, 4),
                "reasons": list(result.reasons),
                "taken_at": result.taken_at,
                "collapsed": result.collapsed,
                "content_hash": result.content_hash,
                "thumbnail": str(thumbnail_path(self.paths.thumbnails, result.content_hash)),
            }
            for result in answer.results
        ]
        return {
            "results": results,
            "confident": answer.confident,
            "note": answer.note,
            "seconds": round(time.perf_counter() - began, 4),
        }

    def _photo(self, row: PhotoRow) -> PhotoMessage:
        return {
            "paths": list(row.paths),
            "content_hash": row.content_hash,
            "kind": row.kind,
            "size": row.size,
            "info": None if row.info is None else dataclasses.asdict(row.info),
            "pixels": None if row.pixels is None else dataclasses.asdict(row.pixels),
            "tags": [{"name": tag.name, "confidence": tag.confidence, "source": tag.source} for tag in row.tags],
            "label": self.authored.label_of(row.content_hash),
            "jobs": [
                {
                    "stage": job.stage,
                    "revision": job.revision,
                    "state": job.state,
                    "attempts": job.attempts,
                    "problem": job.problem_title,
                }
                for job in row.jobs
            ],
            "thumbnail": str(thumbnail_path(self.paths.thumbnails, row.content_hash)),
        }


def _check_text(*texts: str) -> None:
    """Words come from files and terminals in any encoding, and neither SQLite nor a tokenizer takes what is no text."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NoText(f"{text!a} is not valid UTF-8 text.", "Type it on a terminal that is set to UTF-8.") from error
