"""A query to ranked answers, each with its reasons; or to "no confident match"."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from config.errors import QueryError
from search.bursts import Group, collapse
from search.calibration import BUILTIN, Calibration
from search.catalog import Brief, Catalog
from search.conditions import AnyOf, Condition
from search.copies import named_paths
from search.evidence import Encode, Gatherer, Labels, Scope
from search.filters import EVERYTHING, among, where
from search.moments import ResultMoment
from search.named import media_named
from search.query import Query
from search.ranking import Evidence, Ranking, best_conviction, fuse, merge, relevant
from search.reasons import explain
from search.sightings import Found, MomentFinder, Question
from search.speech import all_clues, by_speech
from search.vectors import VectorIndex

DEPTH = 100
"""How many photos each ranking holds, at least: enough for bursts to collapse and for the rankings to overlap."""
GUESSES = 5
NO_MATCH = "Nothing in the library matches well."
GUESSED = "Nothing in the library matches well; these are only the nearest guesses."
UNREAD = "The model in use reads Latin letters only; other words are found where they are written or said."
FEW = 20_000
"""So many ids are handed to SQLite in a few milliseconds."""
NOTHING_SUCH = "Nothing in the library fulfils the filters."
SAID_WEIGHTS = {1: 0.6, 2: 1.0}
SAID_IN_FULL = 1.5
"""By how many words are asked for: who says one of them may speak of anything, so what is seen comes first; who says
three or more together speaks of just that."""


@dataclass(frozen=True, slots=True)
class Result:
    """One answer."""

    media_id: int
    path: str
    kind: str
    score: float
    """0 to 1, for comparison within one answer only."""
    reasons: tuple[str, ...]
    """Why, for a person."""
    taken_at: str | None
    content_hash: str
    collapsed: int
    """How many near-identical photos stand behind this one."""
    moments: tuple[ResultMoment, ...] = ()
    """Of a video or sound, the spans that answer, best first; none where the whole of it does."""


@dataclass(frozen=True, slots=True)
class _Rankings:
    """What was gathered for one question."""

    words: Ranking
    meaning: Ranking
    speech: Ranking
    speech_weight: float
    likeness: Sequence[Ranking]


@dataclass(frozen=True, slots=True)
class _Ranked:
    """What is left of it, in order."""

    best_first: list[tuple[int, float, Evidence]]
    confident: bool
    looks: frozenset[int]
    """The media that are an answer by how they look."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found."""

    results: tuple[Result, ...]
    """Best first. If not `confident`, guesses, or none."""
    confident: bool
    note: str | None


