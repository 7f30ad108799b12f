"""Where somebody speaks: Silero's voice activity detector (bundled with faster-whisper), and our own cutting.

The detector says for each 32 ms how probable a voice is. What is cut by it (stretches of speech, pieces of a long
sound) is cut where the voice rests: a word in two halves is lost, or heard twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.stage import Stretch

RATE = 16_000
"""Samples a second."""
WINDOW = 512
"""Samples that one probability stands for."""
LONGEST = 28.0
"""Seconds of a stretch; Whisper hears 30 at once."""

_BEGINS, _ENDS = 0.5, 0.35
"""A voice begins at the first probability and lasts until it falls below the second: the detector's own limits."""
_REST = 8
"""Windows, a quarter of a second: shorter rests are within words, or between two that are spoken as one."""
_PAUSE = 16
"""Windows, half a second."""
_BLIP = 8
"""Windows, a quarter of a second, the detector's own limit: what is shorter, with pauses around it, is no word."""
_SHORT, _SURE = 32, 0.8
"""What is shorter than so many windows, a second, must once be so probable: a chord after silence is not."""
_SMOOTH = 7
"""Windows, 0.2 seconds, over which the voice rests where nobody pauses."""


def voice_in(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """How probable a voice is (W,), 0 to 1, in each window of a sound (N,) of 16 kHz; the last may be cut short."""
    from faster_whisper.vad import get_vad_model  # noqa: PLC0415 - loads CTranslate2

    if len(sound) == 0:
        return np.zeros(0, np.float32)
    padded = np.pad(sound, (0, -len(sound) % WINDOW))
    return np.asarray(get_vad_model()(padded), np.float32).reshape(-1)


def speech_in(voice: NDArray[np.float32], samples: int) -> tuple[Stretch, ...]:
    """The stretches where a voice is heard, without margins: in order, apart, none longer than 28 seconds.

    `voice`: as of `voice_in`, for a sound of `samples`.
    """
    runs = _merged(_runs(voice), _REST)
    said = [(first, last) for first, last in _merged(runs, _PAUSE) if _is_word(voice[first:last])]
    return tuple(
        part
        for first, last in runs
        if any(begin <= first < end for begin, end in said)
        for part in _shortened(Stretch(first * WINDOW, min(last * WINDOW, samples)), voice)
    )


def pause_after(voice: NDArray[np.float32], first: int) -> int:
    """Where to cut: a window number from `first` on, 1 at least, within the longest pause there (the last of those of
    two seconds and more); where nobody pauses, where the voice rests most."""
    best, cut = 0, None
    for start, end in _gaps(_runs(voice), len(voice)):
        length = min(end - max(start, first), 4 * _PAUSE)
        if length >= max(_PAUSE, best):
            # Not in the middle of a long one: the next piece would hear it again. A little before the next word.
            best, cut = length, end - min(_PAUSE, length // 2)
    return cut if cut is not None else quietest(voice, first, len(voice))


def quietest(voice: NDArray[np.float32], first: int, last: int) -> int:
    """The number of the window, first <= number < last, around which a voice is least probable."""
    smooth = np.convolve(np.pad(voice, _SMOOTH // 2, mode="edge"), np.ones(_SMOOTH) / _SMOOTH, mode="valid")
    return max(1, first + int(np.argmin(smooth[first:last])))


def _runs(voice: NDArray[np.float32]) -> list[tuple[int, int]]:
    """First and last (exclusive) window of each stay of a voice."""
    runs: list[tuple[int, int]] = []
    begun: int | None = None
    for number, probability in enumerate(voice.tolist()):
        if begun is None and probability >= _BEGINS:
            begun = number
        elif begun is not None and probability < _ENDS:
            runs.append((begun, number))
            begun = None
    if begun is not None:
        runs.append((begun, len(voice)))
    return runs


def _is_word(voice: NDArray[np.float32]) -> bool:
    return len(voice) >= _SHORT or (len(voice) >= _BLIP and float(voice.max()) >= _SURE)


def _merged(runs: Sequence[tuple[int, int]], rest: int) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in runs:
        if merged and first - merged[-1][1] < rest:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def _gaps(runs: Sequence[tuple[int, int]], windows: int) -> list[tuple[int, int]]:
    ends = [0, *(last for _, last in runs)]
    begins = [*(first for first, _ in runs), windows]
    return list(zip(ends, begins, strict=True))


def _shortened(stretch: Stretch, voice: NDArray[np.float32]) -> list[Stretch]:
    """A stretch as several that Whisper can hear at once, cut in the second half of what fits."""
    parts: list[Stretch] = []
    start, most = stretch.start, int(LONGEST * RATE)
    while stretch.end - start > most:
        cut = quietest(voice, -(-(start + most // 2) // WINDOW), (start + most) // WINDOW) * WINDOW
        parts.append(Stretch(start, cut))
        start = cut
    return [*parts, Stretch(start, stretch.end)]
