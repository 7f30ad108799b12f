"""Speech where CTranslate2 counts a card that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
import pytest

from indexer.models import speech_device
from indexer.models.resources import Resources
from indexer.models.speech import FasterWhisper, builtin_folder
from indexer.stage import Stretch

NO_CUBLAS = "Library libcublas.so.12 is not found or cannot be loaded"
NO_CODE = "CUDA failed with error no kernel image is available for execution on the device"
REAL: Any = faster_whisper.WhisperModel


def resources() -> Resources:
    nowhere = Path("/nonexistent")
    return Resources(models=nowhere, model_cache=nowhere, config_folders=(), thumbnails=nowhere, threads=1)


def pretend_card(monkeypatch: pytest.MonkeyPatch, encodes: int, types: set[str], failure: str = NO_CUBLAS) -> list[str]:
    """One card that supports `types` and fails after so many encodings; gives the compute types asked for."""
    asked: list[str] = []

    class Model(REAL):  # type: ignore[misc]
        def __init__(self, folder: str, *, device: str, compute_type: str, **options: Any) -> None:
            self._left = encodes if device == "cuda" else None
            options.pop("device_index", None)
            asked.append(f"{device} {compute_type}")
            super().__init__(folder, device="cpu", compute_type="int8", **options)

        def encode(self, features: Any) -> Any:
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    raise RuntimeError(failure)
            return super().encode(features)

    monkeypatch.setattr(faster_whisper, "WhisperModel", Model)
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda *_: types)
    monkeypatch.setattr(speech_device, "cublas_files", list)
    return asked


def test_a_card_without_its_libraries_is_left_for_the_cpu_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_card(monkeypatch, 0, {"float16", "float32"})
    engine = FasterWhisper(builtin_folder(), resources())
    engine.hear(np.zeros(16000, np.float32), [Stretch(0, 16000)])
    [refused] = engine.refused
    assert (engine.device, engine.precision) == ("CPU", "int8")
    assert NO_CUBLAS in refused.reason
    assert refused.remedy == "pip install nvidia-cublas-cu12"


def test_a_card_that_fails_later_costs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_card(monkeypatch, 1, {"float16", "float32"})
    engine = FasterWhisper(builtin_folder(), resources())
    assert (engine.device, engine.precision) == ("CUDA", "fp16")
    engine.hear(np.zeros(16000, np.float32), [Stretch(0, 16000)])
    assert engine.device == "CPU"
    assert NO_CUBLAS in engine.refused[0].reason


def test_a_card_without_half_precision_takes_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend_card(monkeypatch, 1, {"int8", "float32"})
    assert FasterWhisper(builtin_folder(), resources()).device == "CUDA"
    assert asked == ["cuda int8"]


@pytest.mark.parametrize("encodes", [0, 1], ids=["at the trial", "later"])
@pytest.mark.parametrize("failure", [NO_CODE, "CUDA failed with error out of memory", "CUBLAS_STATUS_NOT_SUPPORTED"])
def test_whatever_a_card_says_speech_goes_on_and_its_own_words_are_told(
    monkeypatch: pytest.MonkeyPatch, failure: str, encodes: int
) -> None:
    pretend_card(monkeypatch, encodes, {"float32"}, failure)
    engine = FasterWhisper(builtin_folder(), resources())
    engine.hear(np.zeros(16000, np.float32), [Stretch(0, 16000)])
    assert (engine.device, engine.precision) == ("CPU", "int8")
    assert engine.refused[0].reason == f"speech runs on the CPU, as the card failed: {failure}"
