"""A tiny network, and runtimes to plant: one that is right, and others each wrong in one way.

The build child imports this module too, as it would any runtime's. PyTorch comes in only where it is needed.
"""

from __future__ import annotations

import importlib.metadata
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.engines import Engine, EngineInfo
from indexer.runtime.limits import EMBEDDINGS
from indexer.runtime.network import Arrays, Photos, TensorSpec
from indexer.runtime.torch_engine import TorchEngine

if TYPE_CHECKING:
    import torch

SIDE = 32
FACTORY = f"{__name__}:tiny_network"


class TinyNetwork:
    """The network in a variant: "plain", "hot" (overflows float16), "bgr" and "unscaled" (wrong preprocessing)."""

    inputs: tuple[TensorSpec, ...] = (TensorSpec("pixels", "float32", (3, SIDE, SIDE)),)
    outputs: tuple[str, ...] = ("vectors",)
    limits = EMBEDDINGS

    def __init__(self, variant: str) -> None:
        self.name = f"tiny/{variant}"
        self.fingerprint = variant
        self._variant = variant

    def load(self) -> torch.nn.Module:
        from tests.indexer.runtime import tiny  # noqa: PLC0415

        return tiny.Tiny(1e6 if self._variant == "hot" else 1).eval()

    def prepare(self, samples: Photos) -> Arrays:
        pixels = _pixels(samples)
        if self._variant == "bgr":
            return (np.ascontiguousarray(pixels[:, ::-1]),)
        if self._variant == "unscaled":
            return (pixels * np.float32(0.25) + np.float32(0.5),)
        return (pixels,)

    def reference_inputs(self, samples: Photos) -> Arrays:
        return (_pixels(samples),)

    def judged(self, outputs: Arrays) -> NDArray[np.float32]:
        return outputs[0].astype(np.float32)


def _pixels(samples: Photos) -> NDArray[np.float32]:
    small = [np.asarray(Image.fromarray(sample).resize((SIDE, SIDE))) for sample in samples]
    pixels = (np.stack(small).astype(np.float32) / 255 - 0.5) / 0.25
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def vectors(engine: Engine, inputs: Arrays) -> NDArray[np.float32]:
    """What the network says, as float32, which it must be already."""
    (output,) = engine(*inputs)
    assert output.dtype == np.float32
    return output.astype(np.float32)


def tiny_network(variant: str) -> TinyNetwork:
    return TinyNetwork(variant)


class Compiled:
    """Stands for TensorRT: exported in the child, saved, loaded.

    With a file "kill" in the folder of models the build is killed midway; with "wait" it waits for a file "go".
    """

    name = "compiled"
    title = "Compiled"
    precision = "fp16"
    on_gpu = True
    source: str | None = None

    def availability(self, resources: Resources) -> Refusal | None:
        del resources
        return None

    def recipe(self, resources: Resources) -> tuple[str, ...]:
        del resources
        return (importlib.metadata.version("torch"),)

    def build(
        self, network: Any, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        del source
        (directory / "begun").touch()
        if (resources.models / "kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        import torch  # noqa: PLC0415

        while (resources.models / "wait").exists() and not (resources.models / "go").exists():
            time.sleep(0.01)
        example = (torch.from_numpy(samples[0][:2]),)
        program = torch.export.export(network.load(), example, dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, directory / "engine.pt2")

    def open(self, network: Any, directory: Path, *, resources: Resources) -> Engine:
        import torch  # noqa: PLC0415

        del network, resources
        return self.engine(torch.export.load(directory / "engine.pt2").module())

    def engine(self, module: torch.nn.Module) -> TorchEngine:
        return TorchEngine(module, info=EngineInfo(self.title, "CPU", self.precision))


class Loaded(Compiled):
    """Nothing is exported: the module itself, changed by `broken`. Quick, for the gate alone."""

    name = "loaded"
    title = "Loaded"

    def build(
        self, network: Any, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        del network, resources, samples, source
        (directory / "recipe").write_text(self.name)

    def open(self, network: Any, directory: Path, *, resources: Resources) -> Engine:
        del directory, resources
        return self.engine(self.broken(network.load()))

    def broken(self, module: torch.nn.Module) -> torch.nn.Module:
        return module


class Constant(Loaded):
    """Answers the same to all, near to every right answer."""

    name = "constant"
    title = "Constant"

    def broken(self, module: torch.nn.Module) -> torch.nn.Module:
        from tests.indexer.runtime import tiny  # noqa: PLC0415

        return tiny.Constant(module)


class Half(Loaded):
    """All in float16."""

    name = "half"
    title = "Half"

    def broken(self, module: torch.nn.Module) -> torch.nn.Module:
        from tests.indexer.runtime import tiny  # noqa: PLC0415

        return tiny.Half(module)


class Raising(Compiled):
    """Cannot build this network."""

    name = "raising"
    title = "Raising"

    def build(
        self, network: Any, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        del network, resources, samples, source
        (directory / "half").write_text("an engine, as far as it came")
        raise RuntimeError("the operator aten::frobnicate is not supported")


class Missing(Compiled):
    """Not installed."""

    name = "missing"
    title = "Missing"

    def availability(self, resources: Resources) -> Refusal | None:
        del resources
        return Refusal(self.title, "its library is not installed.", "pip install 'reverie-media[missing]'")
