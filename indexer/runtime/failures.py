"""Errors of the runtimes, told apart: too large a batch, a device that is lost, or a defect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from config.errors import DeviceFailed, ModelError, OutOfDeviceMemory
from indexer.runtime.engines import ORT_FAILURES

_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad_alloc",
    "alloc_failed",
)
"""Lower case. PyTorch's CPU allocator, CUDA ("CUDA out of memory", CUBLAS_STATUS_ALLOC_FAILED), ONNX Runtime."""

_RAISED: tuple[type[Exception], ...] = (MemoryError, *ORT_FAILURES)
_NO_CODE = "no kernel image is available"
"""Lower case. The installed PyTorch was not compiled for this card: no other process will fare better."""
_LOST_DEVICE = (
    "cuda error",
    "cudaerror",
    "cublas_status",
    "cudnn_status",
    "cuda driver error",
    "illegal memory access",
    "device-side assert",
)
"""Lower case. After these every later call in the same process fails as well (sticky errors in CUDA's terms)."""


def reason_of(error: Exception) -> str:
    """Class and first line, for people: a library's messages go on for pages."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


@contextlib.contextmanager
def device_errors(device: str) -> Iterator[None]:
    """Turn what the runtimes raise into `OutOfDeviceMemory`, `DeviceFailed` or, for a card that the installed library
    has no code for, plain `ModelError`; anything else is a defect and passes.

    By the message, as neither ONNX Runtime nor cuBLAS has a class for it.
    """
    try:
        yield
    except _RAISED as error:
        text = str(error)
        lower = text.lower()
        if isinstance(error, MemoryError) or any(words in lower for words in _NO_MEMORY):
            raise OutOfDeviceMemory(
                f"A batch does not fit into the memory of {device}.",
                "Set analysis.ml_models.batch_size to a smaller number, or end other programs that use the memory.",
            ) from error
        if _NO_CODE in lower:
            raise ModelError(
                f"The installed PyTorch has no code for {device}.",
                "docs/install.md names the PyTorch for older cards.",
            ) from error
        if type(error).__name__ == "AcceleratorError" or any(words in lower for words in _LOST_DEVICE):
            raise DeviceFailed(
                f"{device} failed: {text.splitlines()[0]}",
                "The worker starts anew by itself; if it happens often, look at the kernel's log (journalctl -k).",
            ) from error
        raise
