"""What a runtime is, and the runtimes there are, the preferred ones first."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.engines import Engine
from indexer.runtime.network import Arrays, Network


class Runtime(Protocol):
    """One way to run any network. Made without arguments, as the build child makes it anew from its class's name.

    Cheap to make and to ask: nothing heavy is imported before `build` or `open`.
    """

    name: str
    """A part of file names: "onnxruntime-int8"."""
    title: str
    """For people: "ONNX Runtime int8"."""
    precision: str
    """"fp32", "tf32", "fp16", "bf16", "int8": it sets the limits of the gate."""
    on_gpu: bool
    source: str | None
    """The name of the runtime whose artefact this one can be built from, if there is one."""

    def availability(self, resources: Resources) -> Refusal | None:
        """None if it can run here; else what is missing, and how to get it."""

    def recipe(self, resources: Resources) -> tuple[str, ...]:
        """Everything outside the network that an artefact of this runtime depends on: versions, device, options."""

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """Write what `open` needs into an empty directory. Runs in the build child.

        `samples`: a prepared batch, to trace or to calibrate with. `source`: the artefact of the runtime named so.
        May raise anything: that refuses the runtime for this network.
        """

    def open(self, network: Network, directory: Path, *, resources: Resources) -> Engine:
        """Make what was built ready to run. Raises ModelError."""


def path_of(runtime: Runtime) -> str:
    """How another process finds the class: "package.module:Class"."""
    return f"{type(runtime).__module__}:{type(runtime).__qualname__}"


def resolve(path: str) -> Runtime:
    """The runtime of a class named by `path_of`."""
    module, _, name = path.partition(":")
    runtime: Runtime = getattr(importlib.import_module(module), name)()
    return runtime


def all_runtimes() -> tuple[Runtime, ...]:
    """Every runtime, the preferred ones first. The last is the reference, which always runs."""
    from indexer.runtime import cuda, onnx_cpu, tensorrt, torch_cpu  # noqa: PLC0415 - they import this module

    return (
        tensorrt.TensorRTInt8(),
        tensorrt.TensorRTFp16(),
        cuda.CudaCompiled(),
        cuda.CudaFp16(),
        cuda.CudaBf16(),
        cuda.CudaTf32(),
        cuda.CudaFp32(),
        onnx_cpu.OnnxInt8(),
        onnx_cpu.OnnxFp32(),
        torch_cpu.TorchCpu(),
    )


@functools.cache
def processor_name() -> str:
    """The processor, for cache keys: what was measured on one says little about another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else os.uname().machine


def merged(refusals: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """Refusals with one and the same reason told once: on a machine without a GPU it is the same six times."""
    titles: dict[tuple[str, str], list[str]] = {}
    for refusal in refusals:
        titles.setdefault((refusal.reason, refusal.remedy), []).append(refusal.runtime)
    return tuple(Refusal(", ".join(names), reason, remedy) for (reason, remedy), names in titles.items())
