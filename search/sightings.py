"""Finds the moments of the videos and sounds that an answer shows; it is asked about those, and no others."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Event, Kind, Segment, Tag
from search import amounts
from search.calibration import Calibration
from search.catalog import Catalog, PhotoRow
from search.conditions import AnyOf, Condition
from search.evidence import PIXEL_BONUS, TAG_BONUS, Gatherer, Sought
from search.moments import Clue, ResultMoment, Sight, answer_moments, scaled
from search.query import Query
from search.reasons import event_reason, likeness, tag_reason
from search.speech import phrase_clues

MOST_JUDGED = 500
"""Of one file, the moments that are each judged against a background: those with the best cosine."""
_EVENT = "event"
_TAG = "tag"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What was asked for, as far as moments can answer it."""

    query: Query
    looks: Collection[int]
    """The media that are an answer by how they look: those have moments by their vectors."""
    sought: Sequence[Sought]
    examples: Sequence[int]
    """Media ids."""
    said: Mapping[int, tuple[Clue, ...]]
    """What of the free text is said, by media id."""


@dataclass(frozen=True, slots=True, eq=False)
class _Vectors:
    """The vectors of one file's moments."""

    rows: dict[int, int]
    """By ordinal."""
    data: NDArray[np.float32]
    """(n, D)"""

    @property
    def ordinals(self) -> list[int]:
        return list(self.rows)


class MomentFinder:
    """Asks the catalog about the few media that are shown. Stateless, so safe to use from many threads."""

    def __init__(self, catalog: Catalog, gather: Gatherer) -> None:
        self._catalog = catalog
        self._gather = gather

    @property
    def _calibration(self) -> Calibration:
        return self._gather.calibration

    def of(
        self, rows: Sequence[PhotoRow], question: Question, scores: Mapping[int, float]
    ) -> dict[int, tuple[ResultMoment, ...]]:
        """The moments of each of these media that answer; photos have none. `scores`: what each media was given."""
        rows = [row for row in rows if row.kind != Kind.PHOTO]
        looking = [row.media_id for row in rows if row.kind == Kind.VIDEO and row.media_id in question.looks]
        vectors = self._vectors(looking)
        likes = [self._gather.examples(example) for example in question.examples] if vectors else []
        found: dict[int, tuple[ResultMoment, ...]] = {}
        for row in rows:
            own = vectors.get(row.media_id)
            sights = self._sights(row, own, question.sought, likes) if row.media_id in question.looks else {}
            clues = [*question.said.get(row.media_id, ()), *_happening(row.events, question.sought)]
            required = list(_asked_for(row, question.query))
            tagged = list(_tagged(row, question.query))
            if not required and not question.sought and not question.examples:
                required, tagged = tagged, []
            moments = answer_moments(
                row.segments,
                sights,
                [*clues, *(tagged if required else ())],
                required=required,
                alike=functools.partial(self._alike, own),
            )
            found[row.media_id] = scaled(moments, scores[row.media_id])
        return found

    def _vectors(self, media_ids: Sequence[int]) -> dict[int, _Vectors]:
        if not media_ids:
            return {}
        rows = self._catalog.vectors_of_media(self._gather.index.space, media_ids)
        data = rows.data.astype(np.float32)
        return {
            media_id: _Vectors({at: row for row, at in enumerate(rows.ordinals[own].tolist())}, data[own])
            for media_id in media_ids
            if (own := rows.media_ids == media_id).any()
        }

    def _alike(self, vectors: _Vectors | None, first: int, second: int) -> bool:
        if vectors is None or first not in vectors.rows or second not in vectors.rows:
            return False
        one, other = vectors.data[vectors.rows[first]], vectors.data[vectors.rows[second]]
        return float(one @ other) >= self._calibration.same_picture

    def _sights(
        self, row: PhotoRow, vectors: _Vectors | None, sought: Sequence[Sought], likes: Sequence[NDArray[np.float32]]
    ) -> dict[int, Sight]:
        """What each moment shows of what is asked for; of alternatives the best counts."""
        alternatives = [self._by_text(row.tags, vectors, one) for one in sought]
        if vectors is not None:
            alternatives += (_by_example(vectors, like) for like in likes if len(like))
        best: dict[int, Sight] = {}
        for sights in alternatives:
            for ordinal, sight in sights.items():
                if ordinal not in best or sight.strength > best[ordinal].strength:
                    best[ordinal] = sight
        looks = {ordinal: likeness(row.tags, ordinal) for ordinal in best}
        return {
            ordinal: Sight(sight.strength, tuple(filter(None, (*sight.reasons, looks[ordinal]))))
            for ordinal, sight in best.items()
        }

    def _by_text(self, tags: Sequence[Tag], vectors: _Vectors | None, sought: Sought) -> dict[int, Sight]:
        strengths: defaultdict[int, float] = defaultdict(float)
        if vectors is not None and sought.vector is not None:
            each = self._calibration.against == "photo"
            nearest = np.argsort(-(vectors.data @ sought.vector))[: MOST_JUDGED if each else None]
            scores = self._gather.nearness(sought.vector, vectors.data[nearest])
            ordinals = vectors.ordinals
            strengths |= {ordinals[at]: score for at, score in zip(nearest.tolist(), scores.tolist(), strict=True)}
        reasons: defaultdict[int, list[str]] = defaultdict(list)
        wording = sought.wording
        for tag in tags:
            if tag.segment and tag.name in wording.names:
                strengths[tag.segment] += TAG_BONUS * tag.confidence
            elif tag.segment and tag.name in wording.pixel_tags:
                strengths[tag.segment] += PIXEL_BONUS
            else:
                continue
            reasons[tag.segment].append(tag_reason(tag.name, tag.count))
        return {at: Sight(strength, tuple(reasons[at])) for at, strength in strengths.items() if at}


