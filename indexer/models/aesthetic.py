"""How pleasing a photo is, as a dual encoder judges: CLIP-IQA's pairs of opposite prompts, as a stage.

Source: Wang, Chan and Loy, "Exploring CLIP for Assessing the Look and Feel of Images" (2023): the softmax over a good
and a bad prompt, at the model's own logit scale. Against one prompt alone a cosine says more about what is shown than
about how; against its opposite, what both have in common cancels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.models.listing import ModelEntry, space_of, stage_revision
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.models.text_tower import PROMPTS, SETTINGS, TowerSettings, obtain_tower
from indexer.records import RuntimeReport, Space
from indexer.stage import Findings


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> AestheticStage:
    """The stage "aesthetic:MODEL". Raises ModelError as `load_tower` does."""
    store = Store(resources.models)
    tower = obtain_tower(entry, resources)
    return AestheticStage(
        stage_name,
        stage_revision(stage_name, entry, store, resources.config_folders),
        space_of(entry, store),
        np.load(tower / PROMPTS, allow_pickle=False),
        TowerSettings.read(tower / SETTINGS).logit_scale,
    )


class AestheticStage:
    """Vectors to a score, as a `VectorStage`."""

    report: RuntimeReport | None = None
    """No network runs: the vectors are there."""

    def __init__(
        self, name: str, revision: int, space: Space, prompts: NDArray[np.float32], logit_scale: float
    ) -> None:
        """`prompts` (2 P, D) are the unit vectors of the pairs, the good one of each first."""
        self.name = name
        self.revision = revision
        self.space = space
        self._directions = logit_scale * (prompts[0::2] - prompts[1::2])

    def analyse_vectors(self, vectors: NDArray[np.float32]) -> list[Findings]:
        """Unit rows (N, D) to N findings with a score, in order."""
        # The softmax over two is the logistic function of their difference; this form of it never overflows.
        shares = (1 + np.tanh(vectors @ self._directions.T / 2)) / 2
        return [Findings(aesthetic=float(score)) for score in shares.mean(axis=1)]
