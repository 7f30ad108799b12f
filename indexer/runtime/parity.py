"""The gate an engine must pass before it may write vectors: its output must be the reference's, on the same inputs.

Close outputs alone prove little (a network that always says the same is close to itself), so the spread over the inputs
and, where outputs are compared by rank, the ranking count as well. What must be reached is in `limits`, by precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What an engine must reach, row by row against the reference."""

    cosine: float
    """The smallest cosine of any row with the reference's row."""
    spread: float
    """The smallest standard deviation over the inputs, as a share of the reference's."""
    overlap: float
    """The smallest mean share of the reference's ten nearest neighbours that are found again."""
    explained: float = 0.9
    """The smallest share of the reference's variance over the inputs that is met (R^2, the coefficient of
    determination). The rows of many networks are nearly parallel: a wrong answer then still has a high cosine, but
    what tells one input from another is lost. At 0.9 the error is a third of the differences between inputs."""


SAME_PRECISION = Thresholds(cosine=0.9999, spread=0.99, overlap=0.99, explained=0.999)
"""Another runtime at the same precision differs in the order of additions: float32 leaves 1e-6. A missing layer, a
wrong padding or a swapped channel changes the cosine in its first digits."""

REDUCED_PRECISION = Thresholds(cosine=0.98, spread=0.97, overlap=0.9)
"""For int8 texts. An error of cosine 0.98 has length 0.2; spread over 384 dimensions it moves a similarity by about
0.2 / sqrt(384) = 0.01, well below the 0.1 and more that lie between a right and a wrong photo. Of ten neighbours the
last one or two lie that close together, so that one in ten may change places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The measured values, and the reason for a refusal (None: passed)."""

    cosine: float
    spread: float
    overlap: float
    explained: float
    reason: str | None

    @property
    def passed(self) -> bool:
        """Whether the engine may serve."""
        return self.reason is None


def compare(output: Matrix, reference: Matrix, thresholds: Thresholds, *, neighbours: Matrix | None = None) -> Verdict:
    """Judge an engine's output (N, D) by the reference's (N, D) for the same N inputs.

    The ranking is over the columns (class scores), or over `neighbours` (M, D, unit rows) where outputs are vectors.
    """
    if refusal := _unusable(output, reference):
        return refusal
    ranked = (output, reference) if neighbours is None else (output @ neighbours.T, reference @ neighbours.T)
    return _judge(output, reference, thresholds, overlap=_overlap(*ranked))


def compare_items(output: Matrix, reference: Matrix, thresholds: Thresholds) -> Verdict:
    """Judge an engine's rows (N, D) by the reference's (N, D), when no other vectors are at hand to rank by.

    The ranking is among the inputs: each of the reference's rows is the question, the other inputs are ranked by
    cosine. The reference's mean is taken off first, as it moves all cosines alike and orders nothing.
    """
    if refusal := _unusable(output, reference):
        return refusal
    return _judge(output, reference, thresholds, overlap=_overlap_among(_unit(output), _unit(reference)))


def _unusable(output: Matrix, reference: Matrix) -> Verdict | None:
    if output.shape != reference.shape:
        reason = f"its output has the shape {output.shape}, not {reference.shape}"
    elif not np.isfinite(output).all():
        reason = "its output is not finite"
    elif np.ptp(reference, axis=0).max(initial=0.0) == 0:
        reason = "the reference gives the same answer to all inputs: nothing can be proven"
    else:
        return None
    return Verdict(cosine=0.0, spread=0.0, overlap=0.0, explained=0.0, reason=reason)


def _judge(output: Matrix, reference: Matrix, thresholds: Thresholds, *, overlap: float) -> Verdict:
    cosine = float(_cosines(output, reference).min())
    spread = float(output.std(axis=0).mean() / reference.std(axis=0).mean())
    explained = _explained(output, reference)
    failures = [
        f"{name} {value:.5f} is below {limit}"
        for name, value, limit in (
            ("cosine", cosine, thresholds.cosine),
            ("spread", spread, thresholds.spread),
            ("overlap of the ten nearest", overlap, thresholds.overlap),
            ("explained variance", explained, thresholds.explained),
        )
        if not value >= limit
    ]
    return Verdict(
        cosine=cosine, spread=spread, overlap=overlap, explained=explained, reason=", ".join(failures) or None
    )


def fixed_images(count: int, side: int) -> Matrix:
    """Deterministic inputs (count, 3, side, side), within -1 and 1: blocks of colour of several sizes, and noise.

    Real photos need a file; these have the low and the high frequencies that make the network's scores vary.
    """
    random = np.random.Generator(np.random.PCG64(20130501))
    images = np.empty((count, 3, side, side), np.float32)
    for index in range(count):
        blocks = 2 ** (1 + index % 5)
        coarse = random.uniform(-1, 1, (3, blocks, blocks))
        scaled = np.kron(coarse, np.ones((-(-side // blocks),) * 2))[:, :side, :side]
        images[index] = np.clip(scaled + random.normal(0, 0.1, (3, side, side)), -1, 1)
    return images


def _cosines(left: Matrix, right: Matrix) -> Matrix:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines: Matrix = np.sum(left * right, axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)
    return cosines


def _overlap(scores: Matrix, reference: Matrix, depth: int = 10) -> float:
    found = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    wanted = np.argsort(-reference, axis=1, kind="stable")[:, :depth]
    shares = [len(set(left) & set(right)) / depth for left, right in zip(found, wanted, strict=True)]
    return float(np.mean(shares))


def _unit(rows: Matrix) -> NDArray[np.float64]:
    """Rows of length 1, in double precision: nearly parallel rows differ in digits that float32 does not have."""
    wide = rows.astype(np.float64)
    unit: NDArray[np.float64] = wide / np.maximum(
        np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(np.float64).tiny
    )
    return unit


def _explained(output: Matrix, reference: Matrix) -> float:
    wide = reference.astype(np.float64)
    return float(1 - np.square(output - wide).sum() / np.square(wide - wide.mean(axis=0)).sum())


def _overlap_among(output: NDArray[np.float64], reference: NDArray[np.float64], depth: int = 10) -> float:
    """Of the `depth` inputs nearest to each in `output`, the mean share that is as near in `reference`."""
    mean = reference.mean(axis=0)
    wanted = (reference - mean) @ (reference - mean).T
    found = (reference - mean) @ (output - mean).T
    count = len(wanted)
    depth = min(depth, count - 1)
    if depth < 1:
        return 1.0
    shares = []
    for row in range(count):
        others = np.arange(count) != row
        scores = wanted[row, others]
        # Near duplicates change places by rounding alone: as near as the last of the nearest is near enough.
        limit = np.sort(scores)[-depth] - 1e-4 * np.ptp(scores)
        nearest = np.argsort(-found[row, others], kind="stable")[:depth]
        shares.append(float(np.mean(scores[nearest] >= limit)))
    return float(np.mean(shares))
