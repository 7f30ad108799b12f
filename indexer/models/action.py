"""What happens in a clip: VideoMAE (Tong et al., 2022) and TimeSformer (Bertasius et al., 2021) know a list of actions,
X-CLIP (Ni et al., 2022) judges any that are put in words. A stage of clips; `indexer.acting` decodes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.canvas import Canvas, canvas_of
from indexer.models.label_lists import label_lists
from indexer.models.listing import ModelEntry, stage_revision
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
from indexer.models.store import Store
from indexer.records import Event, RuntimeReport
from indexer.runtime.artifacts import key_of
from indexer.runtime.limits import SCORES
from indexer.runtime.network import Arrays, NetworkRef, Photos, TensorSpec

if TYPE_CHECKING:
    import torch

CLASSIFIERS = ("videomae", "timesformer")
BY_TEXTS = "xclip"
TOP = 5
THRESHOLD = 0.5
"""The probability from which an action is named: it is more probable than all others together."""
NOTHING = (
    "nothing happens",
    "an empty room",
    "a landscape",
    "a street with buildings",
    "an object on a table",
    "an animal resting",
    "a person standing still",
    "people standing around",
    "a text on a screen",
    "a dark, blurred picture",
)
"""What X-CLIP may choose instead of an action. It judges by a softmax, which always finds something."""
_WINDOW = 0.8
_CODE = "2"


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> ActionStage:
    """The stage of an installed model. `entry.options`: list (the list of labels that X-CLIP chooses from; the others
    know their own and take none), threshold (0 to 1).

    Raises ModelError if it is not installed, was altered, is of an unknown kind, or wants a list and gets none;
    ConfigError for a list that cannot be read.
    """
    ref = network_ref(entry, resources)
    network = ActionNetwork(*ref.arguments)
    return ActionStage(
        stage_name,
        revision=stage_revision(stage_name, entry, Store(resources.models), resources.config_folders),
        network=network,
        served=ServedNetwork(ref, stage=stage_name, model=entry.name, resources=resources),
        threshold=float(entry.options.get("threshold", THRESHOLD)),
    )


def network_ref(entry: ModelEntry, resources: Resources) -> NetworkRef:
    """The network of an installed model. Raises ModelError and ConfigError as `load` does."""
    name = entry.options.get("list")
    actions = () if name is None else actions_of(str(name), resources.config_folders)
    return installed_network("indexer.models.action:ActionNetwork", entry, resources, *actions)


class ActionNetwork:
    """A `Network`: clips (N, T, 3, S, S) in, logits (N, C) out; of X-CLIP, those of the actions and of `NOTHING`."""

    inputs: tuple[TensorSpec, ...]
    outputs = ("logits",)
    limits = SCORES

    def __init__(self, model: str, folder: str, key: str, *actions: str) -> None:
        """`key` stands for the weights; `actions` are for X-CLIP alone. Raises ModelError as `load` does."""
        self.folder = Path(folder)
        config = read_settings(self.folder, CONFIG)
        kind = str(config.get("model_type"))
        if kind not in (*CLASSIFIERS, BY_TEXTS):
            raise ModelError(
                f'The model in {folder} is of the kind "{kind}", which names no actions.',
                f"Choose one of the kinds {', '.join((*CLASSIFIERS, BY_TEXTS))}.",
            )
        self._texts = (*actions, *NOTHING) if kind == BY_TEXTS else ()
        if bool(self._texts) != bool(actions):
            raise ModelError(
                f"The model {model} {'chooses from' if self._texts else 'does not take'} a list of actions.",
                f"In models.yaml, {'add to' if self._texts else 'take from'} its options the `list`"
                f"{', as in `list: activities`' if self._texts else ': it knows its own'}.",
            )
        vision = config.get("vision_config", {}) if self._texts else config
        self.frames = int(vision.get("num_frames", 16 if kind == "videomae" else 8))
        self.canvas: Canvas = canvas_of(self.folder)
        self.names: Mapping[int, str] = dict(enumerate(actions)) if actions else class_names(self.folder)
        self.name = f"{model}/actions"
        self.fingerprint = key_of(key, _CODE, code_version(), repr(self.canvas), str(self.frames), *self._texts)
        side = self.canvas.side
        self.inputs = (TensorSpec("pixel_values", "float32", (self.frames, 3, side, side)),)

    def load(self) -> torch.nn.Module:
        """The reference. Raises ModelError."""
        from indexer.models.task_modules import Actions, ClipsAndTexts  # noqa: PLC0415 - loads torch

        if not self._texts:
            return Actions(load_model("AutoModelForVideoClassification", self.folder)).eval()
        texts = load_tokenizer(self.folder)(list(self._texts), padding=True, return_tensors="pt")
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


class ActionStage:
    """Names what happens in clips; a `ClipStage`."""

    def __init__(
        self, name: str, *, revision: int, network: ActionNetwork, served: ServedNetwork, threshold: float
    ) -> None:
        self.name = name
        self.revision = revision
        self.frames = network.frames
        self._network = network
        self._served = served
        self._threshold = threshold

    @property
    def report(self) -> RuntimeReport | None:
        """How the network runs now."""
        return self._served.report

    def prepare_clip(self, clip: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A clip (F, H, W, 3) to (T, 3, S, S). T frames are taken evenly from the F; if F is less, some twice."""
        return self._network.one(clip)

    def recognise(self, clips: Sequence[NDArray[np.float32]]) -> list[tuple[Event, ...]]:
        """Prepared clips to the actions in each that are sure enough, five at most."""
        (logits,) = self._served(np.stack(clips))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return [self._sure(row) for row in shifted / shifted.sum(axis=1, keepdims=True)]

    def close(self) -> None:
        """End what is being built in the background."""
        self._served.close()

    def _sure(self, probabilities: NDArray[np.float32]) -> tuple[Event, ...]:
        names = self._network.names
        order = [int(index) for index in np.argsort(-probabilities, kind="stable") if int(index) in names]
        return tuple(
            Event("action", names[index].lower(), 0.0, 0.0, min(1.0, float(probabilities[index])))
            for index in order[:TOP]
            if probabilities[index] >= self._threshold
        )


def actions_of(name: str, config_folders: Sequence[Path]) -> tuple[str, ...]:
    """The labels of a list. Raises ModelError if there is none of that name or it is empty, ConfigError if it cannot
    be read."""
    lists = label_lists(config_folders)
    if not (actions := lists.get(name, ())):
        raise ModelError(
            f'A model of actions is to choose from the list "{name}", which is empty or missing.',
            f"Write labels/{name}.txt in your folder of settings, one action a line, or name one of these as the "
            f"`list` in the options of the model: {', '.join(sorted(lists))}.",
        )
    return actions


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
