"""Gathers what speaks for media: their meaning, the words written about them, their likeness to an example."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Event
from indexer.vocabulary import COLOURS
from search import scripts
from search.calibration import REACH_WEIGHT, SCORE_STEP, Calibration, standard_scores
from search.catalog import Catalog, TagMatch, TextMatch
from search.filters import HAPPENINGS, Clause, among, both, happening, written_or_said
from search.query import FreeText
from search.ranking import Evidence
from search.reasons import event_reason, note_reason, tag_reason
from search.vectors import Near, VectorIndex
from search.wording import Amount, Wording, singular, take_apart

Encode = Callable[[str], NDArray[np.float32]]
Labels = Callable[[], NDArray[np.float32]]

PIXEL_BONUS = 0.12
"""For each colour, light or form asked for and seen. In the builtin space a photo of a cat and one of something else
lie about 0.3 apart: two such bonuses order the cats, and lift nothing else above them."""
TAG_BONUS = 0.1
"""Times a tag's confidence, where the text names the tag. Less than a colour's: the vector says it too."""
COUNT_BONUS = 0.1
"""For as many as the text asks for, where they were counted; half of it for more."""
DATE_BONUS = 0.12
COLOUR_BONUS = 0.06
"""For a photo of all the same colours as the example."""
MAX_NAMES = 24
MAX_COLOURED = 2000
MAX_HAPPENING = 500
MOST_EXAMPLES = 6
"""Of an example's moments, those that are looked for: each is a search of its own."""
_WRITTEN = ("title", "description", "keywords", "people", "path", "camera", "notes")
"""Where words stand that no network guessed. Tags are matched by their whole names: a hot dog is no dog."""


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """A free text, understood."""

    text: FreeText
    wording: Wording
    vector: NDArray[np.float32] | None
    """(D,) its unit vector; None: the space cannot place it."""
    unread: tuple[str, ...] = ()
    """Words that the space cannot read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which photos may answer, and how deep to look."""

    where: Clause
    """An SQL condition on the media row `m`."""
    allowed: NDArray[np.int64] | None
    """The ids that fulfil it; None: all do."""
    depth: int


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Asks the catalog and the index. Stateless, so safe to use from many threads."""

    catalog: Catalog
    index: VectorIndex
    encode: Encode
    labels: Labels
    calibration: Calibration

    def understood(self, text: FreeText) -> Sought:
        """A text with its vector. Raises what `encode` does."""
        wording = take_apart(text.words)
        unread = tuple(word for word in wording.content if self.calibration.only_latin and scripts.is_foreign(word))
        readable = text.words if self.calibration.sees_pixels else wording.meaning
        vector = self.encode(scripts.latin(readable) if unread else readable) if self.knows(wording) else None
        return Sought(text, wording, vector, unread)

    def by_words(self, sought: Sought, scope: Scope) -> dict[int, Evidence]:
        """Media about which every word is written, at least one of them by other than a network."""
        content = sought.wording.content
        expression = f"({{{' '.join(_WRITTEN)}}} : ({scripts.some(content)})) AND ({scripts.every(content)})"
        matches = self.catalog.text_matches(expression, scope.depth, *scope.where)
        return {match.media_id: Evidence(match.score, sure=True, reasons=_where_written(match)) for match in matches}

    def by_meaning(self, sought: Sought, scope: Scope) -> dict[int, Evidence]:
        """Media near the text's vector, or with tags and events it names; better if they have its colours or are of
        its time. Of a video the best moment counts."""
        wording, vector = sought.wording, sought.vector
        if sought.unread:
            scope = self._narrowed(scope, sought.unread)
        found = self._nearest(vector, wording, scope)
        events = self._events(wording, scope)
        tagged = self._tags(wording, scope) | events.keys()
        if vector is not None and (others := tagged - found.keys()):
            # By the index, not all of their vectors: a video has one for each of its moments.
            allowed = np.array(sorted(others), np.int64)
            found |= _by_media(self.index.nearest(vector, len(others), allowed=allowed))
        ranking = self._judged(vector, found)
        for media_id in tagged:
            ranking.setdefault(media_id, Evidence())
        seen: defaultdict[int, dict[str, TagMatch]] = defaultdict(dict)
        names = [*wording.pixel_tags, *wording.names, *(name for amount in wording.amounts for name in amount.names)]
        for tag in self.catalog.tags_among(names, list(ranking)):
            seen[tag.media_id][tag.name] = tag
        for media_id in seen.keys() | events.keys():
            _credit(ranking[media_id], seen[media_id], events.get(media_id, {}), wording)
        if sought.text.when is not None:
            self._prefer_time(ranking, sought.text)
        return ranking

    def _narrowed(self, scope: Scope, unread: Sequence[str]) -> Scope:
        """Only media in which these words are written or said: what the vector cannot say, it must not pass over."""
        having = self.catalog.matching_media(*both(written_or_said(unread), scope.where))
        return Scope(among(having.tolist()), having, scope.depth)

    def examples(self, media_id: int) -> NDArray[np.float32]:
        """(n, D) what a media file is compared by: a photo's vector, or those of a video's most different moments."""
        vectors = self.catalog.vectors_of_media(self.index.space, [media_id]).data.astype(np.float32)
        return vectors[_different(vectors, MOST_EXAMPLES)]

    def by_example(self, media_id: int, scope: Scope) -> dict[int, Evidence]:
        """Media near another one, itself left out; better if they have its colours. Of videos any moment counts."""
        ranking: dict[int, Evidence] = {}
        for vector in self.examples(media_id):
            for near in self.index.nearest(vector, scope.depth + 1, allowed=scope.allowed):
                known = ranking.get(near.media_id)
                if near.media_id != media_id and (known is None or near.cosine > known.similarity):
                    ranking[near.media_id] = Evidence(near.cosine, conviction=near.cosine)
        colours: defaultdict[int, set[str]] = defaultdict(set)
        for tag in self.catalog.tags_among(COLOURS, [media_id, *ranking]):
            colours[tag.media_id].add(tag.name)
        own = colours[media_id]
        for other, one in ranking.items():
            shared = own & colours[other]
            if shared:
                one.bonus = COLOUR_BONUS * len(shared) / len(own | colours[other])
                one.reasons.append(f"the same colours: {', '.join(sorted(shared))}")
        return ranking

    def knows(self, wording: Wording) -> bool:
        """Whether the space can place the text at all."""
        subjects = wording.subjects or wording.content
        if self.calibration.only_latin:
            subjects = tuple(word for word in subjects if not scripts.is_foreign(word))
        return bool(wording.meaning) and not set(subjects) <= self.calibration.blind

    def nearness(self, vector: NDArray[np.float32], media: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) how near pictures (n, D) are to a text, read as the space's calibration tells: 0 is chance."""
        if self.calibration.against == "text":
            above: NDArray[np.float32] = media @ vector - float((self.labels() @ vector).mean())
            return above
        return SCORE_STEP * standard_scores(vector, media, self.labels())

    def _judged(self, vector: NDArray[np.float32] | None, found: Mapping[int, Near]) -> dict[int, Evidence]:
        """What the cosines of these media to a text say, read as the space's calibration tells."""
        if vector is None or not found:
            return {}
        if self.calibration.against == "text":
            cosines = self.labels() @ vector
            chance, reach = float(cosines.mean()), float(cosines.max())
            known = REACH_WEIGHT * (reach - chance)
            return {
                media_id: Evidence(near.cosine - chance, near.cosine - chance + known)
                for media_id, near in found.items()
            }
        rows = self.catalog.vectors_with_ids(
            self.index.space, [one for near in found.values() for one in near.vector_ids]
        )
        scores = self.nearness(vector, rows.data.astype(np.float32))
        judged: dict[int, Evidence] = {}
        for media_id, score in zip(rows.media_ids.tolist(), scores.tolist(), strict=True):
            if media_id not in judged or score > judged[media_id].similarity:
                judged[media_id] = Evidence(score, conviction=score)
        return judged

    def _nearest(self, vector: NDArray[np.float32] | None, wording: Wording, scope: Scope) -> dict[int, Near]:
        if vector is None:
            return {}
        found = _by_media(self.index.nearest(vector, scope.depth, allowed=scope.allowed))
        if wording.pixel_tags:
            # The photos that have all the colours may lie deeper than we look: look among the surest of them alone.
            having = [
                {media_id for media_id, _ in self.catalog.tagged(tag, *scope.where, limit=MAX_COLOURED)}
                for tag in wording.pixel_tags
            ]
            if shared := set.intersection(*having):
                allowed = np.array(sorted(shared), np.int64)
                found |= _by_media(self.index.nearest(vector, scope.depth, allowed=allowed))
        return found

    def _events(self, wording: Wording, scope: Scope) -> dict[int, dict[str, Event]]:
        """What happens in media and the text names, by its label the surest of each."""
        if not wording.names:
            return {}
        condition = both(happening(wording.names[:MAX_NAMES]), scope.where)
        newest = np.sort(self.catalog.matching_media(*condition))[-MAX_HAPPENING:].tolist()
        found: defaultdict[int, dict[str, Event]] = defaultdict(dict)
        for match in self.catalog.events_among(wording.names[:MAX_NAMES], newest) if newest else ():
            known = found[match.media_id].get(match.event.label)
            if match.event.kind in HAPPENINGS and (known is None or match.event.confidence > known.confidence):
                found[match.media_id][match.event.label] = match.event
        return found

    def _tags(self, wording: Wording, scope: Scope) -> set[int]:
        """Media with a tag that the text names; with what pixels tell only if the text names nothing else."""
        names = wording.names[:MAX_NAMES] or wording.pixel_tags
        found = (self.catalog.tagged(name, *scope.where, limit=scope.depth) for name in names)
        counted = (
            self.catalog.tagged(name, *scope.where, limit=scope.depth, at_least=amount.number)
            for amount in wording.amounts
            for name in amount.names
        )
        return {media_id for tagged in (*found, *counted) for media_id, _ in tagged}

    def _prefer_time(self, ranking: dict[int, Evidence], text: FreeText) -> None:
        if text.when is None:
            return
        start, end = text.when.start.isoformat(), text.when.end.isoformat()
        for media_id, row in self.catalog.brief(list(ranking)).items():
            if row.taken_at and start <= row.taken_at < end:
                ranking[media_id].bonus += DATE_BONUS
                ranking[media_id].reasons.append(f"taken {row.taken_at[:10]}")


