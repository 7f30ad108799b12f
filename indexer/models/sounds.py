"""Which sounds are heard, as a stage: the Audio Spectrogram Transformer (Gong et al., 2021), with AudioSet's labels.

It hears ten seconds at once, so its labels have spans of ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.listing import ModelEntry, stage_revision
from indexer.models.pretrained import (
    CONFIG,
    class_names,
    code_version,
    installed_network,
    load_feature_extractor,
    load_model,
    read_settings,
)
from indexer.models.resources import Resources
from indexer.models.served import ServedNetwork
from indexer.models.sound import KIND
from indexer.models.store import Store
from indexer.models.voice import RATE
from indexer.records import Event, RuntimeReport
from indexer.runtime.artifacts import key_of
from indexer.runtime.limits import SCORES
from indexer.runtime.network import Arrays, NetworkRef, Photos, TensorSpec
from indexer.stage import Heard, Stretch

if TYPE_CHECKING:
    import torch

KNOWN = ("audio-spectrogram-transformer",)
PROCESSOR = "preprocessor_config.json"
THRESHOLD = 0.3
"""How probable a label must be."""
SHORTEST = 1.0
"""Seconds; less is left out at the end of a longer sound."""
_CODE = "1"

_FRAME, _HOP, _BINS = 400, 160, 512
"""Samples: 25 ms, every 10 ms; and those of the Fourier transform."""
_LOWEST = 20.0
"""Hertz."""
_PREEMPHASIS = 0.97
_FLOOR = 1.192092955078125e-07
"""The smallest step of a 32-bit number above 1: what Kaldi takes the logarithm of where nothing is."""


@dataclass(frozen=True, slots=True)
class SpectrumSettings:
    """How a model's spectra are made, from its `preprocessor_config.json`."""

    frames: int
    bands: int
    mean: float
    deviation: float
    """The mean is taken off, and the rest divided by twice the deviation. 0 and 0.5 leave spectra as they are."""


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> SoundsStage:
    """The stage of an installed model. `entry.options`: threshold (how probable a label must be, 0 to 1).

    Raises ModelError if it is not installed, was altered, is of an unknown kind or will not load.
    """
    ref = network_ref(entry, resources)
    network = SoundsNetwork(*ref.arguments)
    return SoundsStage(
        stage_name,
        revision=stage_revision(stage_name, entry, Store(resources.models), resources.config_folders),
        network=network,
        served=ServedNetwork(ref, stage=stage_name, model=entry.name, resources=resources),
        names=class_names(network.folder),
        threshold=float(entry.options.get("threshold", THRESHOLD)),
    )


def network_ref(entry: ModelEntry, resources: Resources) -> NetworkRef:
    """The network of an installed model. Raises ModelError as `load` does."""
    return installed_network("indexer.models.sounds:SoundsNetwork", entry, resources)