def _by_example(vectors: _Vectors, like: NDArray[np.float32]) -> dict[int, Sight]:
    best = (vectors.data @ like.T).max(axis=1)
    return {ordinal: Sight(score) for ordinal, score in zip(vectors.ordinals, best.tolist(), strict=True) if ordinal}


def _happening(events: Iterable[Event], sought: Sequence[Sought]) -> list[Clue]:
    """What happens in a file and a text names."""
    names = {name for one in sought for name in one.wording.names}
    return [
        Clue(one.start, one.end, one.confidence, event_reason(one), _EVENT)
        for one in events
        if one.label in names and one.kind != "track"
    ]


def _asked_for(row: PhotoRow, query: Query) -> Iterable[Clue]:
    """The spans that the filters `said:` and `action:` ask for."""
    for condition in _conditions(query):
        texts = condition.value.texts if isinstance(condition.value, AnyOf) else ()
        if condition.name == "said" and row.transcript is not None:
            yield from phrase_clues(row.transcript, texts)
        elif condition.name == "action":
            patterns = [_pattern(text) for text in texts]
            for event in row.events:
                if event.kind == "action" and any(one.search(event.label) for one in patterns):
                    yield Clue(event.start, event.end, event.confidence, event_reason(event), _EVENT)
            named = [
                tag for tag in row.tags if tag.source == "action" and any(one.search(tag.name) for one in patterns)
            ]
            yield from _spans_of(row, named)


def _tagged(row: PhotoRow, query: Query) -> Iterable[Clue]:
    """The moments that have a tag which the filter `tag:` asks for."""
    for condition in _conditions(query):
        texts = condition.value.texts if condition.name == "tag" and isinstance(condition.value, AnyOf) else ()
        for text in texts:
            yield from _spans_of(row, [tag for tag in row.tags if _has_name(tag, text)])


def _has_name(tag: Tag, text: str) -> bool:
    if "*" in text:
        return re.fullmatch(".*".join(map(re.escape, text.split("*"))), tag.name) is not None
    if tag.name in amounts.forms(text):
        return True
    amount = amounts.split(text)
    return amount is not None and tag.name in amounts.forms(amount[1]) and (tag.count or 0) >= amount[0]


def _spans_of(row: PhotoRow, tags: Iterable[Tag]) -> Iterable[Clue]:
    """The moments of tags; of moments that follow each other one span."""
    segments = {one.ordinal: one for one in row.segments}
    by_name: defaultdict[str, dict[int, Tag]] = defaultdict(dict)
    for tag in tags:
        if tag.segment in segments and tag.segment:
            by_name[tag.name].setdefault(tag.segment, tag)
    for having in by_name.values():
        run: list[Tag] = []
        for _, tag in sorted(having.items()):
            if run and tag.segment != run[-1].segment + 1:
                yield _run(segments, run)
                run = []
            run.append(tag)
        yield _run(segments, run)


def _run(segments: Mapping[int, Segment], run: Sequence[Tag]) -> Clue:
    best = max(run, key=lambda tag: tag.confidence)
    start, end = segments[run[0].segment].start, segments[run[-1].segment].end
    return Clue(start or 0.0, end or 0.0, best.confidence, tag_reason(best.name, best.count), _TAG)


def _conditions(query: Query) -> Iterable[Condition]:
    return (condition for group in query.groups for condition in group if not condition.negated)


def _pattern(name: str) -> re.Pattern[str]:
    """Words of an action's name, in their order; * stands for anything (see `filters.action_pattern`)."""
    return re.compile(rf"(?<!\S){'.*'.join(map(re.escape, name.split('*')))}(?!\S)")
