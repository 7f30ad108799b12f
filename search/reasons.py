"""Why a photo, video or sound is an answer, in words for a person."""

from __future__ import annotations

from collections.abc import Sequence

from indexer.records import AUTHORED, Event, Tag
from indexer.vocabulary import COLOUR_SOURCE, FORM_SOURCE, KEYWORD_SOURCE, LIGHT_SOURCE
from search import amounts
from search.catalog import PhotoRow
from search.clock import clock
from search.conditions import AnyOf, Condition
from search.query import Query
from search.ranking import Evidence

MAX_LIKENESSES = 3
LONGEST_QUOTE = 80
"""Characters."""
NO_LIKENESS = frozenset({COLOUR_SOURCE, LIGHT_SOURCE, FORM_SOURCE, KEYWORD_SOURCE, AUTHORED})
"""Sources of tags that do not say what a photo shows by its looks; all others are networks."""


_REPEATED = frozenset({"tag", "path", "words", "type", "said", "action", "has"})
"""Filters that are repeated as a reason, where no fact says more."""


def explain(row: PhotoRow, evidence: Evidence | None, query: Query, *, looks: str | None = None) -> tuple[str, ...]:
    """The reasons, most telling first. At least one. `looks`: what the best moment was taken for."""
    reasons = list(evidence.reasons) if evidence else []
    if evidence is not None and evidence.similarity > 0:
        if looks := looks or likeness(row.tags, 0):
            reasons.append(looks)
        elif not reasons:
            reasons.append(f"near in meaning ({evidence.similarity:.2f})")
    for group in query.groups:
        for condition in group:
            if not condition.negated and (said := _filter(row, condition)):
                reasons.append(said)
    if not reasons:
        reasons.append(_listed(row))
    return tuple(dict.fromkeys(reasons))


def likeness(tags: Sequence[Tag], segment: int) -> str | None:
    """What the networks took a photo or a moment for, as a reason; None if for nothing."""
    names = (tag.name for tag in tags if tag.segment == segment and tag.source not in NO_LIKENESS)
    unique = list(dict.fromkeys(names))[:MAX_LIKENESSES]
    return f"looks like: {', '.join(unique)}" if unique else None


def _filter(row: PhotoRow, condition: Condition) -> str | None:
    """What about the photo fulfils a filter; None if only the filter itself could be repeated."""
    info = row.info
    if info is None:
        return None
    facts = {
        "after": info.taken_at and f"taken {info.taken_at[:10]}",
        "before": info.taken_at and f"taken {info.taken_at[:10]}",
        "date": info.taken_at and f"taken {info.taken_at[:10]}",
        "camera": info.camera and f"camera: {info.camera}",
        "lens": info.lens and f"lens: {info.lens}",
        "rating": info.rating is not None and f"rated {info.rating}",
        "duration": info.duration is not None and f"{clock(info.duration)} long",
    }
    fact = facts.get(condition.name) or _counted(row.tags, condition)
    if fact:
        return f"{fact} matches {condition.typed}"
    return f"matches {condition.typed}" if condition.name in _REPEATED else None


def event_reason(event: Event) -> str:
    """Something that happens, as a reason: "action: playing guitar"."""
    return f"{event.kind}: {event.label}"


def said_reason(text: str) -> str:
    """What somebody says, as a reason."""
    return f'said "{_shortened(text)}"'


def note_reason(label: str, text: str) -> str:
    """A note that is written in a file, as a reason: 'comment: "the lighthouse keeper"'."""
    return f'{label}: "{_shortened(text)}"'


def tag_reason(name: str, count: int | None) -> str:
    """A tag as a reason, and how many were counted."""
    return f"tag: {name}" if count is None else f"tag: {name} ({count})"


def _counted(tags: Sequence[Tag], condition: Condition) -> str | None:
    """The counted tag that fulfils a filter for an amount; None if the filter asks for none."""
    names = condition.value.texts if condition.name == "tag" and isinstance(condition.value, AnyOf) else ()
    for least, name in filter(None, map(amounts.split, names)):
        for tag in tags:
            if tag.name in amounts.forms(name) and (tag.count or 0) >= least:
                return tag_reason(tag.name, tag.count)
    return None


def _listed(row: PhotoRow) -> str:
    taken = row.info.taken_at if row.info else None
    return f"taken {taken[:10]}" if taken else "no date known"


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_QUOTE else f"{words[:LONGEST_QUOTE].rsplit(' ', 1)[0]}…"
