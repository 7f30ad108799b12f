"""A dual encoder as transformers computes it: the reference of both its sides. Needs PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from indexer.models.pretrained import load_model
from indexer.models.text_graph import shape_of


def read_model(folder: Path) -> Any:
    """The whole model in float32, on CPU, in eval mode.

    Raises ModelError if transformers cannot load it, or it is of a kind that is not known here.
    """
    model = load_model("AutoModel", folder)
    shape_of(model.config)
    return model


class ImageTower(torch.nn.Module):
    """Prepared pictures (N, 3, H, W) to unit vectors (N, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # The other side takes memory on the device and says nothing about pictures.
        del model.text_model
        self._model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """The picture's features, of length 1."""
        features = self._model.get_image_features(pixel_values=pixel_values).pooler_output
        return torch.nn.functional.normalize(features, dim=-1)