class SoundsNetwork:
    """A `Network`: spectra (N, T, F) in, logits of the labels (N, C) out."""

    inputs: tuple[TensorSpec, ...]
    outputs = ("logits",)
    limits = SCORES

    def __init__(self, model: str, folder: str, key: str) -> None:
        """`key` stands for the weights. Raises ModelError as `load` does."""
        self.folder = Path(folder)
        kind = str(read_settings(self.folder, CONFIG).get("model_type"))
        if kind not in KNOWN:
            raise ModelError(
                f'The model in {folder} is of the kind "{kind}", which names no sounds.',
                f"Choose one of the kinds {', '.join(KNOWN)}.",
            )
        self.settings = settings_of(self.folder)
        self.name = f"{model}/sounds"
        self.fingerprint = key_of(key, _CODE, code_version(), repr(self.settings))
        self.inputs = (TensorSpec("input_values", "float32", (self.settings.frames, self.settings.bands)),)

    @property
    def window(self) -> int:
        """Samples that are heard at once: whole seconds."""
        return max(1, self.settings.frames * _HOP // RATE) * RATE

    def load(self) -> torch.nn.Module:
        """The reference. Raises ModelError."""
        from indexer.models.task_modules import Sounds  # noqa: PLC0415 - loads torch

        return Sounds(load_model("AutoModelForAudioClassification", self.folder)).eval()

    def prepare(self, samples: Photos) -> Arrays:
        """Photos to a batch of spectra, as the stage makes them."""
        return (np.stack([spectrum(unrolled(photo, self.window), self.settings) for photo in samples]),)

    def reference_inputs(self, samples: Photos) -> Arrays:
        """Photos to a batch of spectra by the feature extractor that came with the model. Raises ModelError."""
        sounds = [unrolled(photo, self.window) for photo in samples]
        found = load_feature_extractor(self.folder)(sounds, sampling_rate=RATE, return_tensors="np")
        return (np.asarray(found["input_values"], np.float32),)

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        """The logits."""
        return np.asarray(outputs[0], np.float32)


class SoundsStage:
    """The sounds of each ten seconds as events, as a `SoundStage`."""

    def __init__(
        self,
        name: str,
        *,
        revision: int,
        network: SoundsNetwork,
        served: ServedNetwork,
        names: Mapping[int, str],
        threshold: float,
    ) -> None:
        self.name = name
        self.revision = revision
        self._network = network
        self._served = served
        self._names = names
        self._threshold = threshold

    @property
    def report(self) -> RuntimeReport | None:
        """How the network runs now."""
        return self._served.report

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        """Events in order of their start, in each ten seconds the surest first. Without any where nothing is heard."""
        del speech
        parts = [part for part in self._parts(len(sound)) if sound[part.start : part.end].any()]
        if not parts:
            return Heard()
        settings = self._network.settings
        (logits,) = self._served(np.stack([spectrum(sound[one.start : one.end], settings) for one in parts]))
        return Heard(
            events=tuple(
                event
                for part, row in zip(parts, np.asarray(logits, np.float64), strict=True)
                for event in self._events(part, 1 / (1 + np.exp(-row)))
            )
        )

    def close(self) -> None:
        """End what is being built in the background."""
        self._served.close()

    def _parts(self, samples: int) -> list[Stretch]:
        window = self._network.window
        parts = [Stretch(start, min(start + window, samples)) for start in range(0, samples, window)]
        return [part for part in parts if part.start == 0 or part.end - part.start >= SHORTEST * RATE]

    def _events(self, part: Stretch, probabilities: NDArray[np.float64]) -> list[Event]:
        order = [int(number) for number in np.argsort(-probabilities, kind="stable")]
        return [
            Event(KIND, self._names[number], part.start / RATE, part.end / RATE, float(probabilities[number]))
            for number in order
            if probabilities[number] >= self._threshold and number in self._names
        ]


def settings_of(folder: Path) -> SpectrumSettings:
    """Raises ModelError for spectra of another kind than AST's."""
    found: Mapping[str, Any] = read_settings(folder, PROCESSOR)
    if found.get("feature_extractor_type") != "ASTFeatureExtractor" or found.get("sampling_rate", RATE) != RATE:
        raise ModelError(
            f"{folder / PROCESSOR} asks for spectra that Reverie does not make.", "Choose another model for sounds."
        )
    normal = bool(found.get("do_normalize", True))
    return SpectrumSettings(
        frames=int(found.get("max_length", 1024)),
        bands=int(found.get("num_mel_bins", 128)),
        mean=float(found.get("mean", -4.2677393)) if normal else 0.0,
        deviation=float(found.get("std", 4.5689974)) if normal else 0.5,
    )


def spectrum(sound: NDArray[np.float32], settings: SpectrumSettings) -> NDArray[np.float32]:
    """A sound (N,) of 16 kHz to its log mel spectrum (T, F) as Kaldi makes it, normalised; its rest is zeros."""
    padded = np.pad(sound, (0, max(0, _FRAME - len(sound)))).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][: settings.frames]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft((frames - _PREEMPHASIS * before) * np.hanning(_FRAME), _BINS)) ** 2
    levels = np.zeros((settings.frames, settings.bands))
    levels[: len(frames)] = np.log(np.maximum(power @ _mel(settings.bands), _FLOOR))
    return ((levels - settings.mean) / (2 * settings.deviation)).astype(np.float32)


def _mel(bands: int) -> NDArray[np.float64]:
    """(257, F) triangles, evenly spaced on the mel scale (1127 ln(1 + f / 700), O'Shaughnessy 1987)."""

    def mel(hertz: Any) -> Any:
        return 1127 * np.log(1 + hertz / 700)

    corners = np.linspace(mel(_LOWEST), mel(RATE / 2), bands + 2)
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    points = mel(np.linspace(0, RATE / 2, _BINS // 2 + 1))[:, None]
    triangles: NDArray[np.float64] = np.minimum((points - left) / (centre - left), (right - points) / (right - centre))
    return np.maximum(triangles, 0)


def unrolled(photo: NDArray[np.uint8], samples: int) -> NDArray[np.float32]:
    """A sound (N,) out of a photo, row after row, over and over: the parity gate has photos only."""
    light = photo.astype(np.float32).mean(axis=2).reshape(-1) / 127.5 - 1
    return np.resize(light, samples).astype(np.float32)
