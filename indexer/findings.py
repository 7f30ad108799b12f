"""What a stage may say about a photo, so that nothing else reaches the catalog, whoever wrote the stage."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from config.errors import CatalogError, DeviceFailed, MediaError, ReverieError, StageBroken, StageFailed
from indexer.records import AUTHORED, Detection, Embedding, Tag
from indexer.stage import Findings

logger = logging.getLogger(__name__)

LONGEST_NAME = 200
"""Characters of a tag or label."""

NORM_TOLERANCE = 0.01
"""How far from 1 the L2 norm of a vector may be: float16 rounding stays well below."""

_Input = TypeVar("_Input")


def analyse_each(
    stage: str, analyse: Callable[[Sequence[_Input]], Sequence[Findings]], inputs: Sequence[_Input]
) -> list[Findings | StageFailed]:
    """Run a batch; where the stage fails, run its photos one by one, so that the culprit alone is without result.

    Raises StageBroken, DeviceFailed or CatalogError, which stop the worker.
    """
    try:
        with blamed_on(stage):
            findings = analyse(inputs)
            if len(findings) != len(inputs):
                raise StageFailed(
                    f'The stage "{stage}" gave {len(findings)} results for {len(inputs)} photos.', _fault(stage)
                )
    except StageFailed as error:
        failure = error
    else:
        return [_checked_or_failed(stage, one) for one in findings]
    if len(inputs) == 1:
        return [failure]
    return [outcome for one in inputs for outcome in analyse_each(stage, analyse, [one])]


@contextmanager
def blamed_on(stage: str) -> Iterator[None]:
    """Whatever goes wrong within, as what it means: StageFailed costs a file this stage; StageBroken, DeviceFailed and
    CatalogError stop the worker; MediaError is the file's own fault."""
    try:
        yield
    except (StageFailed, DeviceFailed, CatalogError, MediaError):
        raise
    except ReverieError as error:
        raise StageBroken(stage, error.title, error.remedy) from error
    except Exception as error:
        logger.warning('the stage "%s" failed', stage, exc_info=True)
        raise StageFailed(
            f'The stage "{stage}" failed unexpectedly on this file ({type(error).__name__}: {error}).', _fault(stage)
        ) from error


def _checked_or_failed(stage: str, findings: Findings) -> Findings | StageFailed:
    try:
        return checked(stage, findings)
    except StageFailed as error:
        return error


def checked(stage: str, findings: Findings) -> Findings:
    """The findings on one photo, with plain numbers and names in lower case.

    Raises StageFailed: a name is empty or no text, or a number is out of its range.
    """
    try:
        if not isinstance(findings, Findings):
            raise TypeError(f"a {type(findings).__name__} is not Findings")
        return Findings(
            tags=tuple(map(_tag, findings.tags)),
            detections=tuple(map(_detection, findings.detections)),
            embedding=None if findings.embedding is None else _embedding(findings.embedding),
            aesthetic=None if findings.aesthetic is None else _share(findings.aesthetic, "aesthetic score"),
            cut_out=None if findings.cut_out is None else _png(findings.cut_out),
        )
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise StageFailed(
            f'What the stage "{stage}" found in this file cannot be used: {error}.', _fault(stage)
        ) from error


def _tag(tag: Tag) -> Tag:
    if tag.segment != 0:
        raise ValueError(f"a photo has no segment {tag.segment!r}")
    count = None if tag.count is None else int(tag.count)
    if count is not None and count < 1:
        raise ValueError(f"{count} is no count")
    if tag.source == AUTHORED:
        raise ValueError(f'the source "{AUTHORED}" is for what people say')
    return Tag(_name(tag.name), _share(tag.confidence, "confidence"), _name(tag.source), 0, count)


def _detection(detection: Detection) -> Detection:
    if detection.segment != 0:
        raise ValueError(f"a photo has no segment {detection.segment!r}")
    left, top, right, bottom = (_share(side, "side of a box") for side in detection.box)
    if right < left or bottom < top:
        raise ValueError(f"the box {detection.box!r} is inside out")
    return Detection(_name(detection.label), _share(detection.score, "score"), (left, top, right, bottom), 0)


def _embedding(embedding: Embedding) -> Embedding:
    vector = np.frombuffer(embedding.vector, "<f2").astype(np.float32)
    norm = float(np.linalg.norm(vector))
    if vector.size != embedding.space.dimension or not abs(norm - 1) <= NORM_TOLERANCE:  # NaN is refused too
        raise ValueError(f"a vector of {vector.size} values and length {norm:.3g}")
    return embedding


def _png(data: Any) -> bytes:
    if not isinstance(data, bytes) or not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("the cut-out is no PNG")
    return data


def _name(value: Any) -> str:
    if not isinstance(value, str) or not (name := value.strip().lower()) or len(name) > LONGEST_NAME:
        raise ValueError(f"{value!r} is not the name of anything"[:LONGEST_NAME])
    return name


def _share(value: Any, what: str) -> float:
    number = float(value)
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise ValueError(f"the {what} {number!r} is not from 0 to 1")
    return number


def _fault(stage: str) -> str:
    return f'This is a fault of the stage "{stage}": please report it to its makers. `reverie retry` tries again.'
