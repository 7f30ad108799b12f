"""Models of transformers as plain modules: tensors in, tensors out, as the exporters want them."""

from __future__ import annotations

from typing import Any

import torch


class Boxes(torch.nn.Module):
    """A detector. pixel_values (N, 3, S, S) and, where the model wants it, pixel_mask (N, S, S) in."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, pixel_values: torch.Tensor, pixel_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, Q, C) and boxes (N, Q, 4): centre, width, height, as shares."""
        mask = {} if pixel_mask is None else {"pixel_mask": pixel_mask}
        found = self.model(pixel_values=pixel_values, return_dict=True, **mask)
        return found.logits, found.pred_boxes


class Areas(torch.nn.Module):
    """A segmenter. Sums and the winners leave it: the scores of a single photo would be megabytes."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(N, 3, S, S) to the share of the area that each class wins, and its mean probability, both (N, C); and the
        class that wins at each point, (N, h, w) int32."""
        logits = self.model(pixel_values=pixel_values, return_dict=True).logits
        won = (logits == logits.amax(dim=1, keepdim=True)).to(logits.dtype)
        return won.mean(dim=(2, 3)), logits.softmax(dim=1).mean(dim=(2, 3)), logits.argmax(dim=1).to(torch.int32)


class Actions(torch.nn.Module):
    """A classifier of clips."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, T, 3, S, S) to logits (N, C)."""
        logits: torch.Tensor = self.model(pixel_values=pixel_values, return_dict=True).logits
        return logits


class Sounds(torch.nn.Module):
    """A classifier of sounds."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        """(N, T, F) log mel spectra to logits (N, C)."""
        logits: torch.Tensor = self.model(input_values=input_values, return_dict=True).logits
        return logits


class ClipsAndTexts(torch.nn.Module):
    """X-CLIP with a fixed list of texts, whose vectors are made once instead of for every clip."""

    tokens: torch.Tensor

    def __init__(self, model: Any, tokens: torch.Tensor, mask: torch.Tensor) -> None:
        """`tokens` and `mask`: (L, W), of the texts."""
        super().__init__()
        with torch.inference_mode():
            vectors = model.get_text_features(input_ids=tokens, attention_mask=mask).pooler_output
        # The model's own forward goes on as before; where it asks for the texts' vectors, they are there already.
        model.text_model = _Remembered(vectors.clone())
        model.text_projection = torch.nn.Identity()
        self.model = model
        self.register_buffer("tokens", tokens)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, T, 3, S, S) to the scaled similarity of each clip with each text (N, L)."""
        logits: torch.Tensor = self.model(
            input_ids=self.tokens, pixel_values=pixel_values, return_dict=True
        ).logits_per_video
        return logits


class _Remembered(torch.nn.Module):
    vectors: torch.Tensor

    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)

    def forward(self, **_: Any) -> tuple[None, torch.Tensor]:
        return None, self.vectors
