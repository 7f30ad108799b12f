"""What an engine of each precision must reach at the gate, by what its network says.

A right engine's figures were measured with each precision's rounding emulated on a processor
(tests/indexer/runtime/rounding.py), with random weights: on every listed architecture in a small size, and on the real
shapes of CLIP ViT-B/32, of SegFormer B0 (TF32 and fp16) and of D-FINE S (all but fp16, which has TF32's mantissa).

Beside each limit stand the worst of them and the best of the same engines with ten times the errors, which must not
pass: ten times the error is a hundred times as far from 1, in the cosine as in the explained variance. The figures are
that distance. Which of the two refuses depends on how nearly parallel a network's rows are. bf16's and TF32's limits
are to be confirmed on a card.
"""

from __future__ import annotations

from collections.abc import Mapping

from indexer.runtime.parity import SAME_PRECISION, Thresholds

Limits = Mapping[str, Thresholds]
"""By the name of the precision."""

EMBEDDINGS: Limits = {
    "fp32": SAME_PRECISION,
    # Ten bits of mantissa and float32's range. Right: 7e-7 and 1.4e-6; ten times that: 9e-6 and 5e-5.
    "tf32": Thresholds(cosine=0.9999, spread=0.99, overlap=0.98, explained=0.99998),
    # As many bits, and sums that are rounded as well. A cosine of 0.999 is the promise "within 0.1 %"; trained networks
    # with outliers may need it. Right: 2e-6 and 3e-6; ten times that: 1.5e-5 and 1.1e-4, so the variance refuses it.
    "fp16": Thresholds(cosine=0.999, spread=0.99, overlap=0.98, explained=0.99995),
    # Seven bits. Right: 6e-5 and 1.9e-4; ten times that: 1.1e-3 and 7e-3.
    "bf16": Thresholds(cosine=0.999, spread=0.98, overlap=0.95, explained=0.999),
    # An error of cosine 0.99 has length 0.14; over 512 dimensions it moves the similarity with a query by about 0.006,
    # while the right photo often lies only 0.05 above a wrong one. Right: 2e-3 and 5e-3; ten times that: 1.6e-2 and
    # 7e-2.
    "int8": Thresholds(cosine=0.99, spread=0.97, overlap=0.9, explained=0.95),
}
"""Vectors that are searched by their angle."""

SCORES: Limits = {
    "fp32": SAME_PRECISION,
    # Right: 2e-5 and 3e-4; ten times that: 3e-4, or 9e-3 in the variance where the cosine says little.
    "tf32": Thresholds(cosine=0.9999, spread=0.99, overlap=0.97, explained=0.999),
    # The same: 1.6e-5 and 9e-5; ten times that: 2.6e-4, or 4.6e-3 in the variance.
    "fp16": Thresholds(cosine=0.9999, spread=0.98, overlap=0.97, explained=0.999),
    # Right: 9e-4 and 1.4e-2; ten times that: 5e-3, or 5e-2 in the variance.
    "bf16": Thresholds(cosine=0.996, spread=0.97, overlap=0.93, explained=0.95),
    # Right: mostly 2e-3 and 1e-1, at the worst 4e-2, which is refused; ten times that: 5e-2, or far above 1.
    "int8": Thresholds(cosine=0.98, spread=0.97, overlap=0.9, explained=0.9),
}
"""Logits, areas, and the boxes of a fixed list of queries: they change as little as the arithmetic does."""

BOXES: Limits = {
    "fp32": SAME_PRECISION,
    # D-FINE and RT-DETR pick their queries by score: a rounding can let another in, and its box comes with it. Right,
    # on D-FINE S: up to 4e-4 and 5e-3, 95 of 100 neighbours; ten times that: 1.2e-2 in the variance at least.
    "tf32": Thresholds(cosine=0.999, spread=0.97, overlap=0.93, explained=0.99),
    "fp16": Thresholds(cosine=0.999, spread=0.97, overlap=0.93, explained=0.99),
    # Right, on D-FINE S: 7e-5 and 1.1e-2; ten times that: 7e-3 and 1.5.
    "bf16": Thresholds(cosine=0.996, spread=0.97, overlap=0.93, explained=0.95),
    # Right, on D-FINE S: 2e-3 and 7e-2; ten times that: 0.4 and more.
    "int8": Thresholds(cosine=0.98, spread=0.97, overlap=0.9, explained=0.9),
}
"""Boxes of queries that the network picks itself."""
