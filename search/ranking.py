"""From what speaks for each photo to an order: the relevance cut-off, and several rankings fused into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RANK_CONSTANT = 60
"""Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"
(2009): their k, which keeps the first few ranks from deciding alone."""


@dataclass(slots=True)
class Evidence:
    """What speaks for one photo being an answer."""

    similarity: float = 0.0
    """How near it is to what is asked for; in a ranking of words, how well they match."""
    conviction: float = 0.0
    """How sure one can be that this nearness is more than chance; compared with a floor."""
    bonus: float = 0.0
    """Added to order photos; it makes none relevant by itself."""
    sure: bool = False
    """Relevant whatever its similarity: all that is asked for is written about it."""
    reasons: list[str] = field(default_factory=list)

    @property
    def strength(self) -> float:
        """What a ranking orders by."""
        return self.similarity + self.bonus


Ranking = Mapping[int, Evidence]
"""Media id to what speaks for it."""


def relevant(ranking: Ranking, share: float, nearness: float) -> dict[int, Evidence]:
    """What reaches the given share of the best similarity, and at least `nearness`; or is sure.

    A bonus may make up for half of what is needed. The range of similarities moves with the query, so the cut is
    relative to the query's best; but where even the best is not near (it is an answer for its tag or title alone),
    being nearly as near means nothing.
    """
    least = share * max((one.similarity for one in ranking.values()), default=0.0)
    return {
        media_id: one
        for media_id, one in ranking.items()
        if one.sure or (one.strength >= max(least, nearness) > 0 and one.similarity >= least / 2)
    }


def best_conviction(ranking: Ranking) -> float:
    """The highest conviction; 1 where a photo is sure, 0 where there is none."""
    return max((1.0 if one.sure else one.conviction for one in ranking.values()), default=0.0)


def ordered(ranking: Ranking) -> list[int]:
    """Media ids, strongest first."""
    return sorted(ranking, key=lambda media_id: (-ranking[media_id].strength, media_id))


def fuse(rankings: Sequence[Ranking], weights: Sequence[float] | None = None) -> list[tuple[int, float]]:
    """Reciprocal rank fusion: (media id, score), best first. 1 is the score of what every ranking puts first.

    Rankings weigh the same unless `weights` says otherwise: each holds only what passed its own cut-off, so to be in
    one at all means something.
    """
    weighed = zip(rankings, weights or [1.0] * len(rankings), strict=True)
    used = [(ranking, weight) for ranking, weight in weighed if ranking]
    total = sum(weight for _, weight in used)
    scores: dict[int, float] = {}
    for ranking, weight in used:
        for rank, media_id in enumerate(ordered(ranking), 1):
            scores[media_id] = scores.get(media_id, 0.0) + weight * (RANK_CONSTANT + 1) / (RANK_CONSTANT + rank) / total
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def merge(rankings: Sequence[Ranking]) -> dict[int, Evidence]:
    """Alternatives (OR): what speaks most for each photo counts."""
    merged: dict[int, Evidence] = {}
    for ranking in rankings:
        for media_id, one in ranking.items():
            known = merged.get(media_id)
            if known is None or (one.sure, one.strength) > (known.sure, known.strength):
                merged[media_id] = one
    return merged
