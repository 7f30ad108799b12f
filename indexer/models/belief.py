"""Whether what a speech model wrote down was said: a model of English writes English down whatever it hears.

In a language that it does not know Whisper is less sure of its words, and what it makes up is as much chance as sound:
played a little quicker or slower, the same sound becomes other words. What was said stays the same. How the limits were
chosen, and how they do on clips that they were not chosen by: docs/decisions/speech.md.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.models.voice import RATE
from indexer.records import Transcript, Utterance
from indexer.stage import Stretch

SURE_LANGUAGE = 0.5
"""How probable the language must be that a model of many has identified."""
SPEEDS = (1.1, 0.92)
"""How fast a sentence is played again; its pitch changes with it."""

_SURE, _SURE_AROUND = 0.8, 0.75
"""Confidence of a sentence, and of all that was heard together with it, above which once is enough: invented sentences
were as sure as 0.99, but then their surroundings were not."""
_LEAST, _ALIKE = 0.45, 0.5
"""The least mean confidence (first time, other times, surroundings), and how alike the texts must be at least."""
_WELL, _SOMEWHAT_ALIKE = 0.6, 0.2
"""Or these: "one two three" and "1, 2, 3" have few words in common."""
_MARGIN = 0.25
"""Seconds of sound to either side of a sentence."""
_APART = RATE // 2
"""Samples of silence between two sentences that are heard again."""
_SHORTEST, _SHORTEST_BESIDE = 0.5, 1.0
"""Seconds of speech without words that are worth telling; and beside other words: "um" is no language."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that a model heard."""

    sentence: Utterance
    around: float
    """The confidence of all that it heard together with the sentence."""

    @property
    def doubtful(self) -> bool:
        """Whether to listen again before it is believed."""
        return self.sentence.confidence < _SURE or self.around < _SURE_AROUND

    @property
    def hopeless(self) -> bool:
        """Whether it would not be believed even if it came out again with full confidence."""
        return self.mean(1.0) < _LEAST

    def mean(self, again: float) -> float:
        """The mean confidence of the first time, the other times and the surroundings."""
        return float(np.cbrt(self.sentence.confidence * self.around * again))


def again(sound: NDArray[np.float32], claims: Sequence[Claim]) -> tuple[NDArray[np.float32], list[tuple[Stretch, ...]]]:
    """The sentences one after the other, each at the other speeds, as a sound; and the places in it of each."""
    parts: list[NDArray[np.float32]] = []
    places: list[tuple[Stretch, ...]] = []
    length = 0
    for claim in claims:
        start = max(0, round((claim.sentence.start - _MARGIN) * RATE))
        part = sound[start : round((claim.sentence.end + _MARGIN) * RATE)]
        found: list[Stretch] = []
        for speed in SPEEDS:
            played = np.interp(np.arange(0, len(part), speed), np.arange(len(part)), part).astype(np.float32)
            found.append(Stretch(length, length + len(played)))
            parts += [played, np.zeros(_APART, np.float32)]
            length += len(played) + _APART
        places.append(tuple(found))
    return np.concatenate(parts), places


def confirmed(claim: Claim, places: Sequence[Stretch], heard: Transcript) -> bool:
    """Whether a sentence was heard again; `places`: where it is in the sound of `again`."""
    surely = alike = 0.0
    for place in places:
        same = [one for one in heard.utterances if place.start <= (one.start + one.end) / 2 * RATE < place.end]
        surely += min((one.confidence for one in same), default=0.0) / len(places)
        alike += likeness(claim.sentence.text, " ".join(one.text for one in same)) / len(places)
    mean = claim.mean(surely)
    return (mean >= _LEAST and alike >= _ALIKE) or (mean >= _WELL and alike >= _SOMEWHAT_ALIKE)


def likeness(text: str, other: str) -> float:
    """How many of the words of two texts are the same, in the same order, 0 to 1."""
    first, second = (re.findall(r"\w+", one.lower()) for one in (text, other))
    return difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()


def wordless(speech: Sequence[Stretch], said: Sequence[Utterance]) -> Iterator[Stretch]:
    """Where somebody speaks and nothing was understood. Both in order, in one sound."""
    shortest = (_SHORTEST_BESIDE if said else _SHORTEST) * RATE
    for stretch in speech:
        start, gaps = stretch.start, list[Stretch]()
        for one in said:
            first, last = round(one.start * RATE), round(one.end * RATE)
            if last > start and first < stretch.end:
                gaps.append(Stretch(start, first))
                start = max(start, last)
        gaps.append(Stretch(start, stretch.end))
        yield from (gap for gap in gaps if gap.end - gap.start >= shortest)
