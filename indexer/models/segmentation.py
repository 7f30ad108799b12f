"""How much of a photo is sky, water, grass, and its subject: SegFormer (Xie et al., 2021) and its like, as a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.models.canvas import Canvas, canvas_of
from indexer.models.cut_out import encode_cut_out, shrunk, subject_of, things_of
from indexer.models.listing import ModelEntry, stage_revision
from indexer.models.pretrained import class_names, code_version, installed_network, load_model, load_processor
from indexer.models.resources import Resources
from indexer.models.served import ServedNetwork
from indexer.models.store import Store
from indexer.records import RuntimeReport, Tag
from indexer.runtime.artifacts import key_of
from indexer.runtime.limits import SCORES
from indexer.runtime.network import Arrays, NetworkRef, Photos, TensorSpec
from indexer.stage import Findings, View

if TYPE_CHECKING:
    import torch

SOURCE = "area"
SMALLEST_SHARE = 0.05
"""Of the picture. Below it an area is rather a thing, or a mistake."""
_CODE = "2"


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> SegmentationStage:
    """The stage of an installed model. `entry.options`: share (the smallest area that becomes a tag, 0 to 1), side.

    Raises ModelError if it is not installed, was altered or will not load.
    """
    ref = network_ref(entry, resources)
    network = SegmentationNetwork(*ref.arguments)
    return SegmentationStage(
        stage_name,
        revision=stage_revision(stage_name, entry, Store(resources.models), resources.config_folders),
        network=network,
        served=ServedNetwork(ref, stage=stage_name, model=entry.name, resources=resources),
        names=class_names(network.folder),
        smallest_share=float(entry.options.get("share", SMALLEST_SHARE)),
    )


def network_ref(entry: ModelEntry, resources: Resources) -> NetworkRef:
    """The network of an installed model. Raises ModelError as `load` does."""
    side = str(entry.options.get("side", ""))
    return installed_network("indexer.models.segmentation:SegmentationNetwork", entry, resources, side)


class SegmentationNetwork:
    """A `Network`: squashed pictures in; out, for each class, its share of the area and its mean probability (N, C);
    and the map of classes (N, h, w) int32, as coarse as the network makes it."""

    inputs: tuple[TensorSpec, ...]
    outputs = ("areas", "evidence", "classes")
    limits = SCORES

    def __init__(self, model: str, folder: str, key: str, side: str) -> None:
        """`key` stands for the weights, `side` is in pixels or empty."""
        self.folder = Path(folder)
        self.canvas: Canvas = canvas_of(self.folder, side=int(side) if side else None)
        self.name = f"{model}/areas"
        self.fingerprint = key_of(key, _CODE, code_version(), repr(self.canvas))
        self.inputs = (TensorSpec("pixel_values", "float32", (3, self.canvas.side, self.canvas.side)),)

    def load(self) -> torch.nn.Module:
        """The reference. Raises ModelError."""
        from indexer.models.task_modules import Areas  # noqa: PLC0415 - loads torch

        return Areas(load_model("AutoModelForSemanticSegmentation", self.folder)).eval()

    def prepare(self, samples: Photos) -> Arrays:
        """Photos to a batch, as the pipeline does it."""
        return (np.stack([self.canvas.squash(photo) for photo in samples]),)

    def reference_inputs(self, samples: Photos) -> Arrays:
        """Photos to a batch by the processor that came with the model. Raises ModelError."""
        square = {"height": self.canvas.side, "width": self.canvas.side}
        found = load_processor(self.folder)(
            images=list(samples), size=square, input_data_format="channels_last", return_tensors="np"
        )
        return (np.asarray(found["pixel_values"], np.float32),)

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        """Areas and evidence in a row: areas change by leaps, the mean probability does not. The map is what the areas
        are summed up from."""
        return np.concatenate(outputs[:2], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One photo on its way through a `SegmentationStage`."""

    tensor: NDArray[np.float32]
    """(3, S, S), squashed."""
    picture: NDArray[np.uint8]
    """(H, W, 3), small, in its own proportions: what a cut-out is cut from."""


class SegmentationStage:
    """Areas as tags, their share of the picture as the confidence, and the subject cut out; a `PhotoStage`."""

    def __init__(
        self,
        name: str,
        *,
        revision: int,
        network: SegmentationNetwork,
        served: ServedNetwork,
        names: Mapping[int, str],
        smallest_share: float,
    ) -> None:
        self.name = name
        self.revision = revision
        self.short_side = network.canvas.side
        self._canvas = network.canvas
        self._served = served
        self._names = names
        self._things = things_of(names)
        self._smallest_share = smallest_share

    @property
    def report(self) -> RuntimeReport | None:
        """How the network runs now."""
        return self._served.report

    def prepare(self, view: View) -> Prepared:
        """The photo as a tensor, and as a small picture."""
        return Prepared(self._canvas.squash(view.pixels), shrunk(view.pixels))

    def analyse(self, batch: Sequence[Prepared]) -> list[Findings]:
        """Prepared photos to findings, in order."""
        areas, _, classes = self._served(np.stack([one.tensor for one in batch]))
        return [
            Findings(tags=self._tags(np.asarray(shares, np.float32)), cut_out=self._cut_out(one.picture, numbers))
            for one, shares, numbers in zip(batch, areas, classes, strict=True)
        ]

    def close(self) -> None:
        """End what is being built in the background."""
        self._served.close()

    def _cut_out(self, picture: NDArray[np.uint8], classes: NDArray[np.generic]) -> bytes | None:
        subject = subject_of(classes.astype(np.int32), self._things)
        return None if subject is None else encode_cut_out(picture, subject)

    def _tags(self, shares: NDArray[np.float32]) -> tuple[Tag, ...]:
        order = np.argsort(-shares, kind="stable")
        large = [int(number) for number in order if shares[number] >= self._smallest_share]
        return tuple(
            Tag(self._names[number], round(float(shares[number]), 4), SOURCE)
            for number in large
            if number in self._names
        )
