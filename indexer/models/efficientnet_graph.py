"""EfficientNet-Lite0 as an ONNX graph, written from a state dict.

Batch normalisation is folded into the convolutions; TensorFlow's SAME padding is ONNX's SAME_UPPER.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from indexer.models.efficientnet_layout import BATCH_NORM_EPSILON, CLASSES, SIDE, blocks
from indexer.models.graph import GraphWriter

Weights = Mapping[str, NDArray[np.float32]]


def write_graph(weights: Weights) -> bytes:
    """The network as a serialised model: "image" (N, 3, 224, 224) float32 to "logits" (N, 1000) float32."""
    writer = GraphWriter()
    low = writer.constant("zero", np.zeros((), np.float32))
    high = writer.constant("six", np.full((), 6, np.float32))

    def convolve(x: str, convolution: str, norm: str, *, stride: int = 1, groups: int = 1, clip: bool = True) -> str:
        kernel, bias = _fold(weights, convolution, norm)
        x = writer.add(
            "Conv",
            x,
            writer.constant(f"{convolution}.weight", kernel),
            writer.constant(f"{convolution}.bias", bias),
            auto_pad="SAME_UPPER",
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            group=groups,
        )
        return writer.add("Clip", x, low, high) if clip else x

    x = convolve("image", "_conv_stem", "_bn0", stride=2)
    for block in blocks():
        name, entry = f"_blocks.{block.index}", x
        if block.expanded != block.inputs:
            x = convolve(x, f"{name}._expand_conv", f"{name}._bn0")
        x = convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=block.stride, groups=block.expanded)
        x = convolve(x, f"{name}._project_conv", f"{name}._bn2", clip=False)
        if block.residual:
            x = writer.add("Add", x, entry)
    x = convolve(x, "_conv_head", "_bn1")
    x = writer.add("Flatten", writer.add("GlobalAveragePool", x))
    writer.linear(x, "_fc", weights["_fc.weight"].T, weights["_fc.bias"], output="logits")
    return writer.model(
        "efficientnet-lite0",
        {"image": (TensorProto.FLOAT, ["photo", 3, SIDE, SIDE])},
        {"logits": (TensorProto.FLOAT, ["photo", CLASSES])},
    )


def _fold(weights: Weights, convolution: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A convolution's kernel and bias with the batch normalisation behind it multiplied in."""
    variance = weights[f"{norm}.running_var"].astype(np.float64)
    factor = weights[f"{norm}.weight"] / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = weights[f"{convolution}.weight"] * factor[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * factor
    return kernel.astype(np.float32), bias.astype(np.float32)
