"""The gate an engine must pass before it may write vectors: its output must be the reference's, on the same inputs.

All thresholds are here, each with its reason. Close outputs alone prove little (a network that always says the same is
close to itself), so the spread over the inputs and, where outputs are compared by rank, the ranking count as well.
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


SAME_PRECISION = Thresholds(cosine=0.9999, spread=0.99, overlap=0.99)
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
    reason: str | None

    @property
    def passed(self) -> bool:
        """Whether the engine may serve."""
        return self.reason is None


def compare(output: Matrix, reference: Matrix, thresholds: Thresholds, *, neighbours: Matrix | None = None) -> Verdict:
    """Judge an engine's output (N, D) by the reference's (N, D) for the same N inputs.

    The ranking is over the columns (class scores), or over `neighbours` (M, D, unit rows) where outputs are vectors.
    """
    if output.shape != reference.shape or not np.isfinite(output).all():
        return Verdict(cosine=0.0, spread=0.0, overlap=0.0, reason="its output has another shape or is not finite")
    cosine = float(_cosines(output, reference).min())
    spread = float(output.std(axis=0).mean() / reference.std(axis=0).mean())
    ranked = (output, reference) if neighbours is None else (output @ neighbours.T, reference @ neighbours.T)
    overlap = _overlap(*ranked)
    failures = [
        f"{name} {value:.5f} is below {limit}"
        for name, value, limit in (
            ("cosine", cosine, thresholds.cosine),
            ("spread", spread, thresholds.spread),
            ("overlap of the ten nearest", overlap, thresholds.overlap),
        )
        if not value >= limit
    ]
    return Verdict(cosine=cosine, spread=spread, overlap=overlap, reason=", ".join(failures) or None)


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
