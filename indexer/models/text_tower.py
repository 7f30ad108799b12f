"""The text side of a dual encoder: queries, labels and captions to vectors, on ONNX Runtime alone.

The graph, the tokenizer and its rules are built once, in a child process; the service imports this module and never
torch or transformers.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from indexer.models.captions import FILE as CAPTIONS
from indexer.models.child import run_build
from indexer.models.listing import ModelEntry, space_of
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.records import Space
from indexer.runtime.artifacts import ArtifactCache, key_of, sha256_of
from indexer.runtime.engines import open_session

GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
SETTINGS = "settings.json"
BACKGROUND = "background.npy"
PROMPTS = "prompts.npy"
PARITY = "parity.json"

BATCH = 32
"""Texts that are encoded together where there are many."""

_CODE = ("text_tower.py", "text_build.py", "text_graph.py", "graph.py", "prompts.py")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerSettings:
    """What the serving process must know about a text tower, besides its graph."""

    max_tokens: int
    """Longer texts are cut."""
    fixed_length: bool
    """Whether texts are padded to `max_tokens` (SigLIP, which was trained so), or to the longest of a batch (CLIP,
    which looks at nothing after the end of a text)."""
    pad_id: int
    pad_token: str
    lower_case: bool
    """Whether the texts must be made lower case, because the tokenizer does not do it."""
    strip_punctuation: bool
    """Whether punctuation must be taken out and spaces run together (SigLIP 1)."""
    logit_scale: float
    """By what the model multiplies cosines before its softmax or sigmoid."""
    precision: str
    """Of the graph: "int8" or "fp32"."""

    def write(self, file: Path) -> None:
        """As JSON."""
        file.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")

    @staticmethod
    def read(file: Path) -> TowerSettings:
        """What `write` wrote."""
        return TowerSettings(**json.loads(file.read_bytes()))

    def prepare(self, text: str) -> str:
        """A text as the tokenizer shall see it."""
        # A file name in a query may hold bytes that are no text (surrogates): they mean nothing, and must not fail.
        clean = text.encode("utf-8", "replace").decode()
        if self.lower_case:
            clean = clean.lower()
        if self.strip_punctuation:
            clean = " ".join(clean.translate(_NO_PUNCTUATION).split())
        return clean


class TextTokenizer:
    """Texts to the tokens of a tower. Thread-safe."""

    def __init__(self, tokenizer: Tokenizer, settings: TowerSettings) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._tokenizer.enable_truncation(settings.max_tokens)
        self._tokenizer.enable_padding(
            direction="right",
            pad_id=settings.pad_id,
            pad_token=settings.pad_token,
            length=settings.max_tokens if settings.fixed_length else None,
        )

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """N texts to (N, L)."""
        encodings = self._tokenizer.encode_batch([self._settings.prepare(text) for text in texts])
        return np.array([encoding.ids for encoding in encodings], np.int64)


class TextTower:
    """Encodes texts into the unit vectors of one space. Thread-safe."""

    def __init__(
        self, graph: Path | bytes, tokenizer: Tokenizer, settings: TowerSettings, space: Space, *, threads: int
    ) -> None:
        self.space = space
        self.settings = settings
        self.runtime = f"ONNX Runtime {ort.__version__}, CPU, {settings.precision}"
        self._session = open_session(graph, threads=threads, arena=False)
        self._tokens = TextTokenizer(tokenizer, settings)

    def encode(self, text: str) -> NDArray[np.float32]:
        """One text to a unit vector (D,)."""
        vector: NDArray[np.float32] = self.encode_all([text])[0]
        return vector

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts (N >= 1) to unit rows (N, D), in batches of texts of like length, so that padding is short."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = np.empty((len(texts), self.space.dimension), np.float32)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._session.run(None, {"tokens": self._tokens([texts[index] for index in batch])})[0]
        return vectors


def load_tower(entry: ModelEntry, resources: Resources) -> TextTower:
    """The text side of an installed dual encoder, built first where it is not in the cache.

    Raises ModelError: the model is not installed, is damaged (seen when it is built), or has no text side that can run.
    """
    return open_tower(obtain_tower(entry, resources), entry, resources)


def open_tower(built: Path, entry: ModelEntry, resources: Resources) -> TextTower:
    """The text side that lies in a folder of `obtain_tower`. Raises ModelError as `load_tower` does."""
    return TextTower(
        built / GRAPH,
        Tokenizer.from_file(str(built / TOKENIZER)),
        TowerSettings.read(built / SETTINGS),
        space_of(entry, Store(resources.models)),
        threads=resources.threads,
    )


def load_captions(entry: ModelEntry, resources: Resources) -> NDArray[np.float32]:
    """(M, D) the unit vectors of the background captions. Raises as `load_tower` does."""
    captions: NDArray[np.float32] = np.load(obtain_tower(entry, resources) / BACKGROUND, allow_pickle=False)
    return captions


def obtain_tower(entry: ModelEntry, resources: Resources) -> Path:
    """The folder with the built tower. Raises as `load_tower` does."""
    return ArtifactCache(resources.model_cache).obtain(
        tower_name(entry, resources), functools.partial(_build, entry, resources)
    )


def tower_name(entry: ModelEntry, resources: Resources) -> str:
    """A name that changes with all that a built tower depends on. Raises ModelError if the model is not installed."""
    manifest = Store(resources.models).manifest(entry)
    key = key_of(
        ort.__version__,
        importlib.metadata.version("transformers"),
        *(sha256_of(Path(__file__).with_name(module)) for module in _CODE),
        sha256_of(CAPTIONS),
        manifest.commit,
        *(file.sha256 for _, file in sorted(manifest.files.items())),
    )
    return f"text-{entry.name}-{key}"


def _build(entry: ModelEntry, resources: Resources, directory: Path) -> None:
    store = Store(resources.models)
    space = space_of(entry, store)
    folder = store.verified(entry)
    arguments = (str(folder), str(directory), str(space.dimension), str(resources.threads))
    run_build("indexer.models.text_build", arguments, f"text ({entry.name})")
