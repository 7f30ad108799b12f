"""The builtin image network as a stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.models.builtin import load_concept_model
from indexer.models.concepts import ConceptModel
from indexer.models.efficientnet_layout import SIDE
from indexer.models.resources import Resources
from indexer.records import RuntimeReport, Stage
from indexer.stage import Findings, View
from indexer.stages import STAGES

BATCH_SIZE = 16
"""On a CPU a larger batch of this network is no faster; it only waits longer."""


def load(resources: Resources) -> ConceptStage:
    """The stage with its network. Raises ModelError as `load_concept_model` does."""
    model = load_concept_model(resources.model_cache, threads=resources.threads)
    return ConceptStage(model, resources.policy.batch_size or BATCH_SIZE)


class ConceptStage:
    """Tags and the embedding of the builtin profile, as a `PhotoStage`."""

    name = str(Stage.CONCEPTS)
    revision = STAGES[Stage.CONCEPTS]
    short_side = SIDE

    def __init__(self, model: ConceptModel, batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size
        runtime, device, precision = model.runtime.rsplit(", ", 2)
        self.report: RuntimeReport | None = RuntimeReport(
            stage=self.name,
            model="efficientnet-lite0",
            device=device,
            runtime=runtime,
            precision=precision,
            batch_size=batch_size,
        )

    def prepare(self, view: View) -> NDArray[np.float32]:
        """The network's views of a photo, (1, 3, 224, 224)."""
        return self._model.prepare(view.pixels)

    def analyse(self, batch: Sequence[NDArray[np.float32]]) -> list[Findings]:
        """Prepared photos to findings, in order."""
        findings: list[Findings] = []
        for start in range(0, len(batch), self._batch_size):
            concepts = self._model.infer(np.stack(batch[start : start + self._batch_size]))
            findings.extend(Findings(tags=one.tags, embedding=one.embedding) for one in concepts)
        return findings
