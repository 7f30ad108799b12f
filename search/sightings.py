"""Finds the moments of the videos and sounds that an answer shows; it is asked about those, and no others."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from indexer.records import Event, Kind
from indexer.vocabulary import CHAPTER_KIND
from search.asked_spans import EVENT, Inside, names_asked_for, positive, spans_asked_for, spans_tagged
from search.calibration import Calibration
from search.catalog import Catalog, PhotoRow, TagMatch
from search.evidence import PIXEL_BONUS, TAG_BONUS, Gatherer, Sought
from search.filters import HAPPENINGS
from search.moments import Clue, ResultMoment, Sight, answer_moments, near_the_best, scaled
from search.query import Query
from search.reasons import event_reason, likeness, tag_reason
from search.speech import stem, words_in

MOST_JUDGED = 500
"""Of one file, the moments that are each judged against a background: those with the best cosine."""
FEWEST_IN_TITLE = 0.5
"""Of the words of a text, the share that a chapter's title must have."""


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


@dataclass(frozen=True, slots=True)
class Found:
    """What of one file answers."""

    moments: tuple[ResultMoment, ...] = ()
    """Best first."""
    looks: str | None = None
    """What the best of them was taken for, as a reason."""


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

    def of(self, rows: Sequence[PhotoRow], question: Question, scores: Mapping[int, float]) -> dict[int, Found]:
        """What of each of these media answers; of photos nothing, for they answer as a whole.

        `rows` need not know what is inside; `scores` is what each media was given.
        """
        rows = [row for row in rows if row.kind != Kind.PHOTO]
        filters = {condition.name for condition in positive(question.query)}
        if not rows or not (question.sought or question.examples or filters & {"said", "action", "tag"}):
            return {}
        likes = [self._gather.examples(example) for example in question.examples]
        found: dict[int, tuple[ResultMoment, ...]] = {}
        seen: set[tuple[int, int]] = set()
        for inside, vectors in self._insides(rows, question, filters):
            media_id = inside.row.media_id
            sights = self._sights(inside.tags, vectors, question.sought, likes) if media_id in question.looks else {}
            clues = [
                *question.said.get(media_id, ()),
                *_happening(inside.events, question.sought),
                *_chapters(inside.events, question.sought),
            ]
            required = list(spans_asked_for(inside, question.query))
            tagged = list(spans_tagged(inside, question.query))
            if not required and not question.sought and not question.examples:
                required, tagged = tagged, []
            moments = answer_moments(
                inside.segments,
                sights,
                [*clues, *(tagged if required else ())],
                required=required,
                alike=functools.partial(self._alike, vectors),
            )
            found[media_id] = scaled(moments, scores[media_id])
            seen |= {(media_id, one.ordinal) for one in moments if one.ordinal is not None and one.ordinal in sights}
        tags = self._catalog.tags_of_moments(seen) if seen else {}
        looks = {moment: likeness(of_it, moment[1]) for moment, of_it in tags.items()}
        return {media_id: _with_looks(media_id, moments, looks) for media_id, moments in found.items()}

    def _insides(
        self, rows: Sequence[PhotoRow], question: Question, filters: set[str]
    ) -> Iterator[tuple[Inside, _Vectors | None]]:
        """What is inside these files, as far as the question has to do with it."""
        ids = [row.media_id for row in rows]
        spoken_of = {name for one in question.sought for name in (*one.wording.names, *one.wording.pixel_tags)}
        names = spoken_of | {name for row in rows for name in names_asked_for(row.tags, question.query)}
        tags: defaultdict[int, list[TagMatch]] = defaultdict(list)
        for match in self._catalog.moment_tags_among(names, ids) if names else ():
            tags[match.media_id].append(match)
        events: defaultdict[int, Sequence[Event]] = defaultdict(tuple)
        if filters & {"action", "tag"}:
            events |= self._catalog.events_of(ids)
        else:
            for one in self._catalog.events_among(spoken_of, ids) if spoken_of else ():
                events[one.media_id] = (*events[one.media_id], one.event)
        for at, chapters in (self._catalog.events_of(ids, kind=CHAPTER_KIND) if question.sought else {}).items():
            events[at] = (*events[at], *(one for one in chapters if one not in events[at]))
        segments = self._catalog.segments_of(ids)
        transcripts = self._catalog.transcripts_of(ids) if "said" in filters else {}
        vectors = self._vectors([row.media_id for row in rows if row.media_id in question.looks])
        for row in rows:
            at = row.media_id
            yield Inside(row, segments.get(at, ()), tags[at], events[at], transcripts.get(at, ())), vectors.get(at)

    def _vectors(self, media_ids: Sequence[int]) -> dict[int, _Vectors]:
        if not media_ids:
            return {}
        rows = self._catalog.vectors_of_media(self._gather.index.space, media_ids)
        data = rows.data.astype(np.float32)
        return {
            media_id: _Vectors({at: row for row, at in enumerate(rows.ordinals[part].tolist())}, data[part])
            for media_id, part in rows.parts()
        }

    def _alike(self, vectors: _Vectors | None, first: int, second: int) -> bool:
        if vectors is None or first not in vectors.rows or second not in vectors.rows:
            return False
        one, other = vectors.data[vectors.rows[first]], vectors.data[vectors.rows[second]]
        return float(one @ other) >= self._calibration.same_picture

    def _sights(
        self,
        tags: Sequence[TagMatch],
        vectors: _Vectors | None,
        sought: Sequence[Sought],
        likes: Sequence[NDArray[np.float32]],
    ) -> dict[int, Sight]:
        """The moments that show what is asked for; of alternatives the best counts."""
        alternatives = [self._by_text(tags, vectors, one) for one in sought]
        if vectors is not None:
            alternatives += (_by_example(vectors, like) for like in likes if len(like))
        best: dict[int, Sight] = {}
        for sights in alternatives:
            for ordinal, sight in sights.items():
                if ordinal not in best or sight.strength > best[ordinal].strength:
                    best[ordinal] = sight
        return near_the_best(best)

    def _by_text(self, tags: Sequence[TagMatch], vectors: _Vectors | None, sought: Sought) -> dict[int, Sight]:
        strengths: defaultdict[int, float] = defaultdict(float)
        if vectors is not None and sought.vector is not None:
            each = self._calibration.against == "photo"
            nearest = np.argsort(-(vectors.data @ sought.vector))[: MOST_JUDGED if each else None]
            scores = self._gather.nearness(sought.vector, vectors.data[nearest])
            ordinals = vectors.ordinals
            strengths |= {ordinals[at]: score for at, score in zip(nearest.tolist(), scores.tolist(), strict=True)}
        reasons: defaultdict[int, list[str]] = defaultdict(list)
        names, pixel_tags = frozenset(sought.wording.names), frozenset(sought.wording.pixel_tags)
        for tag in tags:
            if tag.name in names:
                strengths[tag.segment] += TAG_BONUS * tag.confidence
            elif tag.name in pixel_tags:
                strengths[tag.segment] += PIXEL_BONUS
            else:
                continue
            reasons[tag.segment].append(tag_reason(tag.name, tag.count))
        return {at: Sight(strength, tuple(reasons.get(at, ()))) for at, strength in strengths.items() if at}


