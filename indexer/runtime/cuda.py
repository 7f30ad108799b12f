"""PyTorch on an NVIDIA GPU: float32, TF32, mixed precision, and mixed precision compiled with CUDA graphs.

Written after PyTorch's documentation and not run on a GPU: the gate judges each of them on the machine where it is to
serve. Tests run all of it but the kernels, on a card that is pretended (tests/indexer/runtime/pretend_card.py).
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.engines import Engine, EngineInfo
from indexer.runtime.kernels import has_kernels, no_kernels
from indexer.runtime.network import Arrays, Network
from indexer.runtime.owned import OwnedEngine
from indexer.runtime.torch_engine import TorchEngine

if TYPE_CHECKING:
    import torch

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
WINDOWS_GPU = Path("/dev/dxg")
"""How the Windows Subsystem for Linux shows a GPU."""
RECIPE = "recipe.txt"
_AMPERE = (8, 0)
"""Compute capability from which bfloat16 and TF32 are in hardware."""


class CudaFp32:
    """Float32, with the same weights as the reference."""

    name = "cuda-fp32"
    title = "CUDA fp32"
    on_gpu = True
    source: str | None = None
    precision = "fp32"
    autocast: str | None = None
    """The dtype of mixed precision."""
    compiled = False

    def availability(self, resources: Resources) -> Refusal | None:
        """Needs a GPU, its driver, and a PyTorch with CUDA."""
        missing = missing_gpu(resources)
        if missing is None and self.autocast is not None and not resources.policy.enable_amp:
            missing = "mixed precision is switched off.", "Set analysis.ml_models.enable_amp to true."
        if missing is None and self.precision == "fp32" and resources.policy.allow_tf32:
            missing = "TF32 takes its place.", "Set analysis.ml_models.allow_tf32 to false."
        return None if missing is None else Refusal(self.title, *missing)

    def recipe(self, resources: Resources) -> tuple[str, ...]:
        """PyTorch, CUDA, the driver and the GPU."""
        return device_recipe(resources)

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """There is nothing to make beforehand: what is kept is the verdict."""
        del network, resources, samples, source
        (directory / RECIPE).write_text(f"{self.name}\n", encoding="utf-8")

    def open(self, network: Network, directory: Path, *, resources: Resources) -> Engine:
        """Load the weights onto the GPU. Raises ModelError, OutOfDeviceMemory."""
        del directory
        import torch  # noqa: PLC0415 - the service must not load it

        limit_memory(resources)
        set_arithmetic(resources)
        torch.backends.cudnn.benchmark = resources.policy.cudnn_benchmark
        runtime, compiled = f"PyTorch {torch.__version__}", None
        if self.compiled:
            # Compiled kernels are code: the compiler's own default is a folder under /tmp with a known name.
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(resources.model_cache / "engines" / "inductor")
            runtime += ", compiled"
            compiled = functools.partial(torch.compile, mode="reduce-overhead", dynamic=False)

        def make() -> Engine:
            return TorchEngine(
                network.load(),
                info=gpu_info(runtime, self.precision, resources),
                device=device_of(resources),
                autocast=self.autocast,
                channels_last=True,
                compiled=compiled,
            )

        return OwnedEngine(make) if self.compiled else make()


class CudaTf32(CudaFp32):
    """Float32 whose products are of factors rounded to 10 bits (TF32): a precision of its own, used if asked for."""

    name = "cuda-tf32"
    title = "CUDA tf32"
    precision = "tf32"

    def availability(self, resources: Resources) -> Refusal | None:
        """Needs Ampere or newer as well, and to be asked for."""
        if refusal := super().availability(resources):
            return refusal
        if not resources.policy.allow_tf32:
            return Refusal(self.title, "it was not asked for.", "Set analysis.ml_models.allow_tf32 to true.")
        return _ampere(self.title, "TF32", resources)


class CudaFp16(CudaFp32):
    """Mixed precision: matrices and convolutions in float16, sums that need it in float32 (torch.autocast)."""

    name = "cuda-fp16"
    title = "CUDA fp16"
    precision = "fp16"
    autocast = "float16"


class CudaBf16(CudaFp16):
    """Mixed precision in bfloat16, which cannot overflow where float16 does, and is coarser."""

    name = "cuda-bf16"
    title = "CUDA bf16"
    precision = "bf16"
    autocast = "bfloat16"

    def availability(self, resources: Resources) -> Refusal | None:
        """Needs Ampere or newer as well."""
        return super().availability(resources) or _ampere(self.title, "bfloat16", resources)


class CudaCompiled(CudaFp16):
    """Mixed precision, compiled by torch.compile with CUDA graphs (mode "reduce-overhead").

    Compiling comes with the first batch of each size, from a cache after the first time.
    """

    name = "cuda-compiled-fp16"
    title = "CUDA fp16 compiled"
    compiled = True


def missing_gpu(resources: Resources) -> tuple[str, str] | None:
    """Why no GPU can be used, and what to do about it; None if one can. Loads PyTorch only where there is a GPU."""
    wanted = resources.policy.device
    if wanted == "cpu":
        return "analysis.ml_models.device is cpu.", "Set it to auto."
    if not NVIDIA_DRIVER.exists() and not WINDOWS_GPU.exists():
        return "no NVIDIA GPU with a loaded driver was found.", ""
    import torch  # noqa: PLC0415 - see above

    version = importlib.metadata.version("torch").partition("+")[0]
    if torch.version.cuda is None:
        return f"PyTorch {version} is built without CUDA.", f"pip install --force-reinstall torch=={version}"
    if not torch.cuda.is_available():
        return f"PyTorch, built for CUDA {torch.version.cuda}, finds no GPU that it can use.", "Update the driver."
    index = torch.device(device_of(resources)).index or 0
    if index >= torch.cuda.device_count():
        return f"there is no device {wanted}.", "Set analysis.ml_models.device to auto."
    capability = torch.cuda.get_device_capability(index)
    return None if has_kernels(capability, torch.cuda.get_arch_list()) else no_kernels(version, capability)


def device_of(resources: Resources) -> str:
    """The GPU that the settings ask for, as PyTorch names it and always with its number, which TensorRT needs."""
    wanted = resources.policy.device
    return "cuda:0" if wanted in ("auto", "cuda") else wanted


def set_arithmetic(resources: Resources) -> None:
    """Float32 is float32, unless TF32 is asked for. PyTorch has one switch for the whole process, and cuDNN's is on."""
    import torch  # noqa: PLC0415 - the service must not load it

    torch.backends.cuda.matmul.allow_tf32 = resources.policy.allow_tf32
    torch.backends.cudnn.allow_tf32 = resources.policy.allow_tf32