class Engine:
    """Answers queries over one library and one vector space. Safe to use from many threads."""

    def __init__(
        self,
        catalog: Catalog,
        index: VectorIndex,
        encode_text: Encode,
        *,
        labels: Labels,
        calibration: Calibration = BUILTIN,
    ) -> None:
        """`encode_text` gives unit vectors (D,) in the index's space; `labels` the (M, D) unit vectors of texts which
        that space knows, the background against which `calibration` reads its cosines. Both may load at first use."""
        self._catalog = catalog
        self._index = index
        self._calibration = calibration
        self._gather = Gatherer(catalog, index, encode_text, labels, calibration)
        self._moments = MomentFinder(catalog, self._gather)

    def search(self, query: Query, *, limit: int = 20, everything: bool = False) -> Answer:
        """Answer a query. `everything` lifts the cut-off and shows every photo of a burst.

        Without free text and examples the answer is all media that fulfil the filters, newest first, and confident.
        Raises QueryError if `similar:` names nothing in the library.
        """
        limit = query.limit or limit
        condition = where(query.groups)
        if not query.texts and not query.similar:
            return self._list(query, limit, everything=everything)
        allowed = None if condition[0] == EVERYTHING else self._catalog.matching_media(*condition)
        if allowed is not None and not len(allowed):
            return Answer((), confident=False, note=NOTHING_SUCH)
        if allowed is not None and len(allowed) <= FEW:
            condition = among(allowed.tolist())  # it is asked for several times: looking ids up beats matching paths
        scope = Scope(condition, allowed, max(DEPTH, 2 * limit))
        sought = [self._gather.understood(text) for text in query.texts]
        examples = [self._media_named(path) for path in query.similar]
        speech = [by_speech(self._catalog, one.wording, scope.where, scope.depth) for one in sought]
        words_said = min((len(one.wording.spoken) for one in sought if not one.wording.telling), default=2)
        rankings = _Rankings(
            words=merge([self._gather.by_words(one, scope) for one in sought]),
            meaning=merge([self._gather.by_meaning(one, scope) for one in sought]),
            speech=merge([one.ranking for one in speech]),
            speech_weight=SAID_WEIGHTS.get(words_said, SAID_IN_FULL),
            likeness=[self._gather.by_example(example, scope) for example in examples],
        )
        ranked = self._rank(rankings, everything=everything)
        note = _note(ranked)
        blind = sought and not any(self._gather.knows(one.wording) for one in sought)
        if note and any(one.unread for one in sought):
            note = f"{note} {UNREAD}"
        elif note and blind and self._calibration.blind_note:
            note = f"{note} {self._calibration.blind_note}"
        question = Question(query, ranked.looks, sought, examples, all_clues(speech))
        return self._answer(ranked, question, limit, note=note, everything=everything)

    def similar(self, media_id: int, *, limit: int = 20, everything: bool = False) -> Answer:
        """Media like one of the library, which is left out itself. Of a video any moment may be alike."""
        scope = Scope((EVERYTHING, []), None, max(DEPTH, 2 * limit))
        likeness = [self._gather.by_example(media_id, scope)]
        ranked = self._rank(_Rankings({}, {}, {}, 1.0, likeness), everything=everything)
        question = Question(Query(), ranked.looks, (), (media_id,), {})
        return self._answer(ranked, question, limit, note=_note(ranked), everything=everything)

    def _rank(self, rankings: _Rankings, *, everything: bool) -> _Ranked:
        """Cut each ranking off, fuse them, and say whether any of them is confident."""
        read = self._calibration
        cuts = [
            _Cut(rankings.words, 0.0, 0.0, 1.0, looks=False),
            _Cut(rankings.meaning, read.floor, read.share, 1.0, looks=True),
            _Cut(rankings.speech, 0.0, 0.0, rankings.speech_weight, looks=False),
            *(_Cut(one, read.similar_floor, read.similar_share, 1.0, looks=True) for one in rankings.likeness),
        ]
        cuts = [cut for cut in cuts if cut.ranking]
        convincing = [cut for cut in cuts if best_conviction(cut.ranking) >= cut.floor]
        confident = bool(convincing)
        if not everything:
            guesses = [cut for cut in cuts if best_conviction(cut.ranking) >= read.guess_floor]
            nearness = read.nearness if confident else 0.0
            cuts = [replace(cut, ranking=relevant(cut.ranking, cut.share, nearness)) for cut in convincing or guesses]
        kept = [cut.ranking for cut in cuts]
        evidence = merge(kept)
        for ranking in kept:
            for media_id, one in ranking.items():
                if one is not evidence[media_id]:
                    evidence[media_id].reasons += [
                        reason for reason in one.reasons if reason not in evidence[media_id].reasons
                    ]
        order = fuse(kept, [cut.weight for cut in cuts])
        fused = [(media_id, score, evidence[media_id]) for media_id, score in order]
        looks = frozenset[int]().union(*(cut.ranking for cut in cuts if cut.looks))
        return _Ranked(fused if confident or everything else fused[:GUESSES], confident, looks)

    def _list(self, query: Query, limit: int, *, everything: bool) -> Answer:
        """What fulfils the filters, without any relevance to order it by."""
        order = "date" if query.sort == "relevance" else query.sort
        rows = self._catalog.listed(*where(query.groups), order=order, limit=max(DEPTH, 2 * limit))
        known = {row.media_id: row for row in rows}
        scored = dict.fromkeys(known, 1.0)
        groups = self._groups(list(known), known, everything=everything)[:limit]
        note = None if groups else NOTHING_SUCH
        results = self._results(groups, scored, {}, Question(query, frozenset(), (), (), {}))
        return Answer(results, confident=bool(groups), note=note)

    def _answer(self, ranked: _Ranked, question: Question, limit: int, *, note: str | None, everything: bool) -> Answer:
        known = self._catalog.brief([media_id for media_id, _, _ in ranked.best_first])
        visible = [one for one in ranked.best_first if one[0] in known]
        groups = self._groups([media_id for media_id, _, _ in visible], known, everything=everything)
        groups = _sorted(groups, known, question.query.sort)[:limit]
        scores = {media_id: score for media_id, score, _ in visible}
        evidence = {media_id: one for media_id, _, one in visible}
        return Answer(self._results(groups, scores, evidence, question), confident=ranked.confident, note=note)

    def _groups(self, media_ids: Sequence[int], known: Mapping[int, Brief], *, everything: bool) -> list[Group]:
        if everything:
            return [Group(media_id, ()) for media_id in media_ids]
        return collapse(media_ids, known, self._vectors_of, self._calibration.same_picture)

    def _vectors_of(self, media_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        rows = self._catalog.vectors_of_media(self._index.space, media_ids)
        found: dict[int, NDArray[np.float32]] = {}
        for media_id, part in rows.parts():
            own = rows.data[part].astype(np.float32)
            mean = own.mean(axis=0)
            found[media_id] = own[0] if len(own) == 1 else mean / max(float(np.linalg.norm(mean)), 1e-6)
        return found

    def _results(
        self,
        groups: Sequence[Group],
        scores: Mapping[int, float],
        evidence: Mapping[int, Evidence],
        question: Question,
    ) -> tuple[Result, ...]:
        """Fetch what is shown, and only that."""
        rows = {row.media_id: row for row in self._catalog.photos([group.shown for group in groups], moments=False)}
        # The best shot of a burst stands where its most relevant one did.
        best = {group.shown: max(scores[member] for member in (group.shown, *group.others)) for group in groups}
        inside = self._moments.of(list(rows.values()), question, best)
        paths = named_paths(self._catalog, rows.values(), question.query)
        return tuple(
            Result(
                media_id=group.shown,
                path=paths[group.shown],
                kind=row.kind,
                score=round(best[group.shown], 4),
                reasons=explain(
                    row,
                    evidence.get(group.shown),
                    question.query,
                    looks=inside.get(group.shown, Found()).looks,
                ),
                taken_at=row.info.taken_at if row.info else None,
                content_hash=row.content_hash,
                collapsed=len(group.others),
                moments=inside.get(group.shown, Found()).moments,
            )
            for group in groups
            if (row := rows.get(group.shown)) is not None and row.paths
        )

    def _media_named(self, path: str) -> int:
        """The media at a path; a relative path may name a file by the end of its path, if only one has it."""
        found = media_named(self._catalog, path)
        if found is not None:
            return found
        if not os.path.isabs(path):
            ending = Condition("path", AnyOf((f"*/{path.removeprefix('./')}",)), path)
            matches = self._catalog.select_media(*where([(ending,)]))
            if len(matches) == 1:
                return int(matches[0])
        raise QueryError(
            f"similar: {path} is no photo or video of the library.",
            "Give the whole path of an indexed one, for example similar:/home/me/Pictures/a.jpg.",
        )


@dataclass(frozen=True, slots=True)
class _Cut:
    """A ranking, and where it is cut off."""

    ranking: Ranking
    floor: float
    """The conviction from which it says something."""
    share: float
    """Of the best similarity, what an answer needs."""
    weight: float
    looks: bool
    """Whether it is about how media look."""


def _note(ranked: _Ranked) -> str | None:
    return None if ranked.confident else GUESSED if ranked.best_first else NO_MATCH


def _sorted(groups: list[Group], known: Mapping[int, Brief], sort: str) -> list[Group]:
    """Groups in the order asked for, those without a date or quality last; the relevant ones stay the relevant ones."""
    if sort == "relevance":
        return groups
    if sort == "quality":
        return sorted(groups, key=lambda group: -(known[group.shown].quality or 0.0))
    if sort == "aesthetic":
        return sorted(groups, key=lambda group: -(known[group.shown].aesthetic or 0.0))
    dated = [group for group in groups if known[group.shown].taken_at]
    dated.sort(key=lambda group: known[group.shown].taken_at or "", reverse=sort == "date")
    return dated + [group for group in groups if not known[group.shown].taken_at]
