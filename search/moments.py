"""From what speaks for parts of one video or sound to its moments: few, distinct, each with its span and its reasons.

Pure: what speaks for them is gathered elsewhere (`search.evidence`, `search.speech`).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from indexer.records import Segment

MOST_MOMENTS = 3
"""Of one file in an answer."""
MOMENT_SHARE = 0.75
"""Of the best moment's nearness: what another moment of the same file needs. More than another file needs, because
moments of one file have most of what is chance in common."""
EQUAL_SHARE = 0.9
"""Of its neighbour's nearness: what a moment of the same shot needs to be a part of the same answer."""


@dataclass(frozen=True, slots=True)
class ResultMoment:
    """One span of a file that answers."""

    ordinal: int | None
    """The file's moment in which it begins, or which is the best in it; None: there is nothing to see."""
    start: float
    """Seconds from the beginning."""
    end: float
    score: float
    """0 to 1, for comparison within one answer only."""
    reasons: tuple[str, ...]
    keyframe: bool
    """Whether a picture of the moment `ordinal` is kept."""


@dataclass(frozen=True, slots=True)
class Clue:
    """A span that speaks for itself: something is said or done in it."""

    start: float
    end: float
    weight: float
    """0 to 1."""
    reason: str
    kind: str
    """Clues of one kind are alternatives, those of different kinds confirm each other."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How near one moment's picture is to what is asked for, and why."""

    strength: float
    reasons: tuple[str, ...] = ()


Alike = Callable[[int, int], bool]
"""Whether two moments of a file look the same."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: float
    end: float
    ordinal: int | None
    weights: Mapping[str, float]
    """By the kind of clue, the best."""
    reasons: tuple[str, ...]

    @property
    def score(self) -> float:
        return sum(self.weights.values())


def answer_moments(
    segments: Sequence[Segment],
    sights: Mapping[int, Sight],
    clues: Sequence[Clue],
    *,
    required: Sequence[Clue] = (),
    alike: Alike,
    most: int = MOST_MOMENTS,
) -> tuple[ResultMoment, ...]:
    """The best moments of one file, best first.

    `sights` are those moments (by ordinal) that look like what is asked for (`near_the_best`), `clues` what is said and
    done. Where filters ask for spans (`required`), those alone are answers, to the second, and the rest only orders
    them. Otherwise neighbouring moments that look alike are one, and a clue joins the moment that it is heard in.
    """
    in_order = sorted(segments, key=lambda one: one.ordinal)
    moments = {one.ordinal: one for one in in_order if one.ordinal and one.start is not None and one.end is not None}
    seen = _joined(_seen(moments, sights), moments, alike)
    if required:
        spans = [_supported(span, [*_spans(clues, moments), *seen]) for span in _merged(_spans(required, moments))]
    else:
        heard = _merged(_spans(clues, moments))
        spans = [_supported(span, heard) for span in seen]
        spans += (span for span in heard if not any(_overlap(span, one) for one in seen))
    kinds = len({kind for span in spans for kind in span.weights}) or 1
    best = sorted(spans, key=lambda span: (-span.score, span.start, span.end))[:most]
    return tuple(
        ResultMoment(
            ordinal=span.ordinal,
            start=span.start,
            end=span.end,
            score=min(1.0, span.score / kinds),
            reasons=span.reasons,
            keyframe=span.ordinal is not None and moments[span.ordinal].keyframe is not None,
        )
        for span in best
    )


def scaled(moments: Sequence[ResultMoment], score: float) -> tuple[ResultMoment, ...]:
    """The moments of a file whose score is this: its best moment has it, the others in proportion."""
    best = max((one.score for one in moments), default=0.0)
    return tuple(replace(one, score=round(score * one.score / best, 4) if best else 0.0) for one in moments)


def near_the_best(sights: Mapping[int, Sight]) -> dict[int, Sight]:
    """Those of a file's moments that are near enough to the best one; none if that is not near at all."""
    best = max((sight.strength for sight in sights.values()), default=0.0)
    return {at: sight for at, sight in sights.items() if sight.strength >= MOMENT_SHARE * best > 0}


def _seen(moments: Mapping[int, Segment], sights: Mapping[int, Sight]) -> list[_Span]:
    """The moments in their order."""
    best = max((sight.strength for sight in sights.values()), default=0.0)
    return [
        _Span(moments[at].start or 0.0, moments[at].end or 0.0, at, {"seen": sight.strength / best}, sight.reasons)
        for at, sight in sorted(sights.items())
        if at in moments
    ]


def _joined(spans: Sequence[_Span], moments: Mapping[int, Segment], alike: Alike) -> list[_Span]:
    """Neighbours that look the same, or are of one shot and fit equally well, as one span with the best one's face."""
    joined: list[_Span] = []
    last = -1
    for span in spans:
        at = span.ordinal or 0
        if (
            joined
            and at == last + 1
            and (alike(last, at) or _equal_parts(moments[last], moments[at], joined[-1], span))
        ):
            better = max(joined[-1], span, key=lambda one: (one.score, -one.start))
            joined[-1] = replace(better, start=joined[-1].start, end=span.end)
        else:
            joined.append(span)
        last = at
    return joined


def _equal_parts(first: Segment, second: Segment, before: _Span, after: _Span) -> bool:
    same_shot = first.shot is not None and first.shot == second.shot
    return same_shot and min(before.score, after.score) >= EQUAL_SHARE * max(before.score, after.score)


def _spans(clues: Sequence[Clue], moments: Mapping[int, Segment]) -> list[_Span]:
    ordinals, begins = list(moments), [one.start or 0.0 for one in moments.values()]

    def moment_at(clue: Clue) -> int | None:
        """The moment in which its middle lies; of one behind them all (sound may be longer), the last."""
        begun = bisect.bisect_right(begins, (clue.start + clue.end) / 2)
        return ordinals[begun - 1] if begun else None

    return [
        _Span(clue.start, clue.end, moment_at(clue), {clue.kind: clue.weight}, (clue.reason,))
        for clue in sorted(clues, key=lambda clue: (clue.start, clue.end))
    ]


def _merged(spans: Sequence[_Span]) -> list[_Span]:
    """Spans in order of time, those that overlap as one."""
    merged: list[_Span] = []
    for span in spans:
        if merged and _overlap(merged[-1], span):
            merged[-1] = replace(_supported(merged[-1], [span]), end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _supported(span: _Span, others: Sequence[_Span]) -> _Span:
    """A span with the weights and reasons of those that overlap it."""
    weights, reasons = dict(span.weights), list(span.reasons)
    for other in others:
        if _overlap(span, other):
            for kind, weight in other.weights.items():
                weights[kind] = max(weights.get(kind, 0.0), weight)
            reasons += other.reasons
    return replace(span, weights=weights, reasons=tuple(dict.fromkeys(reasons)))


def _overlap(first: _Span, second: _Span) -> bool:
    return min(first.end, second.end) > max(first.start, second.start)
