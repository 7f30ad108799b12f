"""The names of what `indexer.models.build` leaves in the cache, and of what goes into each artefact's key."""

from __future__ import annotations

import onnxruntime as ort

from indexer.models.weights import (
    CLASS_DESCRIPTIONS,
    CLASS_NAMES,
    CLASS_SYNONYMS,
    EFFICIENTNET,
    MINILM,
    TOKENIZER,
    PackagedFile,
)
from indexer.runtime.artifacts import key_of

GRAPH = "model.onnx"
LABELS = "labels.npy"
PARITY = "parity.json"

RECIPES: dict[str, tuple[int, tuple[PackagedFile, ...]]] = {
    "text": (1, (MINILM, TOKENIZER, CLASS_NAMES, CLASS_SYNONYMS, CLASS_DESCRIPTIONS)),
    "image": (1, (EFFICIENTNET,)),
}
"""What is built: the recipe's revision, which grows with the code that builds it, and the files it is made from."""


def artefact_name(what: str) -> str:
    """A directory name that changes with the recipe, with any of its files, and with the runtime that passed parity."""
    revision, files = RECIPES[what]
    return f"{what}-{key_of(str(revision), ort.__version__, *(file.sha256 for file in files))}"
