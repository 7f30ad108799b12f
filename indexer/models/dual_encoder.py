"""The image side of a dual encoder (CLIP, SigLIP, SigLIP 2) as a stage: photos to vectors that texts compare with."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.listing import ModelEntry, space_of, stage_revision
from indexer.models.preprocess import ImageTransform, read_transform
from indexer.models.pretrained import load_processor
from indexer.models.resources import Resources
from indexer.models.served import ServedNetwork
from indexer.models.store import Store, read_manifest
from indexer.records import Embedding, RuntimeReport, Space
from indexer.runtime.artifacts import key_of, sha256_of
from indexer.runtime.limits import EMBEDDINGS
from indexer.runtime.network import Arrays, NetworkRef, Photos, TensorSpec
from indexer.stage import Findings, View

if TYPE_CHECKING:
    import torch

_CODE = ("dual_encoder.py", "image_tower.py", "preprocess.py")


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> EmbeddingStage:
    """The stage "embedding:MODEL". Raises ModelError: not installed, damaged, or nothing can run it."""
    store = Store(resources.models)
    folder = store.verified(entry)
    ref = _ref(folder)
    network = image_network(str(folder))
    served = ServedNetwork(ref, stage=stage_name, model=entry.name, resources=resources)
    space = space_of(entry, store)
    probe = served(*network.prepare([np.zeros((1, 1, 3), np.uint8)]))[0]
    if probe.shape != (1, space.dimension):
        served.close()
        raise ModelError(
            f"The vectors of {entry.name} have {probe.shape[-1]} values, but its entry in the list of models says "
            f"{space.dimension}.",
            "Correct `dimension` in the entry.",
        )
    revision = stage_revision(stage_name, entry, store, resources.config_folders)
    return EmbeddingStage(stage_name, revision=revision, space=space, transform=network.transform, served=served)


def network_ref(entry: ModelEntry, resources: Resources) -> NetworkRef:
    """The image side of an installed model, to be judged by itself. Raises ModelError as `load` does."""
    return _ref(Store(resources.models).verified(entry))


def _ref(folder: Path) -> NetworkRef:
    return NetworkRef("indexer.models.dual_encoder:image_network", (str(folder),))


def image_network(folder: str) -> ImageNetwork:
    """The image side of the model in an installed model's folder, as the runtimes see it."""
    return ImageNetwork(Path(folder))


class EmbeddingStage:
    """Photos to vectors, as a `PhotoStage`."""

    def __init__(
        self,
        name: str,
        *,
        revision: int,
        space: Space,
        transform: ImageTransform,
        served: ServedNetwork,
    ) -> None:
        self.name = name
        self.revision = revision
        self.space = space
        self.short_side = transform.short_side
        self._transform = transform
        self._served = served

    @property
    def report(self) -> RuntimeReport | None:
        """How the network runs now."""
        return self._served.report

    def prepare(self, view: View) -> NDArray[np.float32]:
        """The network's view of a photo, (3, H, W)."""
        return self._transform.apply(view.pixels)

    def analyse(self, batch: Sequence[NDArray[np.float32]]) -> list[Findings]:
        """Prepared photos to findings, in order."""
        vectors = self._served(np.stack(batch))[0].astype(np.float32)
        # A vector that is all zero goes on as it is: its photo alone is then refused.
        with np.errstate(invalid="ignore", divide="ignore"):
            units = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f2")
        return [Findings(embedding=Embedding(self.space, unit.tobytes())) for unit in units]

    def close(self) -> None:
        """End what is being built in the background."""
        self._served.close()


class ImageNetwork:
    """The image tower, its projection and the normalisation (`indexer.runtime.network.Network`)."""

    outputs: tuple[str, ...] = ("image_vectors",)
    # Not "embedding": the exporter names nodes after the model's layers, and CLIP's and SigLIP's have one of that name.
    limits = EMBEDDINGS

    def __init__(self, folder: Path) -> None:
        """`folder` is an installed model's. Raises ModelError if its settings or its manifest cannot be read."""
        manifest = read_manifest(folder)
        if manifest is None:
            raise ModelError(f"{folder} holds no installed model.", f"`reverie models pull {folder.name}` installs it.")
        self._folder = folder
        self.transform = read_transform(folder)
        self.name = f"{folder.name}/image"
        self.fingerprint = key_of(
            importlib.metadata.version("transformers"),
            *(sha256_of(Path(__file__).with_name(module)) for module in _CODE),
            manifest.commit,
            *(file.sha256 for _, file in sorted(manifest.files.items())),
        )
        self.inputs: tuple[TensorSpec, ...] = (
            TensorSpec("pixel_values", "float32", (3, self.transform.height, self.transform.width)),
        )

    def load(self) -> torch.nn.Module:
        """The reference. Raises ModelError."""
        from indexer.models.image_tower import ImageTower, read_model  # noqa: PLC0415 - loads torch and transformers

        return ImageTower(read_model(self._folder)).eval()

    def prepare(self, samples: Photos) -> Arrays:
        """Photos to a batch, the way the stage does it."""
        return (np.stack([self.transform.apply(sample) for sample in samples]),)

    def reference_inputs(self, samples: Photos) -> Arrays:
        """Photos to a batch, by the image processor that came with the model."""
        processor = load_processor(self._folder)
        batch = processor(list(samples), return_tensors="np", input_data_format="channels_last")
        return (np.asarray(batch["pixel_values"], np.float32),)

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        """The vectors."""
        return outputs[0].astype(np.float32)
