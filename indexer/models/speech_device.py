"""Where CTranslate2 runs Whisper: on the card if one encoding works there, else on the CPU, with the reason."""

from __future__ import annotations

import ctypes
import importlib.metadata
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from config.errors import ModelError
from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.failures import device_errors

logger = logging.getLogger(__name__)

_Heard = TypeVar("_Heard")

CUBLAS_PACKAGE = "nvidia-cublas-cu12"
_INSTALL = f"pip install {CUBLAS_PACKAGE}"
_PRECISIONS = {"float16": "fp16", "int8_float16": "int8", "int8": "int8", "float32": "fp32"}
"""CTranslate2's compute types, the preferred first, and what people call them."""
FRAMES = 3000
"""Whisper's window of 30 seconds."""
FAILURES = (RuntimeError, ValueError, OSError, MemoryError, ModelError)
"""CTranslate2 raises plain RuntimeError and ValueError for what a card or its libraries lack; `device_errors` makes a
ModelError of some."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model, ready to hear."""

    model: Any
    device: str
    precision: str
    refused: tuple[Refusal, ...] = ()


def open_model(folder: Path, resources: Resources) -> Opened:
    """Open a model where it works. Raises ModelError if it cannot be loaded on the CPU either."""
    import ctranslate2  # noqa: PLC0415 - only where speech is wanted

    device, _, index = resources.policy.device.partition(":")
    if device == "cpu":
        return open_on_cpu(folder, resources)
    try:
        if ctranslate2.get_cuda_device_count() == 0:
            return open_on_cpu(folder, resources)
        return _open_on_card(folder, resources, int(index or 0))
    except FAILURES as error:
        return open_on_cpu(folder, resources, refusal(error))


def open_on_cpu(folder: Path, resources: Resources, *refused: Refusal) -> Opened:
    """Raises ModelError if the model cannot be loaded."""
    import faster_whisper  # noqa: PLC0415 - only where speech is wanted

    try:
        model = faster_whisper.WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=resources.threads, local_files_only=True
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(
            f"faster-whisper {faster_whisper.__version__} cannot load the model in {folder}: {error}",
            f"Pull the model {folder.name} again, or choose another.",
        ) from error
    return Opened(model, "CPU", "int8", refused)


def hear_on(device: str, hear: Callable[[], _Heard], leave_card: Callable[[Exception], None]) -> _Heard:
    """Call `hear` on its device. If a card fails, call `leave_card`, which moves the model to the CPU, and hear again.

    Raises what `hear` raises on the CPU.
    """
    if device != "CPU":
        try:
            with device_errors(device):
                return hear()
        except FAILURES as error:
            logger.warning("Speech continues on the CPU, because the card failed: %s", error)
            leave_card(error)
    return hear()


def refusal(error: Exception) -> Refusal:
    """Why the card does not serve."""
    raised = error.__cause__ or error  # what `device_errors` says of it is about a worker that has no other device
    text = next(iter(str(raised).splitlines()), "") or type(raised).__name__
    lacks_library = "libcublas" in text or isinstance(raised, OSError)
    remedy = _INSTALL if lacks_library else "`reverie doctor` says what the card lacks."
    return Refusal("speech on CUDA", f"speech runs on the CPU, as the card failed: {text}", remedy)


def cublas_files() -> list[Path]:
    """The libraries of cuBLAS 12 from its package, in the order in which they need each other; none if absent."""
    try:
        files = importlib.metadata.files(CUBLAS_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    paths = {file.name: Path(str(file.locate())) for file in files}
    return [paths[name] for name in ("libcublasLt.so.12", "libcublas.so.12") if name in paths]


def load_cublas() -> None:
    """Load cuBLAS 12 from its package, if that is installed: CTranslate2 asks for the library by name when it first
    multiplies, and PyTorch brings another version. Raises OSError if it cannot be loaded."""
    for library in cublas_files():
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def _open_on_card(folder: Path, resources: Resources, index: int) -> Opened:
    import ctranslate2  # noqa: PLC0415 - only where speech is wanted
    import faster_whisper  # noqa: PLC0415

    load_cublas()
    supported = ctranslate2.get_supported_compute_types("cuda", index)
    compute_type = next((one for one in _PRECISIONS if one in supported), "float32")
    with device_errors("CUDA"):
        model = faster_whisper.WhisperModel(
            str(folder), device="cuda", device_index=index, compute_type=compute_type, local_files_only=True
        )
        model.encode(np.zeros((model.model.n_mels, FRAMES), np.float32))
    return Opened(model, "CUDA", _PRECISIONS[compute_type])
