"""Boxes of detectors: from a network's numbers to things in a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from indexer.records import Detection

Matrix = NDArray[np.float32]

MAX_DETECTIONS = 100
"""Of one picture, as COCO's evaluation counts them."""


def corners(boxes: Matrix) -> Matrix:
    """Centre, width and height (..., 4) to left, top, right, bottom, as shares cut off at the picture's edges."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    edges: Matrix = np.clip(np.concatenate([centre - half, centre + half], axis=-1), 0.0, 1.0)
    return edges


def class_probabilities(logits: Matrix, *, softmax: bool) -> Matrix:
    """Logits (..., C) to probabilities of the classes.

    `softmax`: the classes and, last, "nothing" exclude each other (DETR, Carion et al. 2020); "nothing" is left out.
    Else each class is judged for itself by a sigmoid (RT-DETR, Zhao et al. 2024).
    """
    if not softmax:
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray((shifted / shifted.sum(axis=-1, keepdims=True))[..., :-1], np.float32)


def things(
    probabilities: Matrix, boxes: Matrix, names: Mapping[int, str], *, threshold: float, overlap: float | None
) -> tuple[Detection, ...]:
    """Probabilities (Q, C) and boxes (Q, 4; left, top, right, bottom) to detections, the surest first.

    A query is one thing: only its most probable class counts. `overlap`: see `keep_apart`; None for a network that was
    trained to say everything once.
    """
    classes = probabilities.argmax(axis=1)
    scores = probabilities.max(axis=1)
    order = np.argsort(-scores, kind="stable")
    chosen = order[[scores[query] >= threshold and int(classes[query]) in names for query in order]]
    if overlap is not None:
        chosen = chosen[keep_apart(boxes[chosen], classes[chosen], overlap)]
    return tuple(
        Detection(names[int(classes[query])], round(float(scores[query]), 4), _shares(boxes[query]))
        for query in chosen[:MAX_DETECTIONS]
    )


def keep_apart(boxes: Matrix, classes: NDArray[np.integer], overlap: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within each class: which of the boxes (N, 4), the best first, are kept.

    A box goes if its intersection over union with a kept one of its class is above `overlap`.
    """
    kept: list[int] = []
    for index in range(len(boxes)):
        same = [other for other in kept if classes[other] == classes[index]]
        if not same or _shared(boxes[index], boxes[same]).max() <= overlap:
            kept.append(index)
    return np.array(kept, np.intp)


def _shared(box: Matrix, others: Matrix) -> Matrix:
    """Intersection over union of a box (4,) with others (N, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.clip(sides, 0, None).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - intersection
    shared: Matrix = intersection / np.maximum(union, np.finfo(np.float32).tiny)
    return shared


def _shares(box: Matrix) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(edge), 5) for edge in box)
    return left, top, right, bottom
