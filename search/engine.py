"""A query to ranked answers, each with its reasons; or to "no confident match"."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.errors import QueryError
from search.bursts import Group, collapse
from search.calibration import BUILTIN, Calibration
from search.catalog import Brief, Catalog
from search.conditions import AnyOf, Condition
from search.evidence import Encode, Gatherer, Labels, Scope
from search.filters import EVERYTHING, among, where
from search.query import Query
from search.ranking import Evidence, Ranking, best_conviction, fuse, merge, relevant
from search.reasons import explain
from search.vectors import VectorIndex
from search.wording import take_apart

DEPTH = 100
"""How many photos each ranking holds, at least: enough for bursts to collapse and for the rankings to overlap."""
GUESSES = 5
NO_MATCH = "Nothing in the library matches well."
GUESSED = "Nothing in the library matches well; these are only the nearest guesses."
FEW = 20_000
"""So many ids are handed to SQLite in a few milliseconds."""
NO_SUCH_PHOTOS = "No photo fulfils the filters."


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

    def search(self, query: Query, *, limit: int = 20, everything: bool = False) -> Answer:
        """Answer a query. `everything` lifts the cut-off and shows every photo of a burst.

        Without free text and examples the answer is every photo that fulfils the filters, newest first, and confident.
        Raises QueryError if `similar:` names no photo of the library.
        """
        limit = query.limit or limit
        condition = where(query.groups)
        if not query.texts and not query.similar:
            return self._list(query, limit, everything=everything)
        allowed = None if condition[0] == EVERYTHING else self._catalog.matching_media(*condition)
        if allowed is not None and not len(allowed):
            return Answer((), confident=False, note=NO_SUCH_PHOTOS)
        if allowed is not None and len(allowed) <= FEW:
            condition = among(allowed.tolist())  # it is asked for several times: looking ids up beats matching paths
        scope = Scope(condition, allowed, max(DEPTH, 2 * limit))
        words = merge([self._gather.by_words(text, scope) for text in query.texts])
        meaning = merge([self._gather.by_meaning(text, scope) for text in query.texts])
        likeness = [self._gather.by_example(self._media_named(path), scope) for path in query.similar]
        best_first, confident = self._rank([words], [meaning], likeness, everything=everything)
        note = None if confident else GUESSED if best_first else NO_MATCH
        blind = query.texts and not any(self._gather.knows(take_apart(text.words)) for text in query.texts)
        if not confident and blind and self._calibration.blind_note:
            note = f"{note} {self._calibration.blind_note}"
        return self._answer(best_first, query, limit, confident=confident, note=note, everything=everything)

    def similar(self, media_id: int, *, limit: int = 20, everything: bool = False) -> Answer:
        """Photos like one of the library, which is left out itself."""
        scope = Scope((EVERYTHING, []), None, max(DEPTH, 2 * limit))
        ranking = self._gather.by_example(media_id, scope)
        best_first, confident = self._rank([], [], [ranking], everything=everything)
        note = None if confident else GUESSED if best_first else NO_MATCH
        return self._answer(best_first, Query(), limit, confident=confident, note=note, everything=everything)

    def _rank(
        self, words: Sequence[Ranking], meaning: Sequence[Ranking], likeness: Sequence[Ranking], *, everything: bool
    ) -> tuple[list[tuple[int, float, Evidence]], bool]:
        """Cut each ranking off, fuse them, and say whether any of them is confident."""
        read = self._calibration
        cuts = [
            *((ranking, 0.0, 0.0) for ranking in words),
            *((ranking, read.floor, read.share) for ranking in meaning),
            *((ranking, read.similar_floor, read.similar_share) for ranking in likeness),
        ]
        cuts = [cut for cut in cuts if cut[0]]
        convincing = [cut for cut in cuts if best_conviction(cut[0]) >= cut[1]]
        confident = bool(convincing)
        if everything:
            kept = [ranking for ranking, _, _ in cuts]
        else:
            guesses = [cut for cut in cuts if best_conviction(cut[0]) >= read.guess_floor]
            nearness = read.nearness if confident else 0.0
            kept = [relevant(ranking, share, nearness) for ranking, _, share in convincing or guesses]
        evidence = merge(kept)
        for ranking in kept:
            for media_id, one in ranking.items():
                if one is not evidence[media_id]:
                    evidence[media_id].reasons += [
                        reason for reason in one.reasons if reason not in evidence[media_id].reasons
                    ]
        fused = [(media_id, score, evidence[media_id]) for media_id, score in fuse(kept)]
        return fused if confident or everything else fused[:GUESSES], confident

    def _list(self, query: Query, limit: int, *, everything: bool) -> Answer:
        """What fulfils the filters, without any relevance to order it by."""
        order = "date" if query.sort == "relevance" else query.sort
        rows = self._catalog.listed(*where(query.groups), order=order, limit=max(DEPTH, 2 * limit))
        known = {row.media_id: row for row in rows}
        scored = dict.fromkeys(known, 1.0)
        groups = self._groups(list(known), known, everything=everything)[:limit]
        note = None if groups else NO_SUCH_PHOTOS
        return Answer(self._results(groups, scored, {}, query), confident=bool(groups), note=note)

    def _answer(
        self,
        best_first: Sequence[tuple[int, float, Evidence]],
        query: Query,
        limit: int,
        *,
        confident: bool,
        note: str | None,
        everything: bool,
    ) -> Answer:
        known = self._catalog.brief([media_id for media_id, _, _ in best_first])
        visible = [one for one in best_first if one[0] in known]
        groups = self._groups([media_id for media_id, _, _ in visible], known, everything=everything)
        groups = _sorted(groups, known, query.sort)[:limit]
        scores = {media_id: score for media_id, score, _ in visible}
        evidence = {media_id: one for media_id, _, one in visible}
        return Answer(self._results(groups, scores, evidence, query), confident=confident, note=note)

    def _groups(self, media_ids: Sequence[int], known: Mapping[int, Brief], *, everything: bool) -> list[Group]:
        if everything:
            return [Group(media_id, ()) for media_id in media_ids]
        return collapse(media_ids, known, self._vectors_of, self._calibration.same_picture)

    def _vectors_of(self, media_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        rows = self._catalog.vectors_of_media(self._index.space, media_ids)
        return dict(zip(rows.media_ids.tolist(), rows.data.astype(np.float32), strict=True))

    def _results(
        self, groups: Sequence[Group], scores: Mapping[int, float], evidence: Mapping[int, Evidence], query: Query
    ) -> tuple[Result, ...]:
        """Fetch what is shown, and only that."""
        rows = {row.media_id: row for row in self._catalog.photos([group.shown for group in groups])}
        return tuple(
            Result(
                media_id=group.shown,
                path=row.paths[0],
                kind=row.kind,
                # The best shot of a burst stands where its most relevant one did.
                score=round(max(scores[member] for member in (group.shown, *group.others)), 4),
                reasons=explain(row, evidence.get(group.shown), query),
                taken_at=row.info.taken_at if row.info else None,
                content_hash=row.content_hash,
                collapsed=len(group.others),
            )
            for group in groups
            if (row := rows.get(group.shown)) is not None and row.paths
        )

    def _media_named(self, path: str) -> int:
        """The media at a path; a relative path may name a file by the end of its path, if only one has it."""
        found = self._catalog.media_at(os.path.normpath(path))
        if found is not None:
            return found
        if not os.path.isabs(path):
            ending = Condition("path", AnyOf((f"*/{path.removeprefix('./')}",)), path)
            matches = self._catalog.select_media(*where([(ending,)]))
            if len(matches) == 1:
                return int(matches[0])
        raise QueryError(
            f"similar: {path} is no photo of the library.",
            "Give the whole path of an indexed photo, for example similar:/home/me/Pictures/a.jpg.",
        )


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
