"""What a stage is: one analysis of a photo, ours or a plug-in's.

A stage prepares each photo alone, in a decode thread, and analyses what was prepared in batches, in one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.records import Detection, Embedding, MediaInfo, RuntimeReport, Space, Tag


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A decoded photo, as a stage sees it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), sRGB, upright, shrunk; the short side keeps at least the stage's `short_side` pixels, if the file has
    that many. Shared by all stages: not to be written to."""
    width: int
    """Of the full image, upright."""
    height: int
    info: MediaInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a stage says about one photo."""

    tags: tuple[Tag, ...] = ()
    detections: tuple[Detection, ...] = ()
    embedding: Embedding | None = None
    aesthetic: float | None = None
    """0 to 1."""
    cut_out: bytes | None = None
    """A small PNG of the subject alone, the rest transparent."""


@runtime_checkable
class PhotoStage(Protocol):
    """A stage that looks at pixels."""

    name: str
    revision: int
    """Grows when the output changes meaning: every photo then owes this stage again."""
    short_side: int
    """Pixels of the short side that `prepare` wants at least."""

    @property
    def report(self) -> RuntimeReport | None:
        """How its network runs now; None for a stage without one."""

    def prepare(self, view: View) -> Any:
        """All that can be done with one photo alone. Called from several threads at once."""

    def analyse(self, batch: Sequence[Any]) -> Sequence[Findings]:
        """What was prepared to findings, one for each, in order. Called from one thread."""


@runtime_checkable
class VectorStage(Protocol):
    """A stage that needs no more than the photo's vector, which may be one stored long ago."""

    name: str
    revision: int
    space: Space
    """The space whose vectors it reads."""

    @property
    def report(self) -> RuntimeReport | None:
        """As that of a `PhotoStage`."""

    def analyse_vectors(self, vectors: NDArray[np.float32]) -> Sequence[Findings]:
        """Unit rows (N, D) to N findings, in order. Called from one thread."""


LoadedStage = PhotoStage | VectorStage
