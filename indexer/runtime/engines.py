"""ONNX Runtime sessions on CPU, set up for a machine that decodes photos at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from config.errors import ModelError
from indexer.runtime.network import Arrays

ORT_FAILURES: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""What ONNX Runtime raises, the class of its binding and its own: none stands above these."""


class ImageEngine(Protocol):
    """A network that turns a batch of images (N, 3, S, S) into scores (N, C), both float32."""

    runtime: str
    """What runs it, for people: "ONNX Runtime 1.32.0, CPU, fp32"."""

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run one batch. Thread-safe."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs a network, for people."""

    runtime: str
    """"ONNX Runtime 1.32.0"."""
    device: str
    """"CPU", "NVIDIA GeForce RTX 2080 Ti"."""
    precision: str
    """"fp32", "fp16", "bf16", "int8"."""


class Engine(Protocol):
    """A network ready to run, of any inputs and outputs (see `indexer.runtime.network`)."""

    info: EngineInfo

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch. Called from one thread at a time.

        Raises OutOfDeviceMemory if the batch is too large (a smaller one may do), DeviceFailed if no other batch will
        ever run in this process.
        """


def open_session(model: Path | bytes, *, threads: int, arena: bool = True) -> Any:
    """An `onnxruntime.InferenceSession` on CPU. Raises ModelError if ONNX Runtime refuses the graph.

    `arena` keeps buffers between runs: quicker for large batches, a waste of memory for one short text now and then.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    # Idle threads would otherwise spin and take the processor from the decoding threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except ORT_FAILURES as error:
        raise ModelError(
            f"ONNX Runtime {ort.__version__} cannot run a network: {str(error).splitlines()[0]}",
            "Install the version of onnxruntime that Reverie's lock file names.",
        ) from error


class OnnxEngine:
    """An image network with one input "image" and one output, as an `Engine`."""

    def __init__(self, model: Path | bytes, *, threads: int) -> None:
        self._session = open_session(model, threads=threads)
        self.runtime = f"ONNX Runtime {ort.__version__}, CPU, fp32"

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, S, S) to (N, C)."""
        scores: NDArray[np.float32] = self._session.run(None, {"image": images})[0]
        return scores
