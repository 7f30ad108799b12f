"""Questions about a library, answered as messages: what the socket serves and, with no service, what the CLI calls."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from collections.abc import Callable, Mapping, Sequence

from config.disk import obstacle
from config.errors import ReverieError
from config.paths import Paths
from daemon.file_message import (
    NothingThere,
    check_done,
    photo_message,
    result_message,
    transcript_message,
)
from daemon.model_report import models_in_use
from daemon.passed_over import PassedOver
from daemon.roots import root_notes
from daemon.view import BUILTIN_PLAN, View, open_view
from indexer.pictures import Pictures
from indexer.records import Kind, Plan
from indexer.stages import cuts_out
from indexer.vocabulary import SPEECH_KIND
from search.authored import Authored
from search.catalog import Catalog, PhotoRow
from search.engine import Answer
from search.highlights import highlights
from search.messages import (
    HighlightsMessage,
    NoteMessage,
    PhotoMessage,
    ProblemMessage,
    SearchMessage,
    SpanMessage,
    StatusMessage,
    TranscriptMessage,
)
from search.model_messages import ChangeMessage
from search.named import media_named
from search.query import parse
from search.vectors import VectorIndex

PROBLEMS_SHOWN = 100
SUBTITLES = "These are the subtitles. `said:` also finds what the speech model heard."
HIGHLIGHT_SECONDS = 20.0
"""How long the highlights are together that are shown when nobody says how long they should be."""


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

    def __init__(self, paths: Paths, catalog: Catalog, plan: Plan | None = None) -> None:
        """`plan` is the one to answer by; None: what the catalog says."""
        self.paths = paths
        self.catalog = catalog
        self.authored = Authored(paths.library)
        self.passed_over = PassedOver(paths.library)
        self._view = self.view_of(plan or catalog.plans().active or BUILTIN_PLAN)
        self.share_of: Callable[[int], float | None] = lambda _: None
        """How far the analysis of a long file (by media id) is, 0 to 1; None: it is not under way."""

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
        """All about a file; of its copies the path asked for comes first. Raises NotIndexed."""
        [row] = self.catalog.photos([self._media_at(path)])
        return self._photo(dataclasses.replace(row, paths=tuple(sorted(row.paths, key=lambda one: one != path))))

    def transcript(self, path: str) -> TranscriptMessage:
        """What is said in a video or sound.

        Raises NotIndexed; NothingThere for a photo, for what was not listened to yet, and where nobody speaks.
        """
        [row] = self.catalog.photos([self._media_at(path)])
        if row.kind == Kind.PHOTO:
            raise NothingThere(f"{path} is a photo: nothing is said in it.", "Name a video or a sound.")
        if row.transcript is None:
            check_done(row, path, "speech", self.share_of(row.media_id))
            if row.info is not None and row.info.audio_codec is None:
                raise NothingThere(f"{path} has no sound.")
            raise NothingThere(
                f"The profile {self.plan.profile} does not listen to what is said.",
                "`reverie models` lists the profiles; one with a speech model does.",
            )
        if not row.transcript.utterances:
            if any(event.kind == SPEECH_KIND for event in row.events):
                raise NothingThere(
                    f"Somebody speaks in {path}, in a language this model does not know, or too unclear.",
                    "`reverie models` lists models that know other languages.",
                )
            raise NothingThere(f"Nobody speaks in {path}, or nobody who could be understood.")
        _, *heard = self.catalog.transcripts_of([row.media_id]).get(row.media_id, (row.transcript,))
        return transcript_message(row.transcript, SUBTITLES if any(one.utterances for one in heard) else None)

    def highlights(self, path: str, *, seconds: float) -> HighlightsMessage:
        """The parts of a video or sound that are worth watching, together no longer than `seconds`.

        Raises NotIndexed; NothingThere for a photo, and a file that was not analysed yet.
        """
        [row] = self.catalog.photos([self._media_at(path)])
        if row.kind == Kind.PHOTO:
            raise NothingThere(f"{path} is a photo: it has no highlights.", "Name a video or a sound.")
        if row.info is None:
            check_done(row, path, "", self.share_of(row.media_id))
        if row.info is None or not row.info.duration:
            raise NothingThere(f"Nothing tells how long {path} is.", "The file may be damaged; players may know more.")
        return {
            "path": path,
            "kind": row.kind,
            "duration": row.info.duration,
            "spans": self._highlights(row, seconds),
        }

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
        vectors, kinds = numbers.pop("vectors"), numbers.pop("kinds")
        return {
            "library": str(self.paths.library),
            "service": None,
            "counts": numbers,
            "kinds": dict(kinds),
            "passed_over": self.passed_over.counts(),
            "vectors": dict(vectors),
            "profile": self.plan.profile,
            "change": self.change(),
            "models": models_in_use(self.plan, self.paths),
            "stages": [],
            "devices": [],
            "notes": [*self._unwritable(), *root_notes(self.catalog), *self._missing_models(kinds)],
            "problems": self.problems(PROBLEMS_SHOWN),
            "problems_total": counts.problems,
        }

    def _unwritable(self) -> list[NoteMessage]:
        """That nothing can be added to the library, when that is so."""
        found = obstacle(self.paths.catalog)
        return [{"title": found[0], "remedy": found[1]}] if found else []

    def _missing_models(self, kinds: Mapping[str, int]) -> list[NoteMessage]:
        """What the profile in use has no model for, though there are files for it."""
        if not kinds.get(Kind.VIDEO) or any(stage.startswith("action:") for stage in self.plan.stages):
            return []
        return [
            {
                "title": f"What happens in videos is not recognised: {self.plan.profile} has no model of actions.",
                "remedy": "`reverie models pull standard`, then `reverie models use standard`.",
            }
        ]

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
        media_id = media_named(self.catalog, path)
        if media_id is None:
            if not os.path.lexists(path):
                raise NotIndexed(f"There is no file {path}.", "Check the name.")
            raise NotIndexed(
                f"{path} is not indexed.", f"Index it (`reverie index {path}`), or see `reverie status` for a problem."
            )
        return media_id

    def _highlights(self, row: PhotoRow, seconds: float) -> list[SpanMessage]:
        if row.kind == Kind.PHOTO:
            return []
        vectors = self.catalog.vectors_of_media(self.index.space, [row.media_id])
        return [{"start": one.start, "end": one.end} for one in highlights(row, vectors, seconds)]

    def _message(self, answer: Answer, began: float) -> SearchMessage:
        return {
            "results": [result_message(result, self.paths.thumbnails) for result in answer.results],
            "confident": answer.confident,
            "note": answer.note,
            "seconds": round(time.perf_counter() - began, 4),
        }

    def _photo(self, row: PhotoRow) -> PhotoMessage:
        return photo_message(
            row,
            self.paths.thumbnails,
            label=self.authored.label_of(row.content_hash),
            cut_out=self._cut_out(row.content_hash),
            highlights=self._highlights(row, HIGHLIGHT_SECONDS),
        )

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
        "long_left": 0,
        "trouble": None,
    }


def _check_text(*texts: str) -> None:
    """Words come from files and terminals in any encoding, and neither SQLite nor a tokenizer takes what is no text."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NoText(f"{text!a} is not valid UTF-8 text.", "Type it on a terminal that is set to UTF-8.") from error
