"""Where a sound is speech, music or silence, without a network but the voice detector; a stage of every library.

Other sounds get no event. Music is looked for where nobody speaks: singing that the voice detector takes for a voice
is speech.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.models.music import SHORTEST, music_in
from indexer.models.resources import Resources
from indexer.models.voice import RATE
from indexer.records import Event, RuntimeReport, Stage
from indexer.stage import Heard, Stretch
from indexer.stages import STAGES

KIND = "sound"
"""Of its events."""
SPEECH, MUSIC, SILENCE = "speech", "music", "silence"

_PAUSE = 1.0
"""Seconds: a shorter one belongs to the speech around it."""
_SILENT = 1e-3
"""Root of the mean square, 60 decibels below full scale; a wave of 16 bits then has 30 steps."""
_BLOCK = RATE // 20
"""Samples, 50 ms, whose loudness counts."""
SHORTEST_SILENCE = 2.0
"""Seconds; at the ends of a piece a silence may be shorter, as it may go on in the next."""


def load(name: str, resources: Resources) -> SoundEvents:
    """The stage. It needs nothing from this machine but the voice detector, which whoever calls it has run."""
    del resources
    return SoundEvents(name)


class SoundEvents:
    """Spans of speech, music and silence as events, as a `SoundStage`."""

    revision = STAGES[Stage.SOUND]
    report: RuntimeReport | None = None
    """No network of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        """Events in order of their start.

        How sure each is: speech, which share of its span is voice; music, how closely its notes keep to one scale;
        silence, 1, because it is measured.
        """
        quiet = [Event(KIND, SILENCE, one.start / RATE, one.end / RATE, 1.0) for one in silences(sound, speech)]
        events = [*_spoken(speech), *_music(sound, speech), *quiet]
        return Heard(events=tuple(sorted(events, key=lambda event: event.start)))


def silences(sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Iterator[Stretch]:
    """Where nobody speaks and a sound (N,) of 16 kHz stays below -60 dB of full scale, for two seconds or at an end."""
    blocks = np.pad(sound, (0, -len(sound) % _BLOCK)).reshape(-1, _BLOCK)
    silent = np.square(blocks).mean(axis=1) < _SILENT**2
    for said in speech:
        silent[said.start // _BLOCK : -(-said.end // _BLOCK)] = False
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False)) * _BLOCK
    for start, end in edges.reshape(-1, 2).tolist():
        stretch = Stretch(start, min(end, len(sound)))
        at_an_end = start == 0 or stretch.end == len(sound)
        if at_an_end or stretch.end - stretch.start >= SHORTEST_SILENCE * RATE:
            yield stretch


def _spoken(speech: Sequence[Stretch]) -> Iterator[Event]:
    groups: list[list[Stretch]] = []
    for stretch in speech:
        if not groups or stretch.start - groups[-1][-1].end >= _PAUSE * RATE:
            groups.append([])
        groups[-1].append(stretch)
    for group in groups:
        start, end = group[0].start, group[-1].end
        voiced = sum(one.end - one.start for one in group) / (end - start)
        yield Event(KIND, SPEECH, start / RATE, end / RATE, voiced)


def _music(sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Iterator[Event]:
    begins = [0, *(stretch.end for stretch in speech)]
    ends = [*(stretch.start for stretch in speech), len(sound)]
    for start, end in zip(begins, ends, strict=True):
        if end - start < SHORTEST * RATE:
            continue
        for found in music_in(sound[start:end]):
            offset = start / RATE
            yield Event(KIND, MUSIC, found.start + offset, found.end + offset, min(1.0, found.confidence))
