"""Models and processors of transformers, from a folder that was verified: safetensors, offline, no code of theirs."""

from __future__ import annotations

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

    try:
        model, loading = getattr(transformers, auto_class).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        raise ModelError(
            f"transformers {transformers.__version__} cannot load the model in {folder}: {_first_line(error)}",
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

    try:
        return getattr(transformers, auto_class).from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError(
            f"transformers {transformers.__version__} cannot load the {what} in {folder}: {_first_line(error)}",
            f"Pull the model {folder.name} again, or choose another.",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
