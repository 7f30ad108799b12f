"""What every media file goes through, and at which revision.

A revision grows when a stage's output changes meaning: every file then owes that stage again.
Kept apart from the pipeline so that the service can plan work without loading what does it.
"""

from __future__ import annotations

from collections.abc import Iterable

from indexer.records import Kind, Space, Stage

STAGES: dict[str, int] = {
    Stage.METADATA: 2,
    Stage.DESCRIBE: 1,
    Stage.PIXELS: 1,
    Stage.CONCEPTS: 1,
    Stage.SOUND: 2,
}

TASK_REVISIONS: dict[str, int] = {
    "embedding": 1,
    "labels": 1,
    "aesthetic": 1,
    "detection": 1,
    "segmentation": 2,
    "action": 1,
    "speech": 2,
    "sounds": 2,
}
"""What a model can be used for. Its stage is called "task:model"; the revision is that of our code around the model."""


def cuts_out(stages: Iterable[str]) -> bool:
    """Whether one of these stages looks for the subject of a photo."""
    return any(stage.startswith("segmentation:") for stage in stages)


_PICTURE = frozenset({Kind.PHOTO, Kind.VIDEO})
_MOVING = frozenset({Kind.VIDEO})
_HEARD = frozenset({Kind.VIDEO, Kind.AUDIO})
_STILL = frozenset({Kind.PHOTO})
_KINDS: dict[str, frozenset[Kind]] = {
    Stage.METADATA: frozenset(Kind),
    Stage.DESCRIBE: frozenset(Kind),
    Stage.PIXELS: _PICTURE,
    Stage.CONCEPTS: _PICTURE,
    Stage.SOUND: _HEARD,
    "embedding": _PICTURE,
    "labels": _PICTURE,
    "aesthetic": _PICTURE,
    "detection": _PICTURE,
    "segmentation": _STILL,
    "action": _MOVING,
    "speech": _HEARD,
    "sounds": _HEARD,
}


def kinds_of(stage: str) -> frozenset[Kind]:
    """The kinds of media that a stage has something to say about. Plug-ins are asked about photos."""
    return _KINDS.get(stage.partition(":")[0], _STILL)


def applies(stage: str, kind: Kind) -> bool:
    """Whether media of a kind go through a stage."""
    return kind in kinds_of(stage)


_VECTOR_TASKS = frozenset({"labels", "aesthetic"})


def reads_vectors(stage: str) -> bool:
    """Whether a stage needs no more than the vectors that another one made."""
    return stage.partition(":")[0] in _VECTOR_TASKS


def source_of(vector_stage: str) -> str:
    """The stage that makes the vectors another one reads: "labels:clip" to "embedding:clip"."""
    return f"embedding:{vector_stage.partition(':')[2]}"


def filler_of(space: Space) -> str:
    """The stage that makes the vectors of a model's space."""
    return f"embedding:{space.name.partition('@')[0]}"
