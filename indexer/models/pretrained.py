"""Models and processors of transformers, from a folder that was verified: safetensors, offline, no code of theirs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.errors import ModelError
from indexer.models.listing import ModelEntry
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.runtime.artifacts import key_of
from indexer.runtime.network import NetworkRef

CONFIG = "config.json"
_UNUSED = frozenset({"n/a", ""})
"""COCO numbers its 80 classes up to 90; DETR's list fills the gaps with "N/A"."""


def installed_network(factory: str, entry: ModelEntry, resources: Resources, *arguments: str) -> NetworkRef:
    """`factory` called with the name of an installed model, its folder, a key that stands for its weights, and
    `arguments`. Raises ModelError if it is not installed or was altered."""
    store = Store(resources.models)
    folder, files = store.verified(entry), store.manifest(entry).files
    key = key_of(*(f"{path} {files[path].sha256}" for path in sorted(files)))
    return NetworkRef(factory, (entry.name, str(folder), key, *arguments))


def read_settings(folder: Path, name: str) -> Mapping[str, Any]:
    """A JSON object of a model's folder. Raises ModelError if it cannot be read."""
    try:
        settings = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / name} cannot be read: {error}.", f"Pull the model {folder.name} again.") from error
    if not isinstance(settings, dict):
        raise ModelError(f"{folder / name} is not a JSON object.", f"Pull the model {folder.name} again.")
    return settings


def class_names(folder: Path) -> dict[int, str]:
    """Class number to its name in lower case, from `config.json`. Classes that the data set never used are left out."""
    names = read_settings(folder, CONFIG).get("id2label") or {}
    return {int(number): str(name).lower() for number, name in names.items() if str(name).lower() not in _UNUSED}


def code_version() -> str:
    """Of transformers: it holds the networks' code. Imports nothing."""
    return importlib.metadata.version("transformers")


def load_model(auto_class: str, folder: Path) -> Any:
    """The model of a folder in float32 on CPU, in eval mode. `auto_class`: "AutoModelForObjectDetection".

    Raises ModelError if transformers cannot make it, or the file lacks weights: those would be random.
    """
    # transformers checks shapes by an operator that has no ONNX form; the shapes here are fixed.
    os.environ.setdefault("TRANSFORMERS_DISABLE_TORCH_CHECK", "1")
    import torch  # noqa: PLC0415 - the service must not load it
    import transformers  # noqa: PLC0415 - the service must not load it
    from huggingface_hub.errors import StrictDataclassError  # noqa: PLC0415 - as heavy as transformers

    try:
        model, loading = getattr(transformers, auto_class).from_pretrained(
            folder,
            config=_repaired_config(folder),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, StrictDataclassError) as error:
        raise ModelError(
            f"transformers {transformers.__version__} cannot load the model in {folder}: {_reason(error)}",
            f"Pull the model {folder.name} again, or choose another.",
        ) from error
    missing = sorted(set(loading["missing_keys"]) & {name for name, _ in model.named_parameters()})
    if missing:
        raise ModelError(
            f"The weights in {folder} lack {len(missing)} of the network's parameters, {missing[0]} among them.",
            f"Pull the model {folder.name} again, or choose another.",
        )
    return model.eval()


def load_processor(folder: Path) -> Any:
    """The image processor that came with a model. Raises ModelError."""
    return _load_companion("AutoImageProcessor", "image processor", folder, backend="pil")


def load_feature_extractor(folder: Path) -> Any:
    """What prepares sound for a model, as it came with it. Raises ModelError."""
    return _load_companion("AutoFeatureExtractor", "feature extractor", folder)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer that came with a model. Raises ModelError."""
    return _load_companion("AutoTokenizer", "tokenizer", folder)


def _load_companion(auto_class: str, what: str, folder: Path, **options: str) -> Any:
    import transformers  # noqa: PLC0415 - the service must not load it
    from huggingface_hub.errors import StrictDataclassError  # noqa: PLC0415 - as heavy as transformers

    try:
        return getattr(transformers, auto_class).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError, StrictDataclassError) as error:
        raise ModelError(
            f"transformers {transformers.__version__} cannot load the {what} in {folder}: {_reason(error)}",
            f"Pull the model {folder.name} again, or choose another.",
        ) from error


def _repaired_config(folder: Path) -> Any | None:
    """The configuration with `false` in place of each null that stands for a switch; None if there is none to repair.

    transformers 4 saved such nulls ("dilation" of every DETR without timm) and read them as false. transformers 5
    checks types and refuses them. Nulls in other fields may mean anything, so they are left for it to refuse.
    """
    from transformers import CONFIG_MAPPING  # noqa: PLC0415 - the service must not load it

    settings = read_settings(folder, CONFIG)
    kind = settings.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        return None
    config_class = CONFIG_MAPPING[kind]
    switches = {field.name for field in dataclasses.fields(config_class) if field.type in (bool, "bool")}
    nulls = {name: False for name in switches if name in settings and settings[name] is None}
    return config_class.from_dict({**settings, **nulls}) if nulls else None


def _reason(error: Exception) -> str:
    """The first line, and the second where the first only announces it."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
