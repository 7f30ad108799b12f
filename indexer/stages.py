"""What every photo goes through, and at which revision.

A revision grows when a stage's output changes meaning: every photo then owes that stage again.
Kept apart from the pipeline so that the service can plan work without loading what does it.
"""

from __future__ import annotations

from collections.abc import Iterable

from indexer.records import Stage

STAGES: dict[str, int] = {
    Stage.DESCRIBE: 1,
    Stage.PIXELS: 1,
    Stage.CONCEPTS: 1,
}

TASK_REVISIONS: dict[str, int] = {
    "embedding": 1,
    "labels": 1,
    "aesthetic": 1,
    "detection": 1,
    "segmentation": 2,
    "action": 1,
    "speech": 1,
}
"""What a model can be used for. Its stage is called "task:model"; the revision is that of our code around the model."""


def cuts_out(stages: Iterable[str]) -> bool:
    """Whether one of these stages looks for the subject of a photo."""
    return any(stage.startswith("segmentation:") for stage in stages)