def _credit(one: Evidence, tags: Mapping[str, TagMatch], events: Mapping[str, Event], wording: Wording) -> None:
    """Add what a media file's tags and events say about a text to what speaks for it."""
    pixels = [name for name in wording.pixel_tags if name in tags]
    enough = {name: amount for amount in reversed(wording.amounts) for name in _enough(tags, amount)}
    named = list(dict.fromkeys([*(name for name in wording.names if name in tags or name in events), *enough]))
    sureness = [tags[name].confidence for name in named if name in tags]
    sureness += (events[name].confidence for name in named if name in events)
    one.bonus += PIXEL_BONUS * len(pixels)
    one.bonus += TAG_BONUS * max(sureness, default=0.0)
    if enough:
        exact = any(tags[name].count == amount.number for name, amount in enough.items())
        one.bonus += COUNT_BONUS if exact else COUNT_BONUS / 2
    one.reasons += [
        event_reason(events[name]) if name in events else tag_reason(name, tags[name].count)
        for name in dict.fromkeys([*named, *pixels])
    ]
    if wording.names:
        said = {singular(word) for name in named for word in name.split()}
        said |= {singular(word) for amount in enough.values() for word in amount.words}
        one.sure = said >= {singular(word) for word in wording.subjects} and _all(pixels, wording.pixel_tags)
    else:
        one.sure = _all(pixels, wording.pixel_tags)
        one.bonus += TAG_BONUS * sum(tags[name].confidence for name in pixels)


def _where_written(match: TextMatch) -> list[str]:
    columns = [column for column in match.columns if column != "notes"]
    written = [f"words in the {_and(columns)}"] if columns else []
    return [*written, *(note_reason(*note) for note in match.notes)]


def _enough(tags: Mapping[str, TagMatch], amount: Amount) -> list[str]:
    """The tags of which at least so many were counted."""
    return [name for name in amount.names if name in tags and (tags[name].count or 0) >= amount.number]


def _all(have: Collection[str], wanted: Collection[str]) -> bool:
    return len(have) == len(wanted)


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _by_media(found: Sequence[Near]) -> dict[int, Near]:
    return {near.media_id: near for near in found}


def _different(vectors: NDArray[np.float32], most: int) -> list[int]:
    """Rows that stand for all: each the farthest from those before it (Gonzalez, "Clustering to Minimize the Maximum
    Intercluster Distance", 1985), the first the nearest to the middle."""
    if len(vectors) <= most:
        return list(range(len(vectors)))
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < most:
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen
