"""A small writer of ONNX graphs: nodes and weights in, one deterministic model out.

The two builtin networks are written node by node instead of being traced from PyTorch: the same weights give the same
bytes on every machine and with every PyTorch version, and building needs no exporter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
"""The first with LayerNormalization, and old enough for every ONNX Runtime that we allow."""
IR_VERSION = 10
INT8_LIMIT = 63
"""Weights are quantised to 7 bits: x86 without VNNI adds two products of an 8-bit activation and an 8-bit weight in
16 bits, which overflow with full 8-bit weights; so the result is the same on every processor."""


class GraphWriter:
    """Collects nodes and initializers. Every method that adds a node returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an initializer once; a second call with the same name returns the first."""
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append one node and return its output's name."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def linear(
        self,
        x: str,
        name: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        int8: bool = False,
        output: str | None = None,
    ) -> str:
        """`x @ weight + bias`, weight (inputs, outputs).

        With `int8` the weights are symmetric with one scale per output, and activations are quantised as they come
        (ONNX Runtime's dynamic quantisation).
        """
        if not int8:
            product = self.add("MatMul", x, self.constant(f"{name}.weight", weight))
        else:
            scale = np.abs(weight).max(axis=0) / INT8_LIMIT
            quantised = np.round(weight / scale).astype(np.int8)
            outputs = [f"{name}.activation", f"{name}.scale", f"{name}.zero"]
            self._nodes.append(helper.make_node("DynamicQuantizeLinear", [x], outputs, name=f"{name}.quantise"))
            integers = self.add(
                "MatMulInteger",
                outputs[0],
                self.constant(f"{name}.weight", quantised),
                outputs[2],
                self.constant("int8_zero", np.zeros((), np.int8)),
            )
            scales = self.add("Mul", outputs[1], self.constant(f"{name}.weight_scale", scale.astype(np.float32)))
            product = self.add("Mul", self.add("Cast", integers, to=TensorProto.FLOAT), scales)
        return self.add("Add", product, self.constant(f"{name}.bias", bias), output=output)

    def rows(self, index: str, name: str, table: NDArray[np.float32], *, int8: bool) -> str:
        """Look up rows of `table` (rows, width); with `int8` each row is stored as integers with a scale of its own."""
        if not int8:
            return self.add("Gather", self.constant(name, table), index)
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), np.finfo(np.float32).tiny) / 127
        integers = self.add("Gather", self.constant(name, np.round(table / scale).astype(np.int8)), index)
        scales = self.add("Gather", self.constant(f"{name}.scale", scale.astype(np.float32)), index)
        return self.add("Mul", self.add("Cast", integers, to=TensorProto.FLOAT), scales)

    def model(
        self, name: str, inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, tuple[int, list[Any]]]
    ) -> bytes:
        """Serialise and check. `inputs` and `outputs`: name to (ONNX element type, shape with str for free axes)."""
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(key, *spec) for key, spec in inputs.items()],
            [helper.make_tensor_value_info(key, *spec) for key, spec in outputs.items()],
            list(self._weights.values()),
        )
        model = helper.make_model(
            graph, producer_name="reverie", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
