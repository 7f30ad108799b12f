"""What every photo goes through, and at which revision.

A revision grows when a stage's output changes meaning: every photo then owes that stage again.
Kept apart from the pipeline so that the service can plan work without loading what does it.
"""

from __future__ import annotations

from indexer.records import Stage

STAGES: dict[Stage, int] = {
    Stage.DESCRIBE: 1,
    Stage.PIXELS: 1,
    Stage.CONCEPTS: 1,
}
