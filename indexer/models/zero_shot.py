"""When a photo deserves a label: the label's nearness against that of captions that could describe any photo.

A raw cosine decides nothing: texts are a little near to everything, some more than others, and the cosines of a dual
encoder lie in a narrow band that differs from model to model. docs/decisions/zero-shot-labels.md gives the reasons for
each step. With the photo v, the label t and the captions b_1 .. b_M, all unit vectors, and the model's logit scale s:

1. The direction of the captions' mean is taken out of every text: along it lies how near a text is to everything. What
   is left is brought to one length r, the captions' own mean length, so that no label is near by being long (after Mu
   and Viswanath, "All-but-the-Top", 2018). What all photos have in common, and texts have not, weighs all texts alike
   as far as it is at right angles to what tells them apart (Liang et al., "Mind the Gap", 2022).
2. The odds of the label against the captions are those of the softmax that the model was trained with (Radford et al.,
   2021): p = exp(s t'v) / (exp(s t'v) + sum over b' of exp(s b'v)), where the twentieth of the captions nearest
   to the label are left out, as they may say the same.
3. A label is given if it is more probable than all those captions together (p of one half), if it lies four standard
   deviations above the photo's captions (a softmax with a large scale gives all to the first, however close the race:
   among more labels than captions, a label is often first by luck), and if it is not far less probable than the best of
   its list, which it may merely resemble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.records import Tag

SOURCE = "zero-shot"

BEATS = 0.5
"""The probability from which a label is given: it says more about the photo than all captions together."""
STANDS_OUT = 4.0
"""Standard deviations above the captions. By chance one in 30,000 texts lies so high, if they are normally distributed:
with 500 labels, on one photo in 60."""
BESIDE_BEST = 0.1
"""The odds against the best label of the same list that another label of it needs. Below, it is a likeness."""
SAME_MEANING = 0.05
"""The share of the captions, those nearest to a label, that do not compete with it."""
PER_LIST = 4
"""Labels of one list that a photo gets at most."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LabelVectors:
    """One list with the vectors of its labels."""

    labels: tuple[str, ...]
    vectors: Matrix
    """(L, D), unit rows."""


class ZeroShot:
    """Gives labels to photos by their vectors. Thread-safe."""

    def __init__(self, lists: Mapping[str, LabelVectors], background: Matrix, scale: float) -> None:
        """`background` (M, D) are the unit vectors of the captions, `scale` is the model's logit scale."""
        mean = background.mean(axis=0)
        common = mean / max(float(np.linalg.norm(mean)), float(np.finfo(np.float32).tiny))
        captions = _without(background, common)
        length = float(np.linalg.norm(captions, axis=1).mean()) * scale
        self._captions = _scaled(captions, length)
        self._lists = []
        for one in lists.values():
            labels = _scaled(_without(one.vectors, common), length)
            self._lists.append((one.labels, labels, _competing(labels, self._captions)))

    def tags(self, photos: Matrix) -> list[tuple[Tag, ...]]:
        """Unit rows (N, D) to the labels of each photo, the most probable first."""
        background = photos @ self._captions.T
        limit = _standing_out(background)
        found: list[dict[str, float]] = [{} for _ in photos]
        for labels, vectors, competing in self._lists:
            logits = photos @ vectors.T
            given = _given(logits, _probabilities(logits, background, competing), limit)
            for photo, chosen in zip(found, given, strict=True):
                for index, probability in chosen:
                    photo[labels[index]] = max(photo.get(labels[index], 0.0), probability)
        return [_tags(photo) for photo in found]


def _without(rows: Matrix, direction: Matrix) -> Matrix:
    """Rows (N, D) without what they have of a direction (D,) of length 1."""
    rest: Matrix = rows - (rows @ direction)[:, None] * direction
    return rest


def _scaled(rows: Matrix, length: float) -> Matrix:
    """Rows brought to one length; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Matrix = rows * (length / np.maximum(norms, np.finfo(np.float32).tiny))
    return scaled


def _competing(labels: Matrix, captions: Matrix) -> NDArray[np.float32]:
    """(M, L): 1 where a caption competes with a label, 0 where it is one of the nearest to it."""
    nearness = captions @ labels.T
    count = int(SAME_MEANING * len(captions))
    competing = np.ones_like(nearness)
    if count:
        nearest = np.argpartition(-nearness, count - 1, axis=0)[:count]
        np.put_along_axis(competing, nearest, 0, axis=0)
    return competing


def _probabilities(logits: Matrix, background: Matrix, competing: NDArray[np.float32]) -> Matrix:
    """(N, L) of each label against its captions."""
    top = np.maximum(logits.max(axis=1, keepdims=True), background.max(axis=1, keepdims=True))
    own = np.exp(logits - top)
    others = np.exp(background - top) @ competing
    probabilities: Matrix = own / np.maximum(own + others, np.finfo(np.float32).tiny)
    return probabilities


def _standing_out(background: Matrix) -> Matrix:
    """(N, 1) the logit from which a text stands out from a photo's captions (N, M).

    Their spread is taken from the middle two thirds (the 16th and 84th percentiles lie a standard deviation from the
    middle): the few captions that do describe the photo would widen it.
    """
    low, middle, high = np.quantile(background, (0.16, 0.5, 0.84), axis=1, keepdims=True)
    limit: Matrix = middle + STANDS_OUT * (high - low) / 2
    return limit


def _given(logits: Matrix, probabilities: Matrix, limit: Matrix) -> list[list[tuple[int, float]]]:
    """For each photo the labels of one list, as (index, probability), the most probable first."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    fit = (probabilities >= BEATS) & (logits >= limit) & (odds >= BESIDE_BEST)
    given = []
    for row, fits in zip(probabilities, fit, strict=True):
        best = np.argsort(-row, kind="stable")
        given.append([(int(index), float(row[index])) for index in best if fits[index]][:PER_LIST])
    return given


def _tags(found: Mapping[str, float]) -> tuple[Tag, ...]:
    best: Sequence[tuple[str, float]] = sorted(found.items(), key=lambda item: -item[1])
    return tuple(Tag(name.lower(), round(min(confidence, 1.0), 4), SOURCE) for name, confidence in best)
