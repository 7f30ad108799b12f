"""Whether a sound is music, without a network: notes that last, change, and keep to one scale.

Tones that hold their pitch for a while are followed from frame to frame (McAulay and Quatieri, 1986). Engines and
sirens have such tones too. In music they change, and their pitches lie on a grid of semitones whatever its tuning: that
they do is judged by circular statistics (Dressler and Streich, 2007, find the tuning so; the limit is a Rayleigh test).
Drums alone, glides and songs of birds are not called music: saying nothing is better than a wrong word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
SHORTEST = 4.0
"""Seconds of sound that can be judged."""

_FRAME, _HOP = 2048, 512
"""Samples: 128 ms, every 32 ms."""
_LOWEST, _HIGHEST = 150.0, 2500.0
"""Hertz. Below, semitones lie closer than the bins of a frame; above, there are overtones, and birds."""
_SURROUNDINGS = 16
"""Bins on either side, 125 Hz, above whose mean level a tone must stand out."""
_STANDS_OUT = 12.0
"""Decibels. In white noise one bin in some seven thousand does so by chance."""
_QUIETEST, _FAINTEST = -70.0, -40.0
"""Decibels: of a tone against full scale, and against the loudest in its frame."""
_STEP = 30.0
"""Cents by which a tone may move from one frame to the next; a semitone is 100."""
_WAVERS = 20.0
"""Cents: the standard deviation of a note's pitch."""
_NOTE = 8
"""Frames, a quarter of a second, that a tone must last: chance tones of noise last as long as frames overlap."""
_TOGETHER = 0.1
"""Seconds between the beginnings of notes that are struck together."""
_WINDOW, _STEPS = 8.0, 2.0
"""Seconds that are judged together, and between two judgements."""
_STRIKES, _PITCHES = 4, 3
"""How often notes must begin, and how many different ones must lead."""
_COVERED = 0.5
"""The least share of the time in which a note sounds."""
_RAYLEIGH = 8.0
"""The least n R^2 of n notes: pitches at random reach it once in exp(8), 3,000 times (Mardia and Jupp, 2000, 6.3)."""
_ON_GRID = 0.5
"""The least R, 0 (anywhere) to 1 (all exactly on one grid of semitones)."""


@dataclass(frozen=True, slots=True)
class Note:
    """A tone that holds its pitch. Times in seconds."""

    start: float
    end: float
    cents: float
    """Above 1 Hz."""
    level: float
    """Decibels against full scale, at its loudest."""


@dataclass(frozen=True, slots=True)
class Music:
    """A span of music, in seconds."""

    start: float
    end: float
    confidence: float
    """0 to 1: how closely its notes keep to one scale."""


def music_in(sound: NDArray[np.float32]) -> list[Music]:
    """Spans of music in a sound (N,) of 16 kHz, in order and apart. None in less than four seconds."""
    length = len(sound) / RATE
    if length < SHORTEST:
        return []
    notes = notes_in(sound)
    found: list[Music] = []
    for start, end in _windows(length):
        among = [note for note in notes if note.end > start and note.start < end]
        confidence = _judged(among, start, end)
        if confidence is None:
            continue
        if found and start <= found[-1].end:
            before = found[-1]
            found[-1] = Music(before.start, end, max(before.confidence, confidence))
        else:
            found.append(Music(start, end, confidence))
    return [_fitted(one, notes) for one in found]


def notes_in(sound: NDArray[np.float32]) -> list[Note]:
    """Tones of a sound (N,) of 16 kHz that hold their pitch for a quarter of a second, in order of their end."""
    notes: list[Note] = []
    held: list[_Tone] = []
    for number, (cents, levels) in enumerate(_tones(sound)):
        going: list[_Tone] = []
        free = list(range(len(cents)))
        for tone in held:
            near = min(free, key=lambda place: abs(cents[place] - tone.cents[-1]), default=None)
            if near is not None and abs(cents[near] - tone.cents[-1]) <= _STEP:
                tone.cents.append(cents[near])
                tone.levels.append(levels[near])
                free.remove(near)
                going.append(tone)
            else:
                notes.extend(tone.note())
        held = [*going, *(_Tone(number, [cents[place]], [levels[place]]) for place in free)]
    return [*notes, *(note for tone in held for note in tone.note())]


