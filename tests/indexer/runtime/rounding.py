"""How a right engine of each precision rounds, on a processor; and the same engine with ten times the errors.

float16 and bfloat16 are PyTorch's own autocast, as on a GPU. TF32 and int8 are emulated: what goes into each matrix
product and convolution is rounded first, and the sums are float32, as the tensor cores have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from indexer.runtime.engines import Engine, EngineInfo
from indexer.runtime.network import Arrays, Network
from indexer.runtime.torch_engine import TorchEngine

PRECISIONS = ("tf32", "fp16", "bf16", "int8")
_AUTOCAST = {"fp16": "float16", "bf16": "bfloat16"}
_PRODUCTS: dict[Any, int] = {
    torch.nn.functional.linear: 2,
    torch.nn.functional.conv1d: 2,
    torch.nn.functional.conv2d: 2,
    torch.nn.functional.conv3d: 2,
    torch.conv2d: 2,
    torch.matmul: 2,
    torch.bmm: 2,
    torch.Tensor.matmul: 2,
    torch.Tensor.__matmul__: 2,
    torch.nn.functional.scaled_dot_product_attention: 3,
}
"""The functions that tensor cores compute, and how many of their arguments are factors."""


def rounded(network: Network, precision: str) -> Engine:
    """A right engine of a precision."""
    info = EngineInfo("rounded", "CPU", precision)
    if precision in _AUTOCAST:
        return TorchEngine(network.load(), info=info, autocast=_AUTOCAST[precision])
    return TorchEngine(_Rounded(network.load(), {"tf32": tf32, "int8": int8}[precision]), info=info)


class TenTimes:
    """An engine whose every output is ten times as far from the reference's as that of another engine is."""

    def __init__(self, engine: Engine, reference: Engine) -> None:
        self.info = engine.info
        self._engine, self._reference = engine, reference

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        pairs = zip(self._engine(*inputs), self._reference(*inputs), strict=True)
        return tuple(_ten_times(np.asarray(output), np.asarray(right)) for output, right in pairs)


def _ten_times(output: NDArray[Any], right: NDArray[Any]) -> NDArray[np.generic]:
    wrong: NDArray[np.generic] = right + 10 * (output - right)
    return wrong


def tf32(tensor: torch.Tensor) -> torch.Tensor:
    """Float32 with 10 bits of mantissa, to nearest."""
    bits = tensor.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def int8(tensor: torch.Tensor) -> torch.Tensor:
    """127 steps to each side: weights for each output, activations for the whole tensor, as in ModelOpt's default."""
    if isinstance(tensor, torch.nn.Parameter):
        largest = tensor.abs().amax(dim=tuple(range(1, tensor.dim())), keepdim=True)
    else:
        largest = tensor.abs().amax()
    step = (largest / 127).clamp_min(torch.finfo(torch.float32).tiny)
    return torch.round(tensor / step) * step


class _Rounded(torch.nn.Module):
    def __init__(self, module: torch.nn.Module, rounding: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.module = module
        self._rounding = rounding

    def forward(self, *inputs: torch.Tensor) -> Any:
        with _Rounding(self._rounding):
            return self.module(*inputs)


class _Rounding(TorchFunctionMode):
    def __init__(self, rounding: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._rounding = rounding

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        factors = _PRODUCTS.get(func, 0)
        floats = (
            self._rounding(value) if number < factors and _is_float32(value) else value
            for number, value in enumerate(args)
        )
        return func(*floats, **(kwargs or {}))


def _is_float32(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype == torch.float32