def _with_looks(media_id: int, moments: Sequence[ResultMoment], looks: Mapping[tuple[int, int], str | None]) -> Found:
    """The moments with what each of them was taken for as its last reason."""
    named = [looks.get((media_id, one.ordinal or 0)) for one in moments]
    complete = (
        replace(one, reasons=(*one.reasons, look)) if look else one for one, look in zip(moments, named, strict=True)
    )
    return Found(tuple(complete), next(iter(named), None))


def _by_example(vectors: _Vectors, like: NDArray[np.float32]) -> dict[int, Sight]:
    best = (vectors.data @ like.T).max(axis=1)
    return {ordinal: Sight(score) for ordinal, score in zip(vectors.ordinals, best.tolist(), strict=True) if ordinal}


def _happening(events: Iterable[Event], sought: Sequence[Sought]) -> list[Clue]:
    """What happens in a file and a text names."""
    names = {name for one in sought for name in one.wording.names}
    return [
        Clue(one.start, one.end, one.confidence, event_reason(one), EVENT)
        for one in events
        if one.label in names and one.kind in HAPPENINGS
    ]


def _chapters(events: Iterable[Event], sought: Sequence[Sought]) -> list[Clue]:
    """The chapters whose titles say most of a text, if that is half of its words."""
    titled = [one for one in events if one.kind == CHAPTER_KIND]
    clues: list[Clue] = []
    for text in sought if titled else ():
        wanted = {stem(word) for word in text.wording.spoken}
        shares = [len(words_in(wanted, one.label)) / len(wanted) if wanted else 0.0 for one in titled]
        most = max(shares)
        clues += [
            Clue(one.start, one.end, most, event_reason(one), EVENT)
            for one, share in zip(titled, shares, strict=True)
            if share == most >= FEWEST_IN_TITLE
        ]
    return clues
