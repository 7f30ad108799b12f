"""What an engine of each precision must reach at the gate."""

from __future__ import annotations

from collections.abc import Mapping

from indexer.runtime.parity import SAME_PRECISION, Thresholds

EMBEDDINGS: Mapping[str, Thresholds] = {
    "fp32": SAME_PRECISION,
    "tf32": Thresholds(cosine=0.9999, spread=0.99, overlap=0.98, explained=0.99998),
    "fp16": Thresholds(cosine=0.999, spread=0.99, overlap=0.98, explained=0.99995),
    "bf16": Thresholds(cosine=0.999, spread=0.98, overlap=0.95, explained=0.999),
    "int8": Thresholds(cosine=0.99, spread=0.97, overlap=0.9, explained=0.95),
}
SCORES = EMBEDDINGS
BOXES = EMBEDDINGS
