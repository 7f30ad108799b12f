"""`torch_tensorrt` 2.13.0 as its source has it, without TensorRT: what it insists on, keeps and writes.

Each behaviour names the file of that version it was read from.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from tests.indexer.runtime.pretend_card import Cards


class Input:
    """_Input.py: three shapes make an input dynamic."""

    def __init__(
        self,
        *,
        min_shape: tuple[int, ...],
        opt_shape: tuple[int, ...],
        max_shape: tuple[int, ...],
        dtype: torch.dtype,
        name: str = "",
    ) -> None:
        self.shapes = (min_shape, opt_shape, max_shape)
        self.dtype, self.name = dtype, name
        self.torch_tensor = torch.rand(opt_shape).to(dtype=dtype)


class Compiled(torch.nn.Module):
    """The graph as TensorRT would compute it. dynamo/conversion/_TRTInterpreter.py: networks are strongly typed, so
    that nothing but the types in the graph decides the precision; dynamo/lowering/passes/rule_based_autocast.py puts
    them there."""

    def __init__(self, graph: torch.nn.Module, low: torch.dtype | None) -> None:
        super().__init__()
        self.graph, self.low = graph, low

    def forward(self, *inputs: torch.Tensor) -> Any:
        with torch.autocast("cpu", dtype=self.low or torch.float16, enabled=self.low is not None):
            return self.graph(*inputs)


class Stub:
    """The module, and what it was asked to do."""

    def __init__(self, cards: Cards) -> None:
        self.devices: list[str] = []
        self.timing_caches: list[Path] = []
        self.tf32: list[bool] = []
        self._cards = cards

    def compile(
        self,
        program: torch.export.ExportedProgram,
        *,
        arg_inputs: Sequence[Input],
        device: torch.device,
        disable_tf32: bool = False,
        timing_cache_path: str = "/tmp/torch_tensorrt_engine_cache/timing_cache.bin",  # noqa: S108 - theirs
        enable_autocast: bool = False,
        autocast_low_precision_type: torch.dtype | None = None,
        autocast_excluded_ops: Sequence[Any] = (),
    ) -> Compiled:
        """dynamo/_compiler.py, whose **kwargs would swallow what it does not know: here it is a TypeError."""
        # _Device.py, `_from`: the number of a torch.device is taken as it is. dynamo/runtime/_TorchTensorRTModule.py,
        # `_resolve_target_device`: a device is made of it again.
        self.devices.append(str(torch.device(f"cuda:{device.index}")))
        # dynamo/_compiler.py asks for the memory of the current card (`mem_get_info`); the builder works on it.
        assert self._cards.current == device.index, "another card is current"
        assert not torch.is_inference_mode_enabled()
        assert all(shape.shapes[0][0] == 1 for shape in arg_inputs)
        del autocast_excluded_ops
        # dynamo/conversion/_TRTInterpreter.py, `_save_timing_cache`: written wherever it is told to, folder and all.
        cache = Path(timing_cache_path)
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_bytes(b"timings")
        self.timing_caches.append(cache)
        # dynamo/_defaults.py: DISABLE_TF32 is False, so float32 layers are rounded unless it is said otherwise.
        self.tf32.append(not disable_tf32)
        return Compiled(program.module(), autocast_low_precision_type if enable_autocast else None)

    def save(
        self,
        compiled: Compiled,
        path: str,
        *,
        arg_inputs: Sequence[Any],
        dynamic_shapes: tuple[dict[int, Any], ...] | None = None,
    ) -> None:
        """_compile.py, `save`: the graph is exported anew. From `Input`s alone a length is inferred for each of them
        (dynamo/_tracer.py, `get_dynamic_shapes`), and examples are made on the current card (`default_device`)."""
        if all(isinstance(one, Input) for one in arg_inputs):
            if dynamic_shapes is None:
                dynamic_shapes = tuple(
                    {0: torch.export.Dim(f"{one.name}_0", min=one.shapes[0][0], max=one.shapes[2][0])}
                    for one in arg_inputs
                )
            arg_inputs = [one.torch_tensor for one in arg_inputs]
        program = torch.export.export(compiled.graph, tuple(arg_inputs), dynamic_shapes=dynamic_shapes, strict=False)
        torch.export.save(program, path, extra_files={"low": str(compiled.low or "")})

    def load(self, path: str) -> Any:
        """_compile.py, `load`: whatever goes wrong, a ValueError that tells little. The engine goes to the card that
        was noted when it was built (dynamo/runtime/_TorchTensorRTModule.py, `_pack_engine_info`)."""
        noted = {"low": ""}
        try:
            program = torch.export.load(path, extra_files=noted)
        except Exception as error:
            raise ValueError(
                f"The file {path} doesn't correspond to a valid Torchscript module or ExportedProgram."
            ) from error
        low = torch.float16 if "float16" in str(noted["low"]) else None
        return SimpleNamespace(module=lambda: Compiled(program.module(), low))


def install(patch: pytest.MonkeyPatch, cards: Cards) -> Stub:
    """Have `import torch_tensorrt` give the stub."""
    stub = Stub(cards)
    module: Any = ModuleType("torch_tensorrt")
    module.__spec__ = importlib.machinery.ModuleSpec("torch_tensorrt", None)
    module.Input, module.save, module.load = Input, stub.save, stub.load
    module.dynamo = SimpleNamespace(compile=stub.compile)
    patch.setitem(sys.modules, "torch_tensorrt", module)
    return stub
