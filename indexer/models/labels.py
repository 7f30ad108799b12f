"""Zero-shot labels as a stage: photos whose vectors are there are tagged from lists that anybody can edit."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.models.captions import background_captions
from indexer.models.label_lists import label_lists
from indexer.models.listing import ModelEntry, space_of, stage_revision
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.models.text_tower import SETTINGS, TowerSettings, obtain_tower, open_tower
from indexer.models.zero_shot import LabelVectors, Matrix, ZeroShot
from indexer.records import RuntimeReport, Space
from indexer.runtime.artifacts import ArtifactCache, key_of
from indexer.stage import Findings

VECTORS = "labels.npy"
BACKGROUND = "captions.npy"

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "scenes": ("a photo of a {}", "a view of a {}", "{}"),
    "activities": ("a photo of a person {}", "a photo of people {}", "someone {}"),
    "objects": ("a photo of a {}", "a close-up photo of a {}", "{}"),
}
"""What a label is put into, by its list. A label's vector is the mean over them, brought to length 1: one wording says
less than several (Radford et al. 2021, section 3.1.4, "prompt ensembling")."""
ANY_TEMPLATES = ("a photo of {}", "a photo showing {}", "{}")
"""For lists of other names: their labels may be of any grammar."""
CAPTION_TEMPLATES = ("a photo of {}", "{}")
"""For the captions that labels are weighed against: what the wording adds must be on both scales."""


class Encoder(Protocol):
    """What turns texts into vectors."""

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to unit rows (N, D)."""


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> LabelStage:
    """The stage "labels:MODEL". Raises ModelError as `load_tower` does, ConfigError for a list that cannot be read."""
    store = Store(resources.models)
    lists = {name: labels for name, labels in label_lists(resources.config_folders).items() if labels}
    tower = obtain_tower(entry, resources)
    texts = [(labels, templates_of(name)) for name, labels in lists.items()]
    key = key_of(tower.name, json.dumps([texts, CAPTION_TEMPLATES]))
    built = ArtifactCache(resources.model_cache).obtain(
        f"labels-{entry.name}-{key}", functools.partial(_build, tower, entry, resources, lists)
    )
    return LabelStage(
        stage_name,
        stage_revision(stage_name, entry, store, resources.config_folders),
        space_of(entry, store),
        ZeroShot(
            _split(lists, np.load(built / VECTORS, allow_pickle=False)),
            np.load(built / BACKGROUND, allow_pickle=False),
            TowerSettings.read(tower / SETTINGS).logit_scale,
        ),
    )


class LabelStage:
    """Vectors to tags, as a `VectorStage`."""

    report: RuntimeReport | None = None
    """No network runs: the vectors are there."""

    def __init__(self, name: str, revision: int, space: Space, zero_shot: ZeroShot) -> None:
        self.name = name
        self.revision = revision
        self.space = space
        self._zero_shot = zero_shot

    def analyse_vectors(self, vectors: NDArray[np.float32]) -> list[Findings]:
        """Unit rows (N, D) to N findings with tags, in order."""
        return [Findings(tags=tags) for tags in self._zero_shot.tags(vectors)]


def templates_of(list_name: str) -> tuple[str, ...]:
    """What the labels of a list are put into."""
    return TEMPLATES.get(list_name, ANY_TEMPLATES)


def ensemble(encoder: Encoder, texts: Sequence[str], templates: Sequence[str]) -> Matrix:
    """(N, D) unit rows: for each text the mean over the templates."""
    sums = np.sum(
        [encoder.encode_all([template.replace("{}", text) for text in texts]) for template in templates], axis=0
    )
    vectors: Matrix = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return vectors


def _build(
    tower: Path, entry: ModelEntry, resources: Resources, lists: Mapping[str, tuple[str, ...]], directory: Path
) -> None:
    encoder = open_tower(tower, entry, resources)
    rows = [ensemble(encoder, labels, templates_of(name)) for name, labels in lists.items()]
    np.save(directory / VECTORS, np.concatenate([*rows, np.empty((0, encoder.space.dimension), np.float32)]))
    np.save(directory / BACKGROUND, ensemble(encoder, background_captions(), CAPTION_TEMPLATES))


def _split(lists: Mapping[str, tuple[str, ...]], vectors: Matrix) -> dict[str, LabelVectors]:
    """The rows of all lists to those of each."""
    parts: dict[str, LabelVectors] = {}
    start = 0
    for name, labels in lists.items():
        parts[name] = LabelVectors(labels, vectors[start : start + len(labels)])
        start += len(labels)
    return parts
