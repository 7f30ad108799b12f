"""What a stage is: one analysis of media, ours or a plug-in's.

A stage of pictures prepares each one alone, in a decode thread, and analyses what was prepared in batches, in one
thread. A picture is a photo or a frame of a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from indexer.records import Detection, Embedding, Event, MediaInfo, RuntimeReport, Space, Tag, Transcript


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


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a sound, in samples."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a stage heard in a piece of sound. Times are seconds from the beginning of the piece."""

    transcript: Transcript | None = None
    events: tuple[Event, ...] = ()


@runtime_checkable
class SoundStage(Protocol):
    """A stage that listens."""

    name: str
    revision: int

    @property
    def report(self) -> RuntimeReport | None:
        """As that of a `PhotoStage`."""

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        """A piece of sound (N,), mono, 16 kHz, -1 to 1, and the stretches of it where somebody speaks, to what is
        heard. Called from one thread at a time."""


@runtime_checkable
class ClipStage(Protocol):
    """A stage that looks at several frames in a row."""

    name: str
    revision: int
    frames: int
    """How many frames it looks at."""

    @property
    def report(self) -> RuntimeReport | None:
        """As that of a `PhotoStage`."""

    def prepare_clip(self, clip: NDArray[np.uint8]) -> Any:
        """(F, H, W, 3) sRGB, F >= 1, in order and evenly spaced, to what `recognise` takes. From any thread."""

    def recognise(self, clips: Sequence[Any]) -> Sequence[tuple[Event, ...]]:
        """What was prepared to the actions in each, the surest first; their times are 0. From one thread at a time."""


LoadedStage = PhotoStage | VectorStage | SoundStage | ClipStage
