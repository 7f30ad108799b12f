"""TensorRT through torch-tensorrt's dynamo frontend: the adapter and no more.

Written after the documentation and the source of torch-tensorrt 2.13 (export, compile, save, load; networks are
strongly typed, so precision is what the graph says; INT8 by ModelOpt's quantise and dequantise nodes) and never run:
TensorRT's libraries cannot be installed where Reverie is developed. It is tested against a stub that behaves as that
source does (tests/indexer/runtime/stub_tensorrt.py).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import ModelError
from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.cuda import (
    device_of,
    device_recipe,
    example_tensors,
    gpu_info,
    limit_memory,
    missing_gpu,
    set_arithmetic,
)
from indexer.runtime.engines import Engine
from indexer.runtime.network import Arrays, Network
from indexer.runtime.torch_engine import PIECE, TorchEngine

if TYPE_CHECKING:
    import torch

ENGINE = "engine.ep"
TIMING = "timing.bin"
USUAL_BATCH = 32
"""Items of the batch that TensorRT optimises for; it takes 1 to `PIECE`."""
INSTALL = "pip install 'reverie-media[tensorrt]'"
UNTRIED = "The developers could not run TensorRT; the parity gate decides whether it serves."
PACKAGES = ("torch-tensorrt", "tensorrt", "tensorrt-cu13", "tensorrt-cu12", "nvidia-modelopt")


class TensorRTFp16:
    """Float16 where TensorRT's autocast finds it safe, with layer norms, GELU and softmax in float32.

    Those overflow half precision in transformers; the sums within them are cheap.
    """

    name = "tensorrt-fp16"
    title = "TensorRT fp16"
    on_gpu = True
    source: str | None = None
    precision = "fp16"

    def availability(self, resources: Resources) -> Refusal | None:
        """Needs a GPU and torch-tensorrt with TensorRT's libraries."""
        policy = resources.policy
        if not policy.use_tensorrt:
            return Refusal(self.title, "it is switched off.", "Set analysis.ml_models.use_tensorrt to true.")
        if missing := missing_gpu(resources):
            return Refusal(self.title, missing[0], f"{missing[1]} With a GPU: {INSTALL}. {UNTRIED}".strip())
        if find_spec("torch_tensorrt") is None:
            return Refusal(self.title, "torch-tensorrt is not installed.", f"{INSTALL}. {UNTRIED}")
        return None

    def recipe(self, resources: Resources) -> tuple[str, ...]:
        """TensorRT's packages, the shapes, the card's number, and all that an engine on a GPU depends on.

        A saved engine goes back to the card that it was built on: its twin in the next slot needs one of its own.
        """
        versions = (f"{name} {_version(name)}" for name in PACKAGES)
        return (*versions, f"1-{USUAL_BATCH}-{PIECE}", device_of(resources), *device_recipe(resources))

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """Compile for this GPU; takes minutes."""
        del source
        import torch  # noqa: PLC0415 - only the build child

        layers = torch.ops.aten
        options = {
            "enable_autocast": True,
            "autocast_low_precision_type": torch.float16,
            "autocast_excluded_ops": {
                layers.layer_norm.default,
                layers.native_layer_norm.default,
                layers.gelu.default,
                layers.softmax.int,
                layers._softmax.default,
            },
        }
        _compile(network.load(), network, directory, resources, samples, options=options)

    def open(self, network: Network, directory: Path, *, resources: Resources) -> Engine:
        """Load the engine. Raises ModelError if TensorRT refuses it."""
        del network
        import torch  # noqa: PLC0415 - the service must not load it
        import torch_tensorrt  # noqa: PLC0415 - only where it serves

        limit_memory(resources)
        set_arithmetic(resources)
        try:
            with torch.cuda.device(device_of(resources)):
                module: torch.nn.Module = torch_tensorrt.load(str(directory / ENGINE)).module()
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"TensorRT cannot load its engine: {str(error).splitlines()[0]}",
                f"Delete it, and it is built again: rm -r '{directory}'",
            ) from error
        runtime = f"TensorRT {_version('tensorrt')}"
        return TorchEngine(module, info=gpu_info(runtime, self.precision, resources), device=device_of(resources))


class TensorRTInt8(TensorRTFp16):
    """Explicit INT8: ModelOpt measures the range of each tensor on the samples and writes it into the graph.

    What is not quantised stays float32.
    """

    name = "tensorrt-int8"
    title = "TensorRT int8"
    precision = "int8"

    def availability(self, resources: Resources) -> Refusal | None:
        """Needs ModelOpt as well, and to be asked for."""
        if resources.policy.use_tensorrt and resources.policy.tensorrt_precision != "int8":
            reason = f"analysis.ml_models.tensorrt_precision is {resources.policy.tensorrt_precision}."
            return Refusal(self.title, reason, "Set it to int8.")
        if refusal := super().availability(resources):
            return refusal
        if find_spec("modelopt") is None:
            return Refusal(self.title, "NVIDIA's ModelOpt is not installed.", "pip install nvidia-modelopt")
        return None

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """Calibrate on the samples and compile; takes minutes."""
        del source
        import modelopt.torch.quantization as mtq  # noqa: PLC0415 - only the build child
        import torch  # noqa: PLC0415
        import torch_tensorrt  # noqa: F401, PLC0415 - registers the nodes that ModelOpt inserts
        from modelopt.torch.quantization.utils import export_torch_mode  # noqa: PLC0415

        device = device_of(resources)
        with torch.cuda.device(device):
            module = network.load().to(device)
            batch = example_tensors(samples, len(samples[0]), device)
            mtq.quantize(module, mtq.INT8_DEFAULT_CFG, forward_loop=lambda quantised: quantised(*batch))
        with export_torch_mode():
            _compile(module, network, directory, resources, samples, options={})


def _compile(
    module: torch.nn.Module,
    network: Network,
    directory: Path,
    resources: Resources,
    samples: Arrays,
    *,
    options: dict[str, Any],
) -> None:
    import torch  # noqa: PLC0415 - only the build child
    import torch_tensorrt  # noqa: PLC0415

    device = device_of(resources)
    # One length for all inputs. `save` would infer one for each, which a network of two inputs contradicts.
    batch = torch.export.Dim("batch", min=1, max=PIECE)
    dynamic_shapes = tuple({0: batch} for _ in network.inputs)
    shapes = [
        torch_tensorrt.Input(
            min_shape=(1, *spec.shape),
            opt_shape=(USUAL_BATCH, *spec.shape),
            max_shape=(PIECE, *spec.shape),
            dtype=getattr(torch, spec.dtype),
            name=spec.name,
        )
        for spec in network.inputs
    ]
    # The card is made current as well as named: parts of torch-tensorrt ask for the current one.
    with torch.cuda.device(device), torch.no_grad():
        example = example_tensors(samples, 2, device)
        program = torch.export.export(module.to(device), example, dynamic_shapes=dynamic_shapes, strict=False)
        compiled = torch_tensorrt.dynamo.compile(
            program,
            arg_inputs=shapes,
            device=torch.device(device),
            disable_tf32=not resources.policy.allow_tf32,
            # Its default is a file under /tmp with a known name.
            timing_cache_path=str(directory / TIMING),
            **options,
        )
        torch_tensorrt.save(compiled, str(directory / ENGINE), arg_inputs=list(example), dynamic_shapes=dynamic_shapes)
    (directory / TIMING).unlink(missing_ok=True)


def _version(package: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""