def limit_memory(resources: Resources) -> None:
    """Keep PyTorch's allocator within the memory that the settings allow; what does not fit is OutOfDeviceMemory.

    The CUDA context itself, some hundred megabytes, is not counted.
    """
    megabytes = resources.policy.memory_megabytes
    if megabytes is None:
        return
    import torch  # noqa: PLC0415 - the service must not load it

    index = torch.device(device_of(resources)).index or 0
    total = torch.cuda.get_device_properties(index).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (megabytes << 20) / total), index)


def gpu_info(runtime: str, precision: str, resources: Resources) -> EngineInfo:
    """For people."""
    import torch  # noqa: PLC0415 - the service must not load it

    return EngineInfo(runtime, torch.cuda.get_device_name(device_of(resources)), precision)


def device_recipe(resources: Resources) -> tuple[str, ...]:
    """What an engine on a GPU depends on: PyTorch, CUDA, the driver, the GPU's name and compute capability."""
    import torch  # noqa: PLC0415 - the service must not load it

    device = device_of(resources)
    driver = NVIDIA_DRIVER.read_text(encoding="utf-8", errors="replace") if NVIDIA_DRIVER.exists() else ""
    return (
        importlib.metadata.version("torch"),
        str(torch.version.cuda),
        driver,
        torch.cuda.get_device_name(device),
        str(torch.cuda.get_device_capability(device)),
        f"tf32 {resources.policy.allow_tf32}",
    )


def _ampere(title: str, what: str, resources: Resources) -> Refusal | None:
    import torch  # noqa: PLC0415 - there is a GPU: it will be loaded anyway

    if torch.cuda.get_device_capability(device_of(resources)) >= _AMPERE:
        return None
    return Refusal(title, f"this GPU has no {what} (compute capability below 8.0).", "")


def example_tensors(samples: Arrays, count: int, device: str) -> tuple[torch.Tensor, ...]:
    """The first `count` items of a prepared batch, repeated where there are fewer, on a device."""
    import numpy as np  # noqa: PLC0415 - beside torch
    import torch  # noqa: PLC0415 - the service must not load it

    return tuple(torch.from_numpy(np.resize(array, (count, *array.shape[1:]))).to(device) for array in samples)
