"""Things in a photo: any object detector of transformers that is made like DETR, as a stage.

DETR (Carion et al., 2020), YOLOS (Fang et al., 2021), RT-DETR (Zhao et al., 2024; v2: Lv et al., 2024) and D-FINE (Peng
et al., 2024) answer with a fixed number of queries, each a box and its classes.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.boxes import class_probabilities, corners, things
from indexer.models.canvas import Canvas, canvas_of
from indexer.models.listing import ModelEntry, stage_revision
from indexer.models.pretrained import (
    CONFIG,
    class_names,
    code_version,
    installed_network,
    load_model,
    load_processor,
    read_settings,
)
from indexer.models.resources import Resources
from indexer.models.served import ServedNetwork
from indexer.models.store import Store
from indexer.records import Detection, RuntimeReport, Tag
from indexer.runtime.artifacts import key_of
from indexer.runtime.limits import BOXES, SCORES, Limits
from indexer.runtime.network import Arrays, NetworkRef, Photos, TensorSpec
from indexer.stage import Findings, View

if TYPE_CHECKING:
    import torch

SOURCE = "detector"
THRESHOLD = 0.5
_CODE = "1"
"""Of the code around the networks: a part of their fingerprint."""


@dataclass(frozen=True, slots=True)
class Head:
    """How an architecture is fed and read."""

    softmax: bool
    """Whether its classes exclude each other, with "nothing" as the last."""
    masked: bool
    """Whether it takes a mask of where the picture is: then the picture keeps its proportions (letter-box), and boxes
    are shares of the unmasked part. Else the picture is squashed to the square, and boxes are shares of both."""
    picks: bool = False
    """Whether it picks its queries by their score, which a rounding can change."""
    overlap: float | None = None
    """For non-maximum suppression; None: it needs none."""


HEADS: Mapping[str, Head] = {
    "d_fine": Head(softmax=False, masked=False, picks=True),
    "rt_detr": Head(softmax=False, masked=False, picks=True),
    "rt_detr_v2": Head(softmax=False, masked=False, picks=True),
    "detr": Head(softmax=True, masked=True),
    "yolos": Head(softmax=True, masked=False, overlap=0.7),
}
"""By `model_type`."""


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> DetectionStage:
    """The stage of an installed detector. `entry.options`: threshold (0 to 1), side (pixels of the input).

    Raises ModelError if it is not installed, was altered, or is no detector of a kind that is known.
    """
    ref = network_ref(entry, resources)
    network = DetectionNetwork(*ref.arguments)
    served = ServedNetwork(ref, stage=stage_name, model=entry.name, resources=resources)
    return DetectionStage(
        stage_name,
        revision=stage_revision(stage_name, entry, Store(resources.models), resources.config_folders),
        network=network,
        served=served,
        names=class_names(network.folder),
        threshold=float(entry.options.get("threshold", THRESHOLD)),
    )


def network_ref(entry: ModelEntry, resources: Resources) -> NetworkRef:
    """The network of an installed detector. Raises ModelError as `load` does."""
    side = str(entry.options.get("side", ""))
    return installed_network("indexer.models.detection:DetectionNetwork", entry, resources, side)


class DetectionNetwork:
    """A detector as a `Network`: pictures in, class logits (N, Q, C) and boxes (N, Q, 4) out."""

    outputs = ("logits", "pred_boxes")

    def __init__(self, model: str, folder: str, key: str, side: str) -> None:
        """`key` stands for the weights, `side` is in pixels or empty. Raises ModelError for an unknown architecture."""
        self.folder = Path(folder)
        self.head = _head_of(self.folder)
        self.limits: Limits = BOXES if self.head.picks else SCORES
        self.canvas: Canvas = canvas_of(self.folder, side=int(side) if side else None)
        self.name = f"{model}/boxes"
        self.fingerprint = key_of(key, _CODE, code_version(), repr(self.canvas))
        square = self.canvas.side
        pixels = TensorSpec("pixel_values", "float32", (3, square, square))
        mask = TensorSpec("pixel_mask", "int64", (square, square))
        self.inputs: tuple[TensorSpec, ...] = (pixels, mask) if self.head.masked else (pixels,)

    def load(self) -> torch.nn.Module:
        """The reference. Raises ModelError."""
        from indexer.models.task_modules import Boxes  # noqa: PLC0415 - loads torch

        model = load_model("AutoModelForObjectDetection", self.folder)
        _free_batch_axis(model)
        return Boxes(model).eval()

    def prepare(self, samples: Photos) -> Arrays:
        """Photos to a batch, as the pipeline does it."""
        return self.batch([self.one(photo) for photo in samples])

    def one(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """One photo (H, W, 3) on its canvas, and the height and width that it fills there."""
        if self.head.masked:
            return self.canvas.letterbox(pixels)
        return self.canvas.squash(pixels), (self.canvas.side, self.canvas.side)

    def batch(self, photos: Sequence[tuple[NDArray[np.float32], tuple[int, int]]]) -> Arrays:
        """Photos on their canvases to the network's inputs."""
        pixels = np.stack([tensor for tensor, _ in photos])
        if not self.head.masked:
            return (pixels,)
        mask = np.zeros((len(photos), self.canvas.side, self.canvas.side), np.int64)
        for row, (_, (height, width)) in zip(mask, photos, strict=True):
            row[:height, :width] = 1
        return pixels, mask

    def reference_inputs(self, samples: Photos) -> Arrays:
        """Photos to a batch by the processor that came with the model, told the fixed size. Raises ModelError."""
        square = {"height": self.canvas.side, "width": self.canvas.side}
        size: dict[str, Any] = {"size": square, "do_pad": False}
        if self.head.masked:
            largest = {"max_height": self.canvas.side, "max_width": self.canvas.side}
            size = {"size": largest, "do_pad": True, "pad_size": square}
        # Its own colour conversion would ask what a 3 by 3 picture's channels are; ours are always last.
        found = load_processor(self.folder)(
            images=list(samples), input_data_format="channels_last", return_tensors="np", **size
        )
        return tuple(np.asarray(found[spec.name], spec.dtype) for spec in self.inputs)

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        """For each class the evidence for it, and where: (N, 5C), the sum of p^2 over the queries, and of p^2 * box.

        A sum does not depend on the order of the queries. It also is continuous where the networks are not: those that
        pick their queries by score may take another for the last place, whose p^2 is next to nothing.
        """
        logits, boxes = (np.asarray(output, np.float32) for output in outputs)
        weights = class_probabilities(logits, softmax=self.head.softmax) ** 2
        places = np.einsum("nqc,nqk->nck", weights, boxes)
        rows = np.concatenate([weights.sum(axis=1), places.reshape(len(places), -1)], axis=1)
        return rows.astype(np.float32)


