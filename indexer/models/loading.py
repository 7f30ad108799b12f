"""A stage by its name: the builtin network, a task of a listed model, or a plug-in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from config.errors import ModelError
from indexer.models.resources import Resources
from indexer.plugins import load_plugin
from indexer.records import Stage
from indexer.stage import LoadedStage

MODULES: Final = {
    "embedding": "indexer.models.dual_encoder",
    "labels": "indexer.models.labels",
    "aesthetic": "indexer.models.aesthetic",
    "detection": "indexer.models.detection",
    "segmentation": "indexer.models.segmentation",
    "action": "indexer.models.action",
    "speech": "indexer.models.speech",
    "sounds": "indexer.models.sounds",
}
"""Task to the module whose `load(stage_name, entry, resources)` makes its stage."""


def load_stage(name: str, resources: Resources) -> LoadedStage:
    """Load what a stage needs; the first time on a machine this may take minutes.

    Nothing heavy is imported but what this one stage runs on.

    Raises:
        StageFailed: a plug-in cannot be used. The other stages can do without it.
        ModelError: the model is not listed or not installed, or cannot run here.
    """
    if name == Stage.CONCEPTS:
        return _loader("indexer.models.concept_stage")(resources)
    if name == Stage.SOUND:
        return _loader("indexer.models.sound")(name, resources)
    task, colon, model = name.partition(":")
    if not colon:
        return load_plugin(name)
    if task not in MODULES:
        raise ModelError(f'There is no task "{task}" for photos.', f"The tasks are: {', '.join(MODULES)}.")
    from indexer.models.listing import load_list  # noqa: PLC0415 - the builtin profile needs no list

    models = load_list(resources.config_folders).models
    if model not in models:
        raise ModelError(
            f'The model "{model}" is in no list of models.',
            "`reverie models` shows those that are; `reverie models use PROFILE` chooses others.",
        )
    return _loader(MODULES[task])(name, models[model], resources)


def _loader(module: str) -> Callable[..., LoadedStage]:
    load: Callable[..., LoadedStage] = importlib.import_module(module).load
    return load
