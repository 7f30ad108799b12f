"""The spans of a video or sound that filters ask for: where it is said or done, which moments have the tag."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from indexer.records import Event, Segment, Tag, Transcript
from search import amounts
from search.catalog import PhotoRow, TagMatch
from search.conditions import AnyOf, Condition
from search.moments import Clue
from search.patterns import fits, fits_words
from search.query import Query
from search.reasons import event_reason, tag_reason
from search.speech import phrase_clues

EVENT = "event"
"""The kind of clue that something which happens is."""
TAG = "tag"


@dataclass(frozen=True, slots=True)
class Inside:
    """What is needed to know of one file."""

    row: PhotoRow
    segments: Sequence[Segment]
    tags: Sequence[TagMatch]
    """Of its moments."""
    events: Sequence[Event]
    transcripts: Sequence[Transcript]
    """The one to be believed first."""


def spans_asked_for(inside: Inside, query: Query) -> Iterator[Clue]:
    """The spans that the filters `said:` and `action:` ask for."""
    for name, texts in _alternatives(query):
        if name == "said":
            spoken: list[Clue] = []
            for transcript in inside.transcripts:
                spoken = sorted([*spoken, *_apart(phrase_clues(transcript, texts), spoken)], key=lambda one: one.start)
            yield from spoken
        elif name == "action":
            for event in inside.events:
                if event.kind == "action" and any(fits_words(event.label, text) for text in texts):
                    yield Clue(event.start, event.end, event.confidence, event_reason(event), EVENT)
            named = {tag.name for tag in inside.row.tags if _is_action(tag, texts)}
            yield from _spans_of(inside, [tag for tag in inside.tags if tag.name in named])


def _apart(clues: Iterable[Clue], known: Sequence[Clue]) -> list[Clue]:
    """The clues that overlap none of those known, which are in order of their start."""
    starts = [one.start for one in known]
    latest = list(itertools.accumulate((one.end for one in known), max))
    return [one for one in clues if not (before := bisect_left(starts, one.end)) or latest[before - 1] <= one.start]


def spans_tagged(inside: Inside, query: Query) -> Iterator[Clue]:
    """The moments that have a tag which the filter `tag:` asks for, and the spans of sounds of that name."""
    for name, texts in _alternatives(query):
        for text in texts if name == "tag" else ():
            yield from _spans_of(inside, [tag for tag in inside.tags if _fulfils(tag, text)])
            for event in inside.events:
                if event.kind == "sound" and _called(event.label, text):
                    yield Clue(event.start, event.end, event.confidence, event_reason(event), TAG)


def names_asked_for(tags: Iterable[Tag], query: Query) -> Iterator[str]:
    """Those of a file's tags that a filter asks for: its moments may have them."""
    alternatives = list(_alternatives(query))
    for tag in tags:
        for name, texts in alternatives:
            if (name == "tag" and any(_fulfils(tag, text) for text in texts)) or (
                name == "action" and _is_action(tag, texts)
            ):
                yield tag.name


def _is_action(tag: Tag, texts: Iterable[str]) -> bool:
    return tag.source == "action" and any(fits_words(tag.name, text) for text in texts)


def _fulfils(tag: Tag | TagMatch, text: str) -> bool:
    """Whether a tag fulfils a filter: by its whole name, and with at least so many of it."""
    amount = amounts.split(text)
    return _called(tag.name, text) or (
        amount is not None and _called(tag.name, amount[1]) and (tag.count or 0) >= amount[0]
    )


def _called(name: str, text: str) -> bool:
    if "*" in text:
        return fits(name, text)
    return name in amounts.forms(text)


def _spans_of(inside: Inside, tags: Iterable[TagMatch]) -> Iterator[Clue]:
    """The moments of tags; of moments that follow each other one span."""
    segments = {one.ordinal: one for one in inside.segments}
    by_name: defaultdict[str, list[TagMatch]] = defaultdict(list)
    for tag in sorted(tags, key=lambda tag: tag.segment):
        by_name[tag.name].append(tag)
    for having in by_name.values():
        run: list[TagMatch] = []
        for tag in having:
            if run and tag.segment != run[-1].segment + 1:
                yield _run(segments, run)
                run = []
            run.append(tag)
        yield _run(segments, run)


def _run(segments: Mapping[int, Segment], run: Sequence[TagMatch]) -> Clue:
    best = max(run, key=lambda tag: tag.confidence)
    start, end = segments[run[0].segment].start, segments[run[-1].segment].end
    return Clue(start or 0.0, end or 0.0, best.confidence, tag_reason(best.name, best.count), TAG)


def _alternatives(query: Query) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each filter that takes texts: its name, and the texts of which one must fit."""
    for condition in positive(query):
        if isinstance(condition.value, AnyOf):
            yield condition.name, condition.value.texts


def positive(query: Query) -> Iterable[Condition]:
    return (condition for group in query.groups for condition in group if not condition.negated)
