"""The modules of the planted network and of its faults."""

from __future__ import annotations

import torch


class Tiny(torch.nn.Module):
    """Patches, a norm, two dense layers. `scale` multiplies what comes before the norm, which takes it out again."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.patches = torch.nn.Conv2d(3, 32, 8, stride=8)
        self.patches.weight.data *= scale
        self.norm = torch.nn.LayerNorm(32)
        self.dense = torch.nn.Linear(32, 64)
        self.head = torch.nn.Linear(64, 48)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 3, 32, 32) to (N, 48)."""
        result = self.vectors(pixels)
        if not torch.compiler.is_exporting():
            # So that a compiled engine is the faster one on every machine, however busy.
            for _ in range(30):
                self.vectors(pixels)
        return result

    def vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.patches(pixels).flatten(2).transpose(1, 2))
        vectors: torch.Tensor = self.head(torch.nn.functional.gelu(self.dense(tokens)).mean(dim=1))
        return vectors


class Constant(torch.nn.Module):
    """The mean of all answers, for each."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.module(pixels)
        return output.mean(dim=0, keepdim=True).expand_as(output)


class Half(torch.nn.Module):
    """All in float16."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module.half()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.module(pixels.half())
        return output
