"""A network as the runtimes see it: what goes in and out, where it comes from, and what it is judged by."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.runtime.parity import Thresholds

if TYPE_CHECKING:
    import torch

Arrays = tuple[NDArray[np.generic], ...]
Photos = Sequence[NDArray[np.uint8]]
"""Decoded photos, (H, W, 3) sRGB each."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input of a network. The batch axis comes first and is not in `shape`."""

    name: str
    dtype: str
    """A NumPy name: "float32", "int64"."""
    shape: tuple[int, ...]


class Network(Protocol):
    """What every runtime must compute. Making one is cheap: nothing heavy is loaded before `load`."""

    name: str
    """"clip-vit-b-32/image"."""
    fingerprint: str
    """Changes with the weights and with the code around them: a part of every cache key."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    limits: Mapping[str, Thresholds]
    """What an engine of each precision must reach, by the name of the precision (`indexer.runtime.limits`)."""

    def load(self) -> torch.nn.Module:
        """The reference: float32, on CPU, in eval mode; called with the inputs in order, it returns one tensor or a
        tuple of them, in the order of `outputs`. Raises ModelError."""

    def prepare(self, samples: Photos) -> Arrays:
        """Samples to a batch, the way the pipeline does it."""

    def reference_inputs(self, samples: Photos) -> Arrays:
        """Samples to a batch, the way the network's makers do it (the processor that came with it)."""

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        """Outputs of a batch to the rows (N, D) that the parity gate compares."""


@dataclass(frozen=True, slots=True)
class NetworkRef:
    """How another process makes the same network: `factory` ("package.module:function") called with `arguments`."""

    factory: str
    arguments: tuple[str, ...]

    def resolve(self) -> Network:
        """Make the network."""
        module, _, function = self.factory.partition(":")
        network: Network = getattr(importlib.import_module(module), function)(*self.arguments)
        return network
