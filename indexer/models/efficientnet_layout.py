"""The shape of EfficientNet-Lite0 and of its input, shared by the ONNX graph and the PyTorch reference.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for CNNs" (2019), and the Lite variants of the TensorFlow
TPU models: no squeeze-and-excitation, ReLU6, a stem and head of fixed width, and input scaled by (rgb - 127) / 128.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SIDE = 224
"""Pixels, each side of the square input."""
CLASSES = 1000
PIXEL_MEAN = 127.0
PIXEL_SCALE = 128.0
BATCH_NORM_EPSILON = 1e-3
STEM_WIDTH = 32
HEAD_WIDTH = 1280
STAGES = (
    # blocks, kernel, stride, expansion, width
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted residual block (MobileNetV2's): expand, depthwise convolution, project."""

    index: int
    kernel: int
    stride: int
    inputs: int
    expanded: int
    outputs: int

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs


def blocks() -> Iterator[Block]:
    """The sixteen blocks in order; the first of a stage has the stage's stride."""
    index, inputs = 0, STEM_WIDTH
    for repeats, kernel, stride, expansion, outputs in STAGES:
        for repeat in range(repeats):
            yield Block(index, kernel, stride if repeat == 0 else 1, inputs, inputs * expansion, outputs)
            index, inputs = index + 1, outputs
