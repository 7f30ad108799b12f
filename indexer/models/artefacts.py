"""The names of what `indexer.models.build` leaves in the cache, and what each artefact is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
from indexer.runtime.artifacts import key_of, sha256_of

GRAPH = "model.onnx"
LABELS = "labels.npy"
PARITY = "parity.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an artefact is made from: our own code and other people's files."""

    code: tuple[str, ...]
    """Modules of this folder. A change of any of them builds anew: nobody has to remember a revision."""
    files: tuple[PackagedFile, ...]


RECIPES = {
    "text": Recipe(
        ("build.py", "graph.py", "minilm_graph.py", "classes.py"),
        (MINILM, TOKENIZER, CLASS_NAMES, CLASS_SYNONYMS, CLASS_DESCRIPTIONS),
    ),
    "image": Recipe(("build.py", "graph.py", "efficientnet_graph.py", "efficientnet_layout.py"), (EFFICIENTNET,)),
}


def artefact_name(what: str) -> str:
    """A directory name that changes with the recipe, and with the runtime that the parity gate judged."""
    recipe = RECIPES[what]
    code = (sha256_of(Path(__file__).with_name(module)) for module in recipe.code)
    return f"{what}-{key_of(ort.__version__, *code, *(file.sha256 for file in recipe.files))}"
