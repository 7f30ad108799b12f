"""The list of models and profiles: what Reverie ships, then what the system's and the user's own lists add.

A model's name stands for one exact revision for ever; a newer one is a new entry with a new name. Light on purpose: the
service plans work with this, and imports neither torch nor transformers for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError, ModelError
from indexer.models.space import SPACE
from indexer.records import Plan, Space, Stage
from indexer.stages import STAGES, TASK_REVISIONS, reads_vectors

if TYPE_CHECKING:
    from indexer.models.store import Store

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "models.yaml"
FILE_NAME = "models.yaml"
"""Of the lists in the configuration folders."""

USES: Mapping[str, str] = {
    "embedding": "embedding",
    "labels": "embedding",
    "aesthetic": "embedding",
    "detection": "detection",
    "segmentation": "segmentation",
    "action": "action",
    "speech": "speech",
    "sounds": "sounds",
}
"""What a photo's stage does ("labels:clip-vit-b-32") to the task of the model that can do it."""

_LARGEST_REVISION = 2**31


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model, as the list knows it."""

    path: str
    """Relative, with `/`."""
    size: int | None
    """Bytes; None: the hub says."""
    sha256: str | None
    """Hex; None: what the hub says is checked, and recorded at the first pull."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model."""

    name: str
    task: str
    """"embedding", "detection", "segmentation", "action", "speech", "sounds"; "concepts" for the parts of the builtin
    profile."""
    title: str
    about: str
    """What it is good for, and what one must know about it."""
    licence: str
    """Of the weights."""
    repository: str | None
    """On the model hub; None for a model that comes as a Python package."""
    branch: str
    """Where the revision is looked up if none is given."""
    revision: str | None
    """The commit, 40 hex digits; None: the one that the hub names at the first pull, recorded in the manifest."""
    package: str | None
    """"NAME==VERSION" of the package that brings the weights; None for a model of the hub."""
    files: tuple[ModelFile, ...]
    dimension: int | None
    """Of the embedding."""
    memory_megabytes: int | None
    """The weights as 32-bit numbers, in 10^6 bytes, without what a batch needs; None: not known."""
    languages: tuple[str, ...]
    """ISO 639-1 codes of what it understands or writes, or "multilingual"; empty where no language is involved."""
    options: Mapping[str, Any]
    """Read by the module of the task."""

    @property
    def size(self) -> int | None:
        """Bytes to download; None unless the list knows the size of every file that counts (the weights)."""
        weights = [file.size for file in self.files if is_weights(file.path)]
        if not weights or None in weights:
            return None
        return sum(file.size or 0 for file in self.files)


@dataclass(frozen=True, slots=True)
class Profile:
    """A choice of stages under one name."""

    name: str
    about: str
    stages: tuple[str, ...]
    """Besides "describe" and "pixels": "concepts", "task:model", or a plug-in's."""


@dataclass(frozen=True, slots=True)
class ModelList:
    """Everything that is known by name."""

    models: Mapping[str, ModelEntry]
    profiles: Mapping[str, Profile]


def is_weights(path: str) -> bool:
    """Whether a file holds a network's numbers, rather than settings or words."""
    return path.endswith((".safetensors", ".bin"))


def load_list(config_folders: Sequence[Path]) -> ModelList:
    """The shipped list, then `models.yaml` of each folder; an entry of a later list replaces one of the same name.

    Raises ConfigError, naming the file and the key, for a list that is wrong or names what is not there.
    """
    from indexer.models.list_file import read_list  # noqa: PLC0415 - pydantic and YAML, which the builtin plan spares

    models: dict[str, ModelEntry] = {}
    profiles: dict[str, Profile] = {}
    origins: dict[str, Path] = {}
    for file in (SHIPPED, *(folder / FILE_NAME for folder in config_folders)):
        if (found := read_list(file)) is None:
            continue
        models |= found.models
        profiles |= found.profiles
        origins |= dict.fromkeys(found.profiles, file)
    for name, profile in profiles.items():
        _check(profile, models, f"{origins[name]}: profiles.{name}.stages")
    return ModelList(models, profiles)


def split_stage(stage: str) -> tuple[str, str]:
    """ "embedding:clip" to ("embedding", "clip"). Raises ValueError for a stage that is not of a model."""
    task, colon, model = stage.partition(":")
    if not colon or not task or not model:
        raise ValueError(f'"{stage}" is no stage of a model')
    return task, model


def models_of(profile: Profile, models: ModelList) -> tuple[ModelEntry, ...]:
    """The models that a profile's stages need, each once, in order."""
    found: dict[str, ModelEntry] = {}
    for stage in profile.stages:
        if stage == Stage.CONCEPTS:
            found |= {name: entry for name, entry in models.models.items() if entry.task == "concepts"}
        elif ":" in stage:
            entry = models.models[split_stage(stage)[1]]
            found[entry.name] = entry
    return tuple(found.values())


