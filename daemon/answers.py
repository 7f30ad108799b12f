"""Questions about a library, answered as messages: what the socket serves and, with no service, what the CLI calls."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from collections.abc import Callable, Sequence

from config.errors import ReverieError
from config.paths import Paths, thumbnail_path
from daemon.model_report import models_in_use
from daemon.view import BUILTIN_PLAN, View, open_view
from indexer.pictures import Pictures
from indexer.records import Plan
from indexer.stages import cuts_out
from search.authored import Authored
from search.catalog import Catalog, PhotoRow
from search.engine import Answer
from search.messages import (
    ChangeMessage,
    PhotoMessage,
    ProblemMessage,
    ResultMessage,
    SearchMessage,
    StatusMessage,
)
from search.query import parse
from search.vectors import VectorIndex

PROBLEMS_SHOWN = 100


class NotIndexed(ReverieError):
    """A path that the library does not know."""

    exit_status = 1


class NoText(ReverieError):
    """A word that is made of bytes that are not UTF-8."""

    exit_status = 2


class Answers:
    """Search, similar, show and status over an open library. Safe to use from several threads.

    What answers is the view of the plan in use. `adopt` puts another one in its place, between two questions.
    """

    def __init__(self, paths: Paths, catalog: Catalog) -> None:
        self.paths = paths
        self.catalog = catalog
        self.authored = Authored(paths.library)
        self._view = self.view_of(catalog.plans().active or BUILTIN_PLAN)

    @property
    def index(self) -> VectorIndex:
        """The vectors that are searched."""
        return self._view.index

    @property
    def plan(self) -> Plan:
        """The plan whose space is searched."""
        return self._view.plan

    def view_of(self, plan: Plan) -> View:
        """A view of another plan, to be adopted later."""
        return open_view(plan, self.catalog, self.paths)

    def adopt(self, view: View) -> None:
        """Answer from this view from now on."""
        self._view = view

    @property
    def outdated(self) -> bool:
        """Whether another process changed the plan in use since this library was opened."""
        active = self.catalog.plans().active
        return active is not None and active != self.plan

    def search(self, text: str, *, limit: int, everything: bool) -> SearchMessage:
        """Raises QueryError for a query that cannot be understood, NoText for one that is no text."""
        began = time.perf_counter()
        _check_text(text)
        query = parse(text, today=datetime.date.today(), saved=self._saved)
        wanted = query.limit or limit
        answer = self._put(lambda view: view.engine.search(query, limit=wanted, everything=everything))
        return self._message(answer, began)

    def similar(self, path: str, *, limit: int, everything: bool) -> SearchMessage:
        """Raises NotIndexed for a path the library does not know."""
        began = time.perf_counter()
        media_id = self._media_at(path)
        answer = self._put(lambda view: view.engine.similar(media_id, limit=limit, everything=everything))
        return self._message(answer, began)

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

    def status(self) -> StatusMessage:
        """The state of the library; the service adds its own."""
        counts = self.catalog.counts()
        numbers = dataclasses.asdict(counts)
        vectors = numbers.pop("vectors")
        return {
            "library": str(self.paths.library),
            "service": None,
            "counts": numbers,
            "vectors": dict(vectors),
            "profile": self.plan.profile,
            "change": self.change(),
            "models": models_in_use(self.plan, self.paths),
            "stages": [],
            "devices": [],
            "notes": [],
            "problems": self.problems(PROBLEMS_SHOWN),
            "problems_total": counts.problems,
        }

    def change(self) -> ChangeMessage | None:
        """How far a change of profile is; the service adds its pace."""
        return change_of(self.catalog)

    def problems(self, limit: int) -> list[ProblemMessage]:
        """Files that are not searchable, or not as they should be."""
        return [
            {"path": problem.path, "title": problem.title, "remedy": problem.remedy, "attempts": problem.attempts}
            for problem in self.catalog.problems(limit)
        ]

    def rest(self, idle_seconds: float) -> None:
        """Let the text encoder go if nobody has asked for so long. The next question loads it again."""
        self._view.query.rest(idle_seconds)

    def _saved(self, name: str) -> str | None:
        return self.authored.saved_searches().get(name)

    def _put(self, question: Callable[[View], Answer]) -> Answer:
        """Ask the view in use; and again if it was replaced meanwhile, for then its vectors may have gone."""
        while True:
            view = self._view
            answer = question(view)
            if view is self._view:
                return answer

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
            "tags": [
                {"name": tag.name, "confidence": tag.confidence, "source": tag.source, "count": tag.count}
                for tag in row.tags
            ],
            "detections": [{"label": one.label, "score": one.score, "box": list(one.box)} for one in row.detections],
            "aesthetic": row.aesthetic,
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
            "cut_out": self._cut_out(row.content_hash),
        }

    def _cut_out(self, content_hash: str) -> str | None:
        """That of the plan in use: another may be making some, or may have left some."""
        path = Pictures(self.paths.thumbnails).cut_out(content_hash) if cuts_out(self._view.plan.stages) else None
        return None if path is None else str(path)


def change_of(catalog: Catalog) -> ChangeMessage | None:
    """How far a change of profile is, as the catalog tells."""
    building = catalog.plans().building
    if building is None:
        return None
    done, total = catalog.building_progress()
    return {
        "profile": building.plan.profile,
        "since": building.since,
        "done": done,
        "total": total,
        "photos_per_second": 0.0,
        "eta_seconds": None,
        "trouble": None,
    }


def _check_text(*texts: str) -> None:
    """Words come from files and terminals in any encoding, and neither SQLite nor a tokenizer takes what is no text."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NoText(f"{text!a} is not valid UTF-8 text.", "Type it on a terminal that is set to UTF-8.") from error
