"""ONNX Runtime on CPU: the reference exported as a graph, in float32 or with int8 matrices (dynamic quantisation)."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from indexer.models.resources import Resources
from indexer.records import Refusal
from indexer.runtime.engines import Engine, EngineInfo, open_session
from indexer.runtime.failures import device_errors
from indexer.runtime.network import Arrays, Network
from indexer.runtime.runtimes import processor_name

if TYPE_CHECKING:
    import onnx
    import torch

GRAPH = "model.onnx"
OPSET = 20
EXAMPLES = 2
"""Items of the batch that is traced: the exporter takes a batch of one for a constant."""
_MATRICES = ("MatMul", "Gemm")
"""Operations that are quantised."""
_ONE_FILE = 1_500_000_000
"""Bytes of weights above which they lie beside the graph: a protocol buffer ends at 2 GiB."""


class OnnxFp32:
    """The exported graph as it is."""

    name = "onnxruntime-fp32"
    title = "ONNX Runtime fp32"
    precision = "fp32"
    on_gpu = False
    source: str | None = None

    def availability(self, resources: Resources) -> Refusal | None:
        """Always there: onnxruntime is one of our dependencies."""
        del resources
        return None

    def recipe(self, resources: Resources) -> tuple[str, ...]:
        """The exporter's and the runtime's versions, and the processor that it was measured on."""
        del resources
        return (importlib.metadata.version("torch"), ort.__version__, processor_name())

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """Export the reference."""
        del resources, source
        export(network, samples, directory / GRAPH)

    def open(self, network: Network, directory: Path, *, resources: Resources) -> Engine:
        """Open the graph. Raises ModelError."""
        return OnnxGraphEngine(network, directory / GRAPH, threads=resources.threads, precision=self.precision)


class OnnxInt8(OnnxFp32):
    """The graph with its matrices in int8; activations are quantised as they come.

    Matrices have a scale per output and use 7 of the 8 bits, because x86 processors without VNNI overflow with 8. The
    last matrix before each output stays in float32: it costs next to nothing, and its error would be in the result as
    it is (docs/decisions/runtimes.md has the figures).
    """

    name = "onnxruntime-int8"
    title = "ONNX Runtime int8"
    precision = "int8"
    source: str | None = OnnxFp32.name

    def build(
        self, network: Network, directory: Path, *, resources: Resources, samples: Arrays, source: Path | None
    ) -> None:
        """Quantise the float32 graph, exporting it first where there is none yet."""
        graph = directory / "fp32.onnx" if source is None else source / GRAPH
        if source is None:
            export(network, samples, graph)
        quantise(graph, directory / GRAPH)
        for leftover in directory.glob("fp32.onnx*"):
            leftover.unlink()


def quantise(graph: Path, target: Path) -> None:
    """Write the graph with int8 matrices (see `OnnxInt8`)."""
    import onnx  # noqa: PLC0415 - only the build child needs what builds
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - only the build child

    quantize_dynamic(
        graph,
        target,
        op_types_to_quantize=list(_MATRICES),
        nodes_to_exclude=last_matrices(onnx.load(graph, load_external_data=False).graph),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        # Word vectors stay as they are: the result may be as large as its source.
        use_external_data_format=any(graph.parent.glob(f"{graph.name}.*")),
    )


def last_matrices(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that multiply by constant weights last: one for each output that has a single such node."""
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    found: list[str] = []
    for output in graph.output:
        last: set[str] = set()
        seen: set[str] = set()
        waiting = [output.name]
        while waiting and len(last) < 2:  # two: the output is a sum of several ways, as in the middle of a network
            name = waiting.pop()
            node = makers.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            if node.op_type in _MATRICES and any(weights in constants for weights in node.input):
                # The quantiser first makes a MatMul of every Gemm, under this name.
                last.add(f"{node.name}_MatMul" if node.op_type == "Gemm" else node.name)
            else:
                waiting += node.input
        if len(last) == 1:
            found += last
    return found


class OnnxGraphEngine:
    """A graph with the network's inputs and outputs, on CPU."""

    def __init__(self, network: Network, graph: Path, *, threads: int, precision: str) -> None:
        self.info = EngineInfo(f"ONNX Runtime {ort.__version__}", "CPU", precision)
        self._names = [spec.name for spec in network.inputs]
        self._outputs = list(network.outputs)
        self._session = open_session(graph, threads=threads)

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        """Run one batch."""
        with device_errors(self.info.device):
            return tuple(self._session.run(self._outputs, dict(zip(self._names, inputs, strict=True))))


def export(network: Network, samples: Arrays, graph: Path) -> None:
    """Write the reference as an ONNX graph whose batch axis is free. Weights beyond `_ONE_FILE` go beside it."""
    import torch  # noqa: PLC0415 - only the build child

    module = network.load()
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        module,
        tuple(torch.from_numpy(_examples(array)) for array in samples),
        graph,
        input_names=[spec.name for spec in network.inputs],
        output_names=list(network.outputs),
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=tuple({0: batch} for _ in samples),
        external_data=weight_bytes(module) > _ONE_FILE,
        verbose=False,
    )


def weight_bytes(module: torch.nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _examples(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ascontiguousarray(np.resize(array, (EXAMPLES, *array.shape[1:])))