def space_of(entry: ModelEntry, store: Store) -> Space:
    """The space of an installed dual encoder. Raises ModelError if it is not installed."""
    if entry.dimension is None:
        raise ModelError(f"The model {entry.name} makes no embeddings.", "Choose a profile with another model.")
    commit = store.manifest(entry).commit
    return Space(f"{entry.name}@{commit[:12]}/{TASK_REVISIONS['embedding']}", entry.dimension)


def stage_revision(stage: str, entry: ModelEntry, store: Store, config_folders: Sequence[Path]) -> int:
    """What the results of a model's stage depend on, as one number from 1 to 2^31 - 1: other results, other number.

    These are our code for the task, the weights, the entry's options, and every word of the label lists that it uses.
    Raises ModelError if the model is not installed, ConfigError for a label list that cannot be read.
    """
    task, _ = split_stage(stage)
    weights = entry.package or store.manifest(entry).commit
    parts: list[Any] = [task, TASK_REVISIONS[task], weights, dict(entry.options)]
    if task == "labels" or "list" in entry.options:
        from indexer.models.label_lists import label_lists  # noqa: PLC0415 - only where labels are wanted

        lists = sorted((name, list(words)) for name, words in label_lists(config_folders).items())
        parts.append(lists if task == "labels" else [one for one in lists if one[0] == entry.options["list"]])
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:8]) % (_LARGEST_REVISION - 1) + 1


def plan_for(profile: str, models: ModelList, store: Store, config_folders: Sequence[Path]) -> Plan:
    """What every photo goes through under a profile, as it is installed now; plug-ins join every plan.

    Raises ModelError if the profile is unknown, or something it needs is not installed.
    """
    from indexer.plugins import plugin_stages  # noqa: PLC0415 - looks through the installed packages

    chosen = models.profiles.get(profile)
    if chosen is None:
        raise ModelError(f'There is no profile "{profile}".', f"The profiles are: {', '.join(models.profiles)}.")
    plugins = plugin_stages()
    stages = {str(stage): STAGES[stage] for stage in (Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS, Stage.SOUND)}
    space = SPACE
    for stage in chosen.stages:
        if stage == Stage.CONCEPTS:
            stages[stage] = STAGES[stage]
        elif ":" in stage:
            task, name = split_stage(stage)
            entry = models.models[name]
            _must_be_installed(entry, store, profile)
            stages[stage] = stage_revision(stage, entry, store, config_folders)
            if task == "embedding":
                space = space_of(entry, store)
        elif stage not in plugins:
            raise ModelError(
                f'The profile {profile} names the stage "{stage}", which no installed plug-in has.',
                "Install the plug-in, or take the stage out of the profile.",
            )
    return Plan(profile, space, stages | plugins)


def _must_be_installed(entry: ModelEntry, store: Store, profile: str) -> None:
    if not store.installed(entry):
        raise ModelError(
            f"The profile {profile} needs the model {entry.name}, which is not installed.",
            f"`reverie models pull {profile}` fetches what the profile needs; "
            f"`reverie models pull {entry.name}` fetches this one.",
        )


def _check(profile: Profile, models: Mapping[str, ModelEntry], where: str) -> None:
    """Raises ConfigError for a profile that could not be used whatever is installed."""
    known = ", ".join(name for name, entry in models.items() if entry.task != "concepts")
    for stage in profile.stages:
        if ":" not in stage:
            continue
        task, name = split_stage(stage)
        if task not in USES:
            raise ConfigError(f'{where}: "{stage}": photos have no task "{task}".', f"They have: {', '.join(USES)}.")
        if name not in models:
            raise ConfigError(f'{where}: "{stage}": there is no model "{name}".', f"The models are: {known}.")
        if models[name].task != USES[task]:
            raise ConfigError(
                f'{where}: "{stage}": {name} is a model for {models[name].task}, not for {task}.',
                f"Name a model whose task is {USES[task]}.",
            )
    _check_space(profile.stages, where)


def _check_space(stages: Iterable[str], where: str) -> None:
    pairs = [split_stage(stage) for stage in stages if ":" in stage]
    encoders = [name for task, name in pairs if task == "embedding"]
    if len(encoders) + (Stage.CONCEPTS in stages) != 1:
        raise ConfigError(
            f"{where}: a profile searches in one space, so it has one embedding.",
            'Name one stage "embedding:MODEL", or "concepts" for the builtin network.',
        )
    for task, name in pairs:
        if reads_vectors(task) and [name] != encoders:
            raise ConfigError(
                f'{where}: "{task}:{name}" needs the embedding of {name}, which the profile does not make.',
                f'Name the model of the stage "embedding:MODEL", or take "{task}:{name}" out.',
            )
