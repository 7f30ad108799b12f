"""Image to words and to a vector that texts can be compared with: ConSE on top of an ImageNet classifier.

Source: Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings" (2013): the classifier's most
probable classes, weighted by their probability, are averaged in the space of the text model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from indexer.models.classes import PARENTS
from indexer.models.efficientnet_layout import PIXEL_MEAN, PIXEL_SCALE, SIDE
from indexer.models.space import SPACE
from indexer.records import Embedding, Tag
from indexer.runtime.engines import ImageEngine

TAGS_SOURCE = "imagenet"

TEMPERATURE = 1.5
TOP_CLASSES = 20
TAG_CONFIDENCE = 0.2
PARENT_CONFIDENCE = 0.4
MAX_TAGS = 8


@dataclass(frozen=True, slots=True)
class Concepts:
    """What the network says about one photo."""

    tags: tuple[Tag, ...]
    """Most confident first."""
    embedding: Embedding


class ConceptModel:
    """Turns decoded photos into tags and an embedding in `space`."""

    space = SPACE
    tags_source = TAGS_SOURCE

    def __init__(self, engine: ImageEngine, labels: NDArray[np.float32], names: tuple[str, ...]) -> None:
        """`engine` gives logits of C classes, `labels` (C, D) are their unit text vectors, `names` their tag names."""
        self._engine = engine
        self._labels = labels
        self._names = names
        self._parents = np.zeros((len(PARENTS), len(names)), np.float32)
        for row, members in zip(self._parents, PARENTS.values(), strict=True):
            row[list(members)] = 1

    @property
    def runtime(self) -> str:
        """What runs the network, for people."""
        return self._engine.runtime

    def prepare(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W, 3) sRGB to the network's views (1, 3, 224, 224). Thread-safe.

        One view, half way between the centre square (which loses the sides) and the whole frame squashed (which
        distorts): the long side is cut to the geometric mean of both sides, then squashed. Measured, it finds as many
        photos as any two views, at half the cost (docs/models.md).
        """
        height, width = pixels.shape[:2]
        kept = round(math.sqrt(height * width))
        top, left = max(0, height - kept) // 2, max(0, width - kept) // 2
        view = _resize(pixels[top : top + min(height, kept), left : left + min(width, kept)])
        scaled = (view.astype(np.float32) - PIXEL_MEAN) / PIXEL_SCALE
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)

    def infer(self, batch: NDArray[np.float32]) -> list[Concepts]:
        """A batch (N, views, 3, 224, 224) of prepared photos to N results, in order."""
        photos, views = batch.shape[:2]
        logits = self._engine(batch.reshape(photos * views, *batch.shape[2:])).reshape(photos, views, -1)
        probabilities = _softmax(logits).mean(axis=1)
        vectors = self._embed(_softmax(logits / TEMPERATURE).mean(axis=1))
        return [
            Concepts(self._tags(row), Embedding(self.space, vector.astype("<f2").tobytes()))
            for row, vector in zip(probabilities, vectors, strict=True)
        ]

    def _embed(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities (N, C) to unit vectors (N, D)."""
        weights = np.zeros_like(probabilities)
        top = np.argpartition(-probabilities, TOP_CLASSES, axis=1)[:, :TOP_CLASSES]
        np.put_along_axis(weights, top, np.take_along_axis(probabilities, top, axis=1), axis=1)
        sums = weights @ self._labels
        vectors: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors

    def _tags(self, probabilities: NDArray[np.float32]) -> tuple[Tag, ...]:
        found = {
            self._names[index]: float(probabilities[index]) for index in np.flatnonzero(probabilities >= TAG_CONFIDENCE)
        }
        for name, share in zip(PARENTS, self._parents @ probabilities, strict=True):
            if share >= PARENT_CONFIDENCE:
                found[name] = max(found.get(name, 0.0), min(float(share), 1.0))
        best = sorted(found.items(), key=lambda item: -item[1])[:MAX_TAGS]
        return tuple(Tag(name, round(confidence, 4), self.tags_source) for name, confidence in best)


def _resize(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) to (224, 224, 3); averaging when shrinking, so that no fine pattern turns into a false one."""
    shrinks = min(pixels.shape[:2]) >= SIDE
    resized = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