class DetectionStage:
    """Boxes of things, and their names with counts as tags; a `PhotoStage`."""

    def __init__(
        self,
        name: str,
        *,
        revision: int,
        network: DetectionNetwork,
        served: ServedNetwork,
        names: Mapping[int, str],
        threshold: float,
    ) -> None:
        self.name = name
        self.revision = revision
        self.short_side = network.canvas.side
        self._network = network
        self._served = served
        self._names = names
        self._threshold = threshold

    @property
    def report(self) -> RuntimeReport | None:
        """How the network runs now."""
        return self._served.report

    def prepare(self, view: View) -> tuple[NDArray[np.float32], tuple[int, int]]:
        """The photo on its canvas."""
        return self._network.one(view.pixels)

    def analyse(self, batch: Sequence[tuple[NDArray[np.float32], tuple[int, int]]]) -> list[Findings]:
        """Prepared photos to findings, in order."""
        logits, boxes = self._served(*self._network.batch(batch))
        head = self._network.head
        probabilities = class_probabilities(np.asarray(logits, np.float32), softmax=head.softmax)
        edges = corners(np.asarray(boxes, np.float32))
        found = (
            things(chances, places, self._names, threshold=self._threshold, overlap=head.overlap)
            for chances, places in zip(probabilities, edges, strict=True)
        )
        return [Findings(tags=counted(detections), detections=detections) for detections in found]

    def close(self) -> None:
        """End what is being built in the background."""
        self._served.close()


def counted(detections: Sequence[Detection]) -> tuple[Tag, ...]:
    """One tag for each kind of thing, as sure as the surest of them, with their number."""
    scores: dict[str, list[float]] = {}
    for detection in detections:
        scores.setdefault(detection.label, []).append(detection.score)
    return tuple(Tag(label, max(found), SOURCE, count=len(found)) for label, found in scores.items())


def _head_of(folder: Path) -> Head:
    architecture = str(read_settings(folder, CONFIG).get("model_type"))
    if architecture not in HEADS:
        raise ModelError(
            f'The model in {folder} is of the kind "{architecture}", which is no known detector.',
            f"Choose one of the kinds {', '.join(HEADS)}.",
        )
    return HEADS[architecture]


def _free_batch_axis(model: Any) -> None:
    """Let RT-DETR and D-FINE be traced with a batch axis of any length.

    They ask for the batch size by `len(tensor)`, which a tracer can only answer with a constant. In their module `len`
    is therefore taken from the shape, which stays symbolic.
    """
    import torch  # noqa: PLC0415 - the service must not load it

    def length(value: Any) -> Any:
        return value.shape[0] if isinstance(value, torch.Tensor) else builtins.len(value)

    vars(sys.modules[type(model).__module__])["len"] = length
