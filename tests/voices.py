"""Sound that the tests make for themselves: voices at known times, music, noise. All of it mono, 16 kHz, float32."""

from __future__ import annotations

import functools
import io
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float32]


@functools.cache
def spoken(text: str) -> Samples:
    """A voice that says the text, without silence around it."""
    command = ["espeak-ng", "-v", "en-gb", "-s", "140", "--stdout", text]
    sound = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(sound)) as reader:
        rate, samples = reader.getframerate(), np.frombuffer(reader.readframes(10**9), "<i2")
    times = np.arange(0, len(samples) / rate, 1 / RATE)
    voice = np.interp(times, np.arange(len(samples)) / rate, samples / 32768).astype(np.float32)
    audible = np.flatnonzero(np.abs(voice) > 0.01)
    return voice[audible[0] : audible[-1] + 1]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """Sentences one after the other."""

    sound: Samples
    starts: tuple[float, ...]
    """Seconds."""
    ends: tuple[float, ...]


def sentences(texts: Sequence[str], pauses: Sequence[float]) -> Spoken:
    """Each sentence after a pause (seconds), and a second of silence at the end."""
    parts: list[Samples] = []
    starts: list[float] = []
    ends: list[float] = []
    length = 0
    for text, pause in zip(texts, pauses, strict=True):
        parts += [silence(pause), spoken(text)]
        length += len(parts[-2])
        starts.append(length / RATE)
        length += len(parts[-1])
        ends.append(length / RATE)
    return Spoken(np.concatenate([*parts, silence(1)]), tuple(starts), tuple(ends))


def chords(seconds: float, *, bpm: int = 120) -> Samples:
    """Triads that are struck on each beat, with the overtones of a plucked string, and a bass."""
    times = np.arange(round(seconds * RATE)) / RATE
    beat = (times * bpm / 60).astype(int)
    since = times - beat * 60 / bpm
    semitones = np.array([0, 5, 7, 0, 9, 5, 7, 4])[beat % 8]
    sound = np.zeros(len(times))
    for voice, loudness in ((-12, 0.7), (0, 1.0), (4, 0.8), (7, 0.8)):
        pitch = 261.63 * 2 ** ((semitones + voice) / 12)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        for overtone in range(1, 6):
            sound += loudness / overtone**1.5 * np.sin(overtone * phase) * np.exp(-since * (1.5 + overtone))
    return (0.12 * sound).astype(np.float32)


def drums(seconds: float, *, bpm: int = 120) -> Samples:
    """A bass drum on each beat and a hi-hat between them."""
    times = np.arange(round(seconds * RATE)) / RATE
    since = times % (60 / bpm)
    off = (times + 30 / bpm) % (60 / bpm)
    kick = np.sin(2 * np.pi * 60 * since) * np.exp(-since * 25)
    hat = np.random.default_rng(5).normal(0, 0.3, len(times)) * np.exp(-off * 60)
    return (0.3 * (kick + hat)).astype(np.float32)


def noise(seconds: float, *, slope: float = 0.0, loudness: float = 0.1) -> Samples:
    """Noise whose power falls off as 1/f^slope: white (0), pink (1), brown (2)."""
    count = round(seconds * RATE)
    frequencies = np.fft.rfftfreq(count)
    frequencies[0] = frequencies[1]
    random = np.random.default_rng(3)
    spectrum = np.fft.rfft(random.normal(size=count)) * frequencies ** (-slope / 2)
    sound = np.fft.irfft(spectrum, count)
    loud: Samples = (loudness * sound / sound.std()).astype(np.float32)
    return loud


def wind(seconds: float) -> Samples:
    """Gusts: brown noise that swells and fades, with a howl whose pitch wanders."""
    count = round(seconds * RATE)
    random = np.random.default_rng(9)
    knots = np.arange(0, seconds + 2, 0.7)
    times = np.arange(count) / RATE
    gust = np.interp(times, knots, random.uniform(0.1, 1, len(knots)))
    pitch = 400 * 2 ** np.interp(times, knots, random.uniform(-0.5, 0.8, len(knots)))
    howl = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.abs(noise(seconds, slope=2, loudness=0.1))
    blown: Samples = (gust * (noise(seconds, slope=2, loudness=0.15) + howl)).astype(np.float32)
    return blown
