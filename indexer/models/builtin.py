"""The builtin profile: networks whose weights come as ordinary packages, so that nothing is downloaded.

The first load builds graphs into the model cache in a child process (about half a minute on two cores); later loads
verify and open them, without PyTorch. The service imports this module: it imports neither torch nor OpenCV by itself.
"""

from __future__ import annotations

import functools
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.models.artefacts import GRAPH, LABELS, PARITY, artefact_name
from indexer.models.child import run_build
from indexer.models.space import SPACE
from indexer.models.text import TextEncoder
from indexer.models.weights import CLASS_DESCRIPTIONS, EFFICIENTNET, MINILM, TOKENIZER, PackagedFile
from indexer.runtime.artifacts import ArtifactCache
from indexer.runtime.engines import ImageEngine, OnnxEngine

if TYPE_CHECKING:
    from indexer.models.concepts import ConceptModel

__all__ = ["SPACE", "ModelCard", "describe_models", "load_concept_model", "load_labels", "load_text_encoder"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One network or data file of the profile, as `status`, `doctor` and the documentation name it."""

    name: str
    task: str
    licence: str
    package: str
    version: str
    size: int
    """Bytes of the weights."""
    sha256: str


def describe_models() -> tuple[ModelCard, ...]:
    """What the builtin profile consists of. Opens no file."""
    return (
        _card("EfficientNet-Lite0", "what a photo shows (1,000 ImageNet classes)", "Apache-2.0", EFFICIENTNET),
        _card("all-MiniLM-L6-v2", "the meaning of a query and of the class texts", "Apache-2.0", MINILM),
        _card("ImageNet class texts", "names and descriptions of the classes", "MIT", CLASS_DESCRIPTIONS),
    )


def _card(name: str, task: str, licence: str, file: PackagedFile) -> ModelCard:
    return ModelCard(name, task, licence, file.package, file.version, file.size, file.sha256)


def load_concept_model(cache: Path, *, threads: int) -> ConceptModel:
    """The image side. Raises ModelError if weights are missing or altered, or the cache cannot be written.

    Runs on ONNX Runtime if its graph passed the parity gate when it was built, else on PyTorch.
    """
    from indexer.models.classes import tag_names  # noqa: PLC0415 - see the next line
    from indexer.models.concepts import ConceptModel  # noqa: PLC0415 - loads OpenCV, which the service does without

    labels = load_labels(cache, threads=threads)
    return ConceptModel(_image_engine(_obtain(cache, "image", threads), threads), labels, tag_names())


def load_labels(cache: Path, *, threads: int) -> NDArray[np.float32]:
    """(C, D) the unit vectors of the class texts: what the space surely knows. Raises as `load_concept_model` does."""
    labels: NDArray[np.float32] = np.load(_obtain(cache, "text", threads) / LABELS, allow_pickle=False)
    return labels


def load_text_encoder(cache: Path, *, threads: int) -> TextEncoder:
    """The query side. Raises ModelError as `load_concept_model` does; never imports torch into this process."""
    built = _obtain(cache, "text", threads)
    precision = json.loads((built / PARITY).read_bytes())["precision"]
    return TextEncoder(built / GRAPH, TOKENIZER.verified(), SPACE, threads=threads, precision=precision)


def _image_engine(built: Path, threads: int) -> ImageEngine:
    reason = json.loads((built / PARITY).read_bytes())["reason"]
    if reason is None:
        return OnnxEngine(built / GRAPH, threads=threads)
    from indexer.models.efficientnet_torch import TorchEngine  # noqa: PLC0415 - loads torch: only if it must serve

    logger.warning("ONNX Runtime is refused for the image network (%s); PyTorch serves, several times slower", reason)
    return TorchEngine(EFFICIENTNET.verified(), threads=threads)


def _obtain(cache: Path, what: str, threads: int) -> Path:
    return ArtifactCache(cache).obtain(artefact_name(what), functools.partial(_build_in_child, what, threads))


def _build_in_child(what: str, threads: int, directory: Path) -> None:
    run_build("indexer.models.build", (what, str(directory), str(threads)), what)
