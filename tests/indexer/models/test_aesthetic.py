"""The aesthetic score: what the model itself says between a good and a bad prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from indexer.models.aesthetic import AestheticStage, load
from indexer.models.prompts import PAIRS
from indexer.models.text_tower import PROMPTS, obtain_tower
from indexer.stage import VectorStage
from tests.tiny_models import DIMENSION, Installed


@pytest.fixture(scope="module")
def clip(tiny: dict[str, Installed]) -> Installed:
    return tiny["clip"]


@pytest.fixture(scope="module")
def stage(clip: Installed) -> AestheticStage:
    return load("aesthetic:tiny-clip", clip.entry, clip.resources)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def scores(stage: AestheticStage, vectors: NDArray[np.float32]) -> list[float]:
    found = [one.aesthetic for one in stage.analyse_vectors(vectors)]
    assert all(score is not None and 0 <= score <= 1 for score in found)
    return [score for score in found if score is not None]


def test_it_is_the_mean_of_the_models_own_softmax_over_each_pair(stage: AestheticStage, clip: Installed) -> None:
    pictures = torch.rand((5, 3, 32, 32), generator=torch.Generator().manual_seed(2)) * 4 - 2
    pictures[1] *= 0.1
    tokenizers: Any = transformers.AutoTokenizer
    tokenizer = tokenizers.from_pretrained(clip.folder, local_files_only=True)
    reference = transformers.AutoModel.from_pretrained(clip.folder, local_files_only=True).eval()
    words = tokenizer([prompt for pair in PAIRS for prompt in pair], padding=True, return_tensors="pt")
    with torch.inference_mode():
        outputs = reference(**words, pixel_values=pictures)
    logits = outputs.logits_per_image.numpy().reshape(5, len(PAIRS), 2)
    softmax = np.exp(logits - logits.max(axis=2, keepdims=True))
    expected = (softmax / softmax.sum(axis=2, keepdims=True))[:, :, 0].mean(axis=1)
    np.testing.assert_allclose(scores(stage, outputs.image_embeds.numpy()), expected, atol=1e-3)
    assert np.ptp(expected) > 0.05, "pictures must differ, or this proves nothing"


def test_a_photo_towards_the_good_prompts_scores_high(stage: AestheticStage, clip: Installed) -> None:
    prompts = np.load(obtain_tower(clip.entry, clip.resources) / PROMPTS)
    good, bad = prompts[0::2], prompts[1::2]
    towards = np.linalg.pinv(good - bad) @ np.ones(len(PAIRS), np.float32)
    neither = np.linalg.svd(good - bad)[2][-1]
    best, even, worst = scores(stage, unit(np.stack([towards, neither, -towards])))
    assert best > 0.9
    assert worst < 0.1
    assert even == pytest.approx(0.5, abs=0.01)


def test_it_is_a_stage_of_the_models_space_that_any_vector_can_go_through(
    stage: AestheticStage, clip: Installed
) -> None:
    assert isinstance(stage, VectorStage)
    assert stage.space == clip.plan.space
    assert stage.revision == clip.plan.stages["aesthetic:tiny-clip"]
    extremes = np.concatenate([np.eye(DIMENSION, dtype=np.float32), -np.eye(DIMENSION, dtype=np.float32)])
    assert len(scores(stage, extremes)) == len(extremes)
