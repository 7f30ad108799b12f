from __future__ import annotations

import numpy as np
import pytest

from indexer.runtime.parity import REDUCED_PRECISION, SAME_PRECISION, Matrix, compare, fixed_images


@pytest.fixture
def reference() -> Matrix:
    return np.random.default_rng(1).normal(size=(8, 1000)).astype(np.float32)


def test_rounding_passes(reference: Matrix) -> None:
    noise = np.random.default_rng(2).normal(0, 1e-5, reference.shape).astype(np.float32)
    assert compare(reference + noise, reference, SAME_PRECISION).passed


def test_a_constant_answer_is_refused_however_close(reference: Matrix) -> None:
    # Scores that hardly differ between inputs: any one of them is "close" to all.
    near = np.float32(100) + reference * np.float32(0.01)
    constant = np.broadcast_to(near.mean(axis=0), near.shape)
    verdict = compare(constant, near, SAME_PRECISION)
    assert verdict.cosine > SAME_PRECISION.cosine
    assert verdict.reason is not None
    assert "spread" in verdict.reason


@pytest.mark.parametrize("defect", ["swapped", "scaled noise", "nan", "shape"])
def test_a_wrong_answer_is_refused(reference: Matrix, defect: str) -> None:
    wrong = {
        "swapped": reference[::-1],
        "scaled noise": reference + np.random.default_rng(3).normal(0, 0.05, reference.shape).astype(np.float32),
        "nan": np.full_like(reference, np.nan),
        "shape": reference[:, :10],
    }[defect]
    assert not compare(wrong, reference, SAME_PRECISION).passed


def test_vectors_that_keep_their_length_but_lose_their_neighbours_are_refused() -> None:
    random = np.random.default_rng(4)
    labels = random.normal(size=(1000, 384)).astype(np.float32)
    labels /= np.linalg.norm(labels, axis=1, keepdims=True)
    vectors = labels[:100]
    drifted = vectors + random.normal(0, 0.03, vectors.shape).astype(np.float32)
    drifted /= np.linalg.norm(drifted, axis=1, keepdims=True)
    assert compare(vectors, vectors, REDUCED_PRECISION, neighbours=labels).passed
    assert not compare(drifted, vectors, REDUCED_PRECISION, neighbours=labels).passed


def test_the_inputs_are_the_same_everywhere_and_differ_among_themselves() -> None:
    images = fixed_images(6, 32)
    assert np.array_equal(images, fixed_images(6, 32))
    assert images.shape == (6, 3, 32, 32)
    assert np.abs(images).max() <= 1
    assert images.std(axis=0).min() > 0
