"""The query side of a plan: texts to vectors in its space, and the background against which they are judged.

The service imports this: neither torch nor transformers is loaded, only ONNX Runtime and a tokenizer.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.listing import ModelEntry, load_list, space_of, split_stage
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.records import Plan, Space, Stage


class QueryEncoder(Protocol):
    """Encodes queries into the vectors of one space. Thread-safe."""

    space: Space
    runtime: str
    """What runs it, for people: "ONNX Runtime 1.32.0, CPU, int8"."""

    def encode(self, text: str) -> NDArray[np.float32]:
        """One text to a unit vector (D,)."""


def load_query_encoder(plan: Plan, resources: Resources) -> QueryEncoder:
    """The text side of the plan's embedding. The first time on a machine it is built in a child process.

    Raises ModelError: the model is not installed as the plan needs it, or cannot run here.
    """
    if Stage.CONCEPTS in plan.stages:
        from indexer.models.builtin import load_text_encoder  # noqa: PLC0415 - only one of the two is needed

        return load_text_encoder(resources.model_cache, threads=resources.threads)
    from indexer.models.text_tower import load_tower  # noqa: PLC0415 - see above

    return load_tower(_dual_encoder(plan, resources), resources)


def load_background(plan: Plan, resources: Resources) -> NDArray[np.float32]:
    """(M, D) unit vectors of texts that the plan's space surely knows. Raises as `load_query_encoder` does."""
    if Stage.CONCEPTS in plan.stages:
        from indexer.models.builtin import load_labels  # noqa: PLC0415 - only one of the two is needed

        return load_labels(resources.model_cache, threads=resources.threads)
    from indexer.models.text_tower import load_captions  # noqa: PLC0415 - see above

    return load_captions(_dual_encoder(plan, resources), resources)


def reads_english_only(plan: Plan, resources: Resources) -> bool:
    """Whether no language but English is known to be understood by the plan's embedding model."""
    entries = load_list(resources.config_folders).models
    names = [split_stage(stage)[1] for stage in plan.stages if stage.startswith("embedding:")]
    return {language for name in names if name in entries for language in entries[name].languages} <= {"en"}


def _dual_encoder(plan: Plan, resources: Resources) -> ModelEntry:
    """The entry of the plan's embedding model, which must be installed at the revision of the plan's space."""
    names = [split_stage(stage)[1] for stage in plan.stages if stage.startswith("embedding:")]
    if len(names) != 1:
        raise ModelError(
            f"The profile {plan.profile} has no embedding, so nothing can be searched by meaning.",
            "Choose another: `reverie models` shows them, `reverie models use PROFILE` changes to one.",
        )
    [name] = names
    entry = load_list(resources.config_folders).models.get(name)
    if entry is None:
        raise ModelError(
            f'The model "{name}", by which this library is searched, is in no list of models any more.',
            "Put its entry back, or choose another profile: `reverie models use PROFILE`.",
        )
    if space_of(entry, Store(resources.models)) != plan.space:
        raise ModelError(
            f"The installed {name} is not the revision by which this library was analysed.",
            f"Install that one again, or analyse anew: `reverie models use {plan.profile}`.",
        )
    return entry