@dataclass(slots=True)
class _Tone:
    first: int
    cents: list[float]
    levels: list[float]

    def note(self) -> list[Note]:
        if len(self.cents) < _NOTE or np.std(self.cents) > _WAVERS:
            return []
        start, last = self.first * _HOP / RATE, ((self.first + len(self.cents) - 1) * _HOP + _FRAME) / RATE
        return [Note(start, last, float(np.median(self.cents)), max(self.levels))]


def _tones(sound: NDArray[np.float32]) -> Iterator[tuple[list[float], list[float]]]:
    """Of each frame, the pitches (cents) and levels (dB) of what stands out, the lowest first."""
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    first, last = int(_LOWEST * _FRAME / RATE), int(_HIGHEST * _FRAME / RATE)
    low, high = first - _SURROUNDINGS - 1, last + _SURROUNDINGS + 1
    low = max(low, 1)
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
    for frame in frames:
        spectrum = np.abs(np.fft.rfft(frame * window)[low:high]) / (_FRAME / 4)
        levels = 20 * np.log10(spectrum + 1e-9)
        sums = np.concatenate([[0.0], np.cumsum(levels)])
        bins = np.arange(first, last) - low
        left, right = np.maximum(bins - _SURROUNDINGS, 0), np.minimum(bins + _SURROUNDINGS + 1, len(levels))
        around = (sums[right] - sums[left]) / (right - left)
        here = levels[bins]
        peaks = bins[
            (here > levels[bins - 1])
            & (here >= levels[bins + 1])
            & (here > around + _STANDS_OUT)
            & (here > max(_QUIETEST, float(here.max()) + _FAINTEST))
        ]
        # A parabola through three levels gives the true place of a peak between bins (Smith and Serra, 1987).
        before, top, after = levels[peaks - 1], levels[peaks], levels[peaks + 1]
        places = peaks + low + 0.5 * (before - after) / (before - 2 * top + after)
        yield (1200 * np.log2(places * RATE / _FRAME)).tolist(), top.tolist()


def _windows(length: float) -> Iterator[tuple[float, float]]:
    start = 0.0
    while start + _WINDOW < length:
        yield start, start + _WINDOW
        start += _STEPS
    yield max(0.0, length - _WINDOW), length


def _judged(notes: Sequence[Note], start: float, end: float) -> float | None:
    """How closely notes keep to one scale; None if they are no music."""
    strikes = _strikes(notes)
    if len(strikes) < _STRIKES or _covered(notes, start, end) < _COVERED:
        return None
    angles = np.exp(2j * np.pi * np.array([note.cents for note in notes]) / 100)
    mean = complex(angles.mean())
    on_grid = abs(mean)
    if on_grid < _ON_GRID or len(notes) * on_grid**2 < _RAYLEIGH:
        return None
    tuning = np.angle(mean) / (2 * np.pi) * 100
    leading = {round((max(strike, key=lambda note: note.level).cents - tuning) / 100) % 12 for strike in strikes}
    return on_grid if len(leading) >= _PITCHES else None


def _strikes(notes: Sequence[Note]) -> list[list[Note]]:
    """Notes by when they begin."""
    strikes: list[list[Note]] = []
    for note in sorted(notes, key=lambda one: one.start):
        if strikes and note.start - strikes[-1][0].start <= _TOGETHER:
            strikes[-1].append(note)
        else:
            strikes.append([note])
    return strikes


def _covered(notes: Sequence[Note], start: float, end: float) -> float:
    covered, reached = 0.0, start
    for note in sorted(notes, key=lambda one: one.start):
        covered += max(0.0, min(note.end, end) - max(note.start, reached))
        reached = max(reached, min(note.end, end))
    return covered / (end - start)


def _fitted(music: Music, notes: Sequence[Note]) -> Music:
    """From the first of its notes to the end of the last: windows reach beyond them."""
    among = [note for note in notes if note.end > music.start and note.start < music.end]
    start = max(music.start, min(note.start for note in among))
    return Music(start, min(music.end, max(note.end for note in among)), music.confidence)
