"""A PyTorch module as an engine: on CPU, or on a GPU with pinned copies that overlap with the computation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.engines import EngineInfo
from indexer.runtime.failures import device_errors
from indexer.runtime.network import Arrays

if TYPE_CHECKING:
    import torch

PIECE = 64
"""Items of a batch that are computed at once on a GPU while the next ones are copied: enough to keep it busy."""


class TorchEngine:
    """Runs a module on one device. Outputs come back as NumPy arrays, floating point ones as float32."""

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        info: EngineInfo,
        device: str = "cpu",
        autocast: str | None = None,
        channels_last: bool = False,
        compiled: Callable[[torch.nn.Module], Callable[..., Any]] | None = None,
    ) -> None:
        """`autocast`: the dtype of mixed precision ("float16", "bfloat16"); None: the module's own.

        `compiled`: what makes the module on its device quicker, for batches of fixed sizes: all are then filled up to
        a power of two, and outputs are copied at once, as CUDA graphs write the next ones to the same place.
        """
        import torch  # noqa: PLC0415 - the service must not load it

        self.info = info
        self._torch = torch
        self._device = torch.device(device)
        self._autocast: torch.dtype | None = getattr(torch, autocast) if autocast else None
        # Five axes, as a convolution over frames has them, fit no channels-last layout of four: PyTorch refuses them.
        self._channels_last = channels_last and all(weights.dim() < 5 for weights in module.parameters())
        with device_errors(info.device), self._selected():
            layout = torch.channels_last if self._channels_last else torch.preserve_format
            place: Any = module.to
            placed: torch.nn.Module = place(device=self._device, memory_format=layout)
            self._fixed_sizes = compiled is not None
            self._module: Callable[..., Any] = placed if compiled is None else compiled(placed)
            self._copying = _new_stream(torch, self._device)

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch, piece by piece where it is large."""
        count = len(inputs[0])
        if self._fixed_sizes:
            inputs = tuple(_filled(array) for array in inputs)
        with device_errors(self.info.device), self._selected(), self._torch.inference_mode(), self._mixed():
            outputs = _arrays([self._run(tensors) for tensors in self._placed(inputs)])
        return tuple(output[:count] for output in outputs)

    def _run(self, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        if self._channels_last:
            layout = self._torch.channels_last
            tensors = [tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor for tensor in tensors]
        output: Any = self._module(*tensors)
        outputs: tuple[torch.Tensor, ...] = output if isinstance(output, tuple) else (output,)
        return tuple(tensor.clone() for tensor in outputs) if self._fixed_sizes else outputs

    def _selected(self) -> contextlib.AbstractContextManager[Any]:
        """CUDA graphs and TensorRT's engines run on the card that is current, wherever their inputs lie."""
        return self._torch.cuda.device(self._device) if self._device.type == "cuda" else contextlib.nullcontext()

    def _mixed(self) -> contextlib.AbstractContextManager[Any]:
        if self._autocast is None:
            return contextlib.nullcontext()
        return self._torch.autocast(self._device.type, dtype=self._autocast)

    def _placed(self, inputs: Arrays) -> Iterator[list[torch.Tensor]]:
        if self._copying is None:
            return iter([[self._torch.from_numpy(np.ascontiguousarray(array)) for array in inputs]])
        return self._uploaded(inputs)

    def _uploaded(self, inputs: Arrays) -> Iterator[list[torch.Tensor]]:
        """The pieces of a batch on the GPU. The next one is on its way while the caller computes with the last.

        After the CUDA semantics notes of PyTorch: pinned memory and a stream of its own for the copies, an order
        between the streams, and `record_stream` so that memory is not given away under a running kernel.
        """
        cuda = self._torch.cuda
        computing = cuda.current_stream(self._device)
        coming = self._upload(inputs, 0)
        for start in range(0, len(inputs[0]), PIECE):
            computing.wait_stream(self._copying)
            tensors = coming
            if start + PIECE < len(inputs[0]):
                coming = self._upload(inputs, start + PIECE)
            for tensor in tensors:
                tensor.record_stream(computing)
            yield tensors

    def _upload(self, inputs: Arrays, start: int) -> list[torch.Tensor]:
        with self._torch.cuda.stream(self._copying):
            return [
                self._torch.from_numpy(np.ascontiguousarray(array[start : start + PIECE]))
                .pin_memory()
                .to(self._device, non_blocking=True)
                for array in inputs
            ]


def release_memory() -> None:
    """Give the GPU memory that PyTorch keeps for later batches back, for other libraries on the same card."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _new_stream(library: Any, device: torch.device) -> torch.cuda.Stream | None:
    return library.cuda.Stream(device) if device.type == "cuda" else None


def _filled(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """A batch repeated up to the next power of two; beyond `PIECE`, to a multiple of that."""
    count = len(array)
    size = 1 << (count - 1).bit_length() if count < PIECE else -(-count // PIECE) * PIECE
    return array if size == count else np.resize(array, (size, *array.shape[1:]))


def _arrays(pieces: list[tuple[torch.Tensor, ...]]) -> Arrays:
    """Outputs of the pieces of a batch to arrays of the whole."""
    columns = zip(*pieces, strict=True)
    return tuple(np.concatenate([_array(tensor) for tensor in column]) for column in columns)


def _array(tensor: torch.Tensor) -> NDArray[np.generic]:
    wide = tensor.float() if tensor.is_floating_point() else tensor
    array: NDArray[np.generic] = wide.cpu().numpy()
    return array
