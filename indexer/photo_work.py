"""One picture on its way through the stages that it owes: a photo, or a frame of a video."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import MediaError, StageFailed
from indexer.findings import analyse_each, blamed_on
from indexer.media.files import FileIdentity
from indexer.media.metadata.info import keyword_tags
from indexer.records import Analysis, Failure, Kind, MediaInfo, PixelStats, Stage, Tag
from indexer.stage import Findings, VectorStage, View
from indexer.stage_set import WITHOUT_NETWORK, Owed
from indexer.stages import STAGES, cuts_out, source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to analyse, and which of its stages are owed."""

    media_id: int
    content_hash: str
    path: str
    identity: FileIdentity
    sidecars: tuple[str, ...]
    """The files that speak about it, the most specific first."""
    stages: tuple[str, ...]
    kind: Kind = Kind.PHOTO
    """What it is taken for; the content may prove to be another."""
    vectors: tuple[tuple[int, bytes], ...] = ()
    """Ordinal of the segment and its stored vector (little-endian float16), where all that is owed reads those."""


@dataclass(slots=True, kw_only=True)
class Looked:
    """A picture that goes through networks, and what they found in it."""

    owed: Owed
    inputs: dict[str, Any] = field(default_factory=dict)
    """What stages have prepared."""
    findings: dict[str, Findings] = field(default_factory=dict)
    failed: dict[str, StageFailed] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PhotoWork(Looked):
    """A decoded photo on its way to the networks."""

    task: Task
    info: MediaInfo | None = None
    refused: MediaError | None = None
    """Why it cannot be decoded; what it says about itself is all there is."""
    stats: PixelStats | None = None
    tags: dict[str, tuple[Tag, ...]] = field(default_factory=dict)

    def timed(self, step: str, began: float) -> float:
        """Add the time since `began` to a step; return now, the next step's beginning."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - began
        return now

    def described(self, info: MediaInfo) -> None:
        """Take what the file says, where that is owed."""
        if not {Stage.METADATA, Stage.DESCRIBE}.isdisjoint(self.task.stages):
            self.info = info
        if Stage.METADATA in self.task.stages:
            self.tags |= keyword_tags(info)


def prepare_stages(prepared: Looked, view: View) -> None:
    """What each stage does with one picture alone. One that fails costs the picture that stage."""
    for name, stage in prepared.owed.photo.items():
        try:
            with blamed_on(name):
                prepared.inputs[name] = stage.prepare(view)
        except StageFailed as error:
            prepared.failed[name] = error


def analyse_batch(
    name: str,
    items: Sequence[Looked],
    analyse: Callable[[Sequence[Any]], Sequence[Findings]],
    inputs: Sequence[Any],
) -> None:
    """Run one stage over its part of a batch."""
    began = time.perf_counter()
    outcomes = analyse_each(name, analyse, inputs)
    share = (time.perf_counter() - began) / len(items)
    for item, outcome in zip(items, outcomes, strict=True):
        item.seconds[name] = share
        if isinstance(outcome, StageFailed):
            item.failed[name] = outcome
        else:
            item.findings[name] = outcome


def on_rows(stage: VectorStage) -> Callable[[Sequence[NDArray[np.float32]]], Sequence[Findings]]:
    """What a stage does with vectors (D,), as a function of several of them."""
    return lambda vectors: stage.analyse_vectors(np.stack(vectors))


def vector_for(name: str, item: Looked) -> NDArray[np.float32] | None:
    """The unit vector (D,) that a stage reads: stored, or found a moment ago. None: not owed, or there is none."""
    if name not in item.owed.vector:
        return None
    found = item.findings.get(source_of(name))
    stored = item.owed.stored or (found.embedding.vector if found is not None and found.embedding is not None else None)
    if stored is None:
        item.failed[name] = item.failed.get(source_of(name)) or StageFailed(
            f'The stage "{name}" had no vector to read.', "Please report this; `reverie retry` tries again."
        )
        return None
    vector = np.frombuffer(stored, "<f2").astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector))  # float16 rounds the length too


def cut_outs(item: PhotoWork) -> list[bytes] | None:
    """What the stages that were owed have cut out of a photo; None: no such stage has looked at it."""
    looked = [name for name in item.task.stages if name in item.findings and cuts_out([name])]
    found = (item.findings[name].cut_out for name in looked)
    return [png for png in found if png is not None] if looked else None


def revision_of(stage: str, owed: Owed) -> int:
    """That of a stage that was done."""
    return STAGES[stage] if stage in WITHOUT_NETWORK else owed.revision(stage)


def result_of(item: PhotoWork) -> Analysis:
    """What is stored of a photo: of the stages it owes only, whichever others had to run for them."""
    task, owed = item.task, item.owed
    if item.refused is not None:
        return _undecodable(item, item.refused)
    done = [name for name in task.stages if name not in item.failed]
    findings = {name: item.findings[name] for name in done if name in item.findings}
    return Analysis(
        media_id=task.media_id,
        stages={name: revision_of(name, owed) for name in done},
        info=item.info,
        pixels=item.stats,
        tags=item.tags | {name: found.tags for name, found in findings.items()},
        detections={name: found.detections for name, found in findings.items() if found.detections},
        aesthetic={name: found.aesthetic for name, found in findings.items() if found.aesthetic is not None},
        embeddings=tuple(found.embedding for found in findings.values() if found.embedding is not None),
        seconds=item.seconds,
        failed=tuple(
            Failure(media_id=task.media_id, stages=(name,), title=error.title, remedy=error.remedy, permanent=False)
            for name, error in item.failed.items()
            if name in task.stages
        ),
    )


def _undecodable(item: PhotoWork, error: MediaError) -> Analysis:
    """What is stored of a photo whose metadata could be read and whose picture could not."""
    others = tuple(name for name in item.task.stages if name != Stage.METADATA)
    return Analysis(
        media_id=item.task.media_id,
        stages={Stage.METADATA: STAGES[Stage.METADATA]},
        info=item.info,
        tags=item.tags,
        seconds=item.seconds,
        failed=(
            Failure(
                media_id=item.task.media_id,
                stages=others,
                title=error.title,
                remedy=error.remedy,
                permanent=error.permanent,
            ),
        ),
    )
