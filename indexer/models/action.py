"""What happens in a clip: VideoMAE (Tong et al., 2022) and TimeSformer (Bertasius et al., 2021) know a list of actions,
X-CLIP (Ni et al., 2022) judges any that are put in words.

Frames come in decoded; no video is opened here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.canvas import Canvas, canvas_of
from indexer.models.listing import ModelEntry
from indexer.models.pretrained import (
    CONFIG,
    class_names,
    code_version,
    installed_network,
    load_model,
    load_processor,
    load_tokenizer,
    read_settings,
)
from indexer.models.resources import Resources
from indexer.models.served import ServedNetwork
from indexer.records import RuntimeReport
from indexer.runtime.artifacts import key_of
from indexer.runtime.network import Arrays, NetworkRef, Photos, TensorSpec
from indexer.runtime.parity import REDUCED_PRECISION, SAME_PRECISION

if TYPE_CHECKING:
    import torch

CLASSIFIERS = ("videomae", "timesformer")
BY_TEXTS = "xclip"
TOP = 5
_WINDOW = 0.8
_CODE = "1"


@dataclass(frozen=True, slots=True)
class Label:
    """An action, and how sure the network is of it."""

    name: str
    """Lower case: "playing guitar"."""
    score: float
    """0 to 1; over all actions of the network they add up to 1."""


def load(entry: ModelEntry, resources: Resources, *, actions: Sequence[str] = ()) -> ActionModel:
    """An installed model. `actions` are what X-CLIP chooses from; the others know their own and are given none.

    Raises ModelError if it is not installed, was altered, is of an unknown kind, or wants actions and gets none.
    """
    ref = network_ref(entry, resources, actions=actions)
    served = ServedNetwork(ref, stage=f"action:{entry.name}", model=entry.name, resources=resources)
    return ActionModel(ActionNetwork(*ref.arguments), served)


def network_ref(entry: ModelEntry, resources: Resources, *, actions: Sequence[str] = ()) -> NetworkRef:
    """The network of an installed model. Raises ModelError as `load` does."""
    return installed_network("indexer.models.action:ActionNetwork", entry, resources, *actions)


class ActionNetwork:
    """A `Network`: clips (N, T, 3, S, S) in, logits of the actions (N, C) out."""

    inputs: tuple[TensorSpec, ...]
    outputs = ("logits",)
    same_precision = SAME_PRECISION
    reduced_precision = REDUCED_PRECISION

    def __init__(self, model: str, folder: str, key: str, *actions: str) -> None:
        """`key` stands for the weights. Raises ModelError as `load` does."""
        self.folder = Path(folder)
        config = read_settings(self.folder, CONFIG)
        kind = str(config.get("model_type"))
        if kind not in (*CLASSIFIERS, BY_TEXTS):
            raise ModelError(
                f'The model in {folder} is of the kind "{kind}", which names no actions.',
                f"Choose one of the kinds {', '.join((*CLASSIFIERS, BY_TEXTS))}.",
            )
        self._by_texts = kind == BY_TEXTS
        if self._by_texts != bool(actions):
            raise ModelError(
                f"The model {model} {'chooses from' if self._by_texts else 'does not take'} a list of actions.",
                "Give it one." if self._by_texts else "Give it none: it knows its own.",
            )
        vision = config.get("vision_config", {}) if self._by_texts else config
        self.frames = int(vision.get("num_frames", 16 if kind == "videomae" else 8))
        self.canvas: Canvas = canvas_of(self.folder)
        self.names: Mapping[int, str] = dict(enumerate(actions)) if actions else class_names(self.folder)
        self.name = f"{model}/actions"
        self.fingerprint = key_of(key, _CODE, code_version(), repr(self.canvas), str(self.frames), *actions)
        side = self.canvas.side
        self.inputs = (TensorSpec("pixel_values", "float32", (self.frames, 3, side, side)),)

    def load(self) -> torch.nn.Module:
        """The reference. Raises ModelError."""
        from indexer.models.task_modules import Actions, ClipsAndTexts  # noqa: PLC0415 - loads torch

        if not self._by_texts:
            return Actions(load_model("AutoModelForVideoClassification", self.folder)).eval()
        texts = load_tokenizer(self.folder)(list(self.names.values()), padding=True, return_tensors="pt")
        model = load_model("AutoModel", self.folder)
        return ClipsAndTexts(model, texts["input_ids"], texts["attention_mask"]).eval()

    def one(self, clip: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One clip (F, H, W, 3) to (T, 3, S, S)."""
        return np.stack([self.canvas.centre(frame) for frame in clip[evenly(len(clip), self.frames)]])

    def prepare(self, samples: Photos) -> Arrays:
        """Photos to a batch of clips, as `one` does it."""
        return (np.stack([self.one(moved(photo, self.frames)) for photo in samples]),)

    def reference_inputs(self, samples: Photos) -> Arrays:
        """Photos to a batch of clips by the processor that came with the model. Raises ModelError."""
        clips = [list(moved(photo, self.frames)) for photo in samples]
        processor = load_processor(self.folder)
        tensors = [processor(clip, input_data_format="channels_last", return_tensors="np") for clip in clips]
        return (np.concatenate([np.asarray(found["pixel_values"], np.float32) for found in tensors]),)

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        """The logits."""
        return np.asarray(outputs[0], np.float32)


class ActionModel:
    """Names what happens in clips."""

    def __init__(self, network: ActionNetwork, served: ServedNetwork) -> None:
        self._network = network
        self._served = served

    @property
    def report(self) -> RuntimeReport:
        """How the network runs now."""
        return self._served.report

    def prepare(self, clip: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A clip (F, H, W, 3) sRGB, F >= 1, to what `recognise` takes (T, 3, S, S). From any thread.

        The T frames are taken evenly from the F; where F is smaller, some are taken twice.
        """
        return self._network.one(clip)

    def recognise(self, clips: Sequence[NDArray[np.float32]]) -> list[tuple[Label, ...]]:
        """Prepared clips to their five most probable actions, in order. From one thread."""
        (logits,) = self._served(np.stack(clips))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return [self._best(row) for row in shifted / shifted.sum(axis=1, keepdims=True)]

    def close(self) -> None:
        """End what is being built in the background."""
        self._served.close()

    def _best(self, probabilities: NDArray[np.float32]) -> tuple[Label, ...]:
        order = np.argsort(-probabilities, kind="stable")[:TOP]
        names = self._network.names
        return tuple(Label(names[int(index)], float(probabilities[index])) for index in order if int(index) in names)


def evenly(count: int, wanted: int) -> NDArray[np.intp]:
    """Which of `count` frames to take: the middle ones of `wanted` equal parts."""
    return ((np.arange(wanted) + 0.5) * count / wanted).astype(np.intp)


def moved(photo: NDArray[np.uint8], frames: int) -> NDArray[np.uint8]:
    """A clip (T, H, W, 3) out of a photo: a window that moves over it, for the parity gate has photos only."""
    height, width = photo.shape[:2]
    tall, wide = max(1, int(height * _WINDOW)), max(1, int(width * _WINDOW))
    shares = np.linspace(0, 1, frames)
    corners = [(int((height - tall) * share), int((width - wide) * share)) for share in shares]
    return np.stack([photo[top : top + tall, left : left + wide] for top, left in corners])
