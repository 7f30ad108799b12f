"""The spans of a video or sound that are worth watching: good pictures in which something happens, each unlike the
others.

Chosen one by one by maximal marginal relevance: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking
for Reordering Documents and Producing Summaries" (SIGIR 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Event, Segment
from search.catalog import PhotoRow, Vectors

CLIP = 4.0
"""Seconds of one highlight: long enough to see what happens, short enough for several in a short film."""
SHORTEST = 1.0
"""What is left at the end is not filled with less than that."""
RELEVANCE = 0.7
"""MMR's lambda: what a clip's own worth counts for, against its likeness to those chosen before."""
WORTHS = {"action": 1.0, "sound": 0.5, "track": 0.3}
"""What a second counts for in which an event of a kind goes on."""
SPEECH_WORTH = 0.7
QUIET = frozenset({"silence", "speech"})
"""Sounds that are no event: nothing, and what is counted where words were understood."""
MOST_MOMENTS = 2000
"""Of a longer video the moments of best quality are looked at: choosing takes time with each of them."""


@dataclass(frozen=True, slots=True)
class Highlight:
    """One span."""

    start: float
    """Seconds from the beginning."""
    end: float


@dataclass(frozen=True, slots=True)
class _Happening:
    start: float
    end: float
    worth: float
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class _Clip:
    start: float
    end: float
    worth: float
    """0 to 1."""
    labels: frozenset[str]
    vector: NDArray[np.float32] | None


def highlights(row: PhotoRow, vectors: Vectors, seconds: float) -> list[Highlight]:
    """The best spans of a video or sound, in the order in which they are seen; together no longer than `seconds`.

    `vectors` are those of the file's moments in one space; without any, moments are told apart by what happens in
    them. A file that is no longer than `seconds` is one highlight; one of unknown length, as a photo, has none.
    """
    duration = row.info.duration if row.info else None
    if not duration or seconds <= 0:
        return []
    if duration <= seconds:
        return [Highlight(0.0, duration)]
    happenings = _happenings(row)
    unit = dict(zip(vectors.ordinals.tolist(), vectors.data.astype(np.float32), strict=True))
    clips = [
        _clip(span, min(CLIP, seconds), happenings, quality, unit.get(ordinal))
        for ordinal, span, quality in _spans(row.segments, duration)
    ]
    return _joined(_chosen(clips, seconds))


def _spans(segments: Sequence[Segment], duration: float) -> list[tuple[int, tuple[float, float], float]]:
    """(ordinal, span, quality) of each moment to choose from; a file without moments is cut into even pieces."""
    moments = [
        (one.ordinal, (one.start, one.end), one.quality or 0.0)
        for one in segments
        if one.ordinal and one.start is not None and one.end is not None and one.keyframe is not None
    ]
    if moments:
        return sorted(moments, key=lambda moment: -moment[2])[:MOST_MOMENTS]
    length = max(CLIP, duration / MOST_MOMENTS)
    starts = np.arange(0.0, duration, length).tolist()
    return [(-number, (start, min(start + length, duration)), 0.5) for number, start in enumerate(starts, 1)]


def _happenings(row: PhotoRow) -> list[_Happening]:
    found = [
        _Happening(one.start, one.end, WORTHS.get(one.kind, 0.0) * one.confidence, one.label)
        for one in row.events
        if not _quiet(one)
    ]
    if row.transcript is not None:
        found += (
            _Happening(one.start, one.end, SPEECH_WORTH * one.confidence, "speech") for one in row.transcript.utterances
        )
    return sorted(found, key=lambda one: one.start)


def _quiet(event: Event) -> bool:
    return event.kind == "sound" and event.label in QUIET


def _clip(
    span: tuple[float, float],
    length: float,
    happenings: Sequence[_Happening],
    quality: float,
    vector: NDArray[np.float32] | None,
) -> _Clip:
    """The part of a moment in which most happens."""
    start, end = span
    last = max(start, end - length)
    near = [one for one in happenings if one.start < end and one.end > start]
    # A clip begins with the moment, in its middle, or where something begins: no word is cut off without need.
    starts = {(start + last) / 2, start, last, *(min(max(one.start, start), last) for one in near)}
    middle = (start + last) / 2
    best = max(sorted(starts), key=lambda at: (_eventful(near, at, min(at + length, end)), -abs(at - middle)))
    until = min(best + length, end)
    inside = frozenset(one.label for one in near if one.start < until and one.end > best)
    return _Clip(best, until, (quality + _eventful(near, best, until)) / 2, inside, vector)


def _eventful(happenings: Sequence[_Happening], start: float, end: float) -> float:
    """How much happens, 0 to 1: of each label the worth of its part of the span, never all together above 1."""
    length = max(end - start, 1e-6)
    shares: dict[str, float] = {}
    for one in happenings:
        overlap = max(0.0, min(one.end, end) - max(one.start, start))
        shares[one.label] = min(1.0, shares.get(one.label, 0.0) + one.worth * overlap / length)
    nothing = 1.0
    for share in shares.values():
        nothing *= 1.0 - share
    return 1.0 - nothing


def _chosen(clips: Sequence[_Clip], seconds: float) -> list[_Clip]:
    """Clips by maximal marginal relevance, until the time is used up; the last one may be shortened."""
    left, chosen = list(clips), list[_Clip]()
    likeness = {id(clip): 0.0 for clip in left}
    while left and seconds >= SHORTEST:
        best = max(left, key=lambda clip: (RELEVANCE * clip.worth - (1 - RELEVANCE) * likeness[id(clip)], -clip.start))
        left.remove(best)
        end = min(best.end, best.start + seconds)
        chosen.append(_Clip(best.start, end, best.worth, best.labels, best.vector))
        seconds -= end - best.start
        for clip in left:
            likeness[id(clip)] = max(likeness[id(clip)], _alike(clip, best))
    return chosen


def _alike(first: _Clip, second: _Clip) -> float:
    """0 to 1, by looks if both have a vector, else by what happens (Jaccard)."""
    if first.vector is not None and second.vector is not None:
        return max(0.0, float(first.vector @ second.vector))
    both = first.labels | second.labels
    return len(first.labels & second.labels) / len(both) if both else 1.0


def _joined(clips: Sequence[_Clip]) -> list[Highlight]:
    """In order of time; those that touch are one."""
    spans: list[Highlight] = []
    for clip in sorted(clips, key=lambda one: one.start):
        if spans and clip.start <= spans[-1].end:
            spans[-1] = Highlight(spans[-1].start, max(spans[-1].end, clip.end))
        else:
            spans.append(Highlight(clip.start, clip.end))
    return spans
