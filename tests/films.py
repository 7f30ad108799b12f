"""Films put together from real photos, synthesised speech and music, with everything known about them."""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.indexer.media.clips import Picture, write_clip
from tests.sample_photos import locate

RATE = 48_000
Sound = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """A photo that a camera slowly moves over."""

    photo: str
    """As in `tests.sample_photos`; "" is black."""
    seconds: float


def film(
    path: Path,
    views: Sequence[View],
    *,
    says: Sequence[tuple[float, str]] = (),
    plays: Sequence[tuple[float, float]] = (),
    size: tuple[int, int] = (480, 270),
    fps: int = 15,
    silent: bool = False,
    seconds: float | None = None,
    **options: Any,
) -> Path:
    """A film of views with hard cuts, sentences that are said from given seconds on, and music in given spans.

    `silent`: without a sound track. `seconds`: of the sound, if it is not as long as the views. `options`: further ones
    of `write_clip`.
    """
    seconds = seconds or sum(view.seconds for view in views)
    sound = None if silent else soundtrack(seconds, says, plays)
    return write_clip(path, _pictures(views, size, fps), fps=fps, sound=sound, rate=RATE, **options)


def soundtrack(seconds: float, says: Sequence[tuple[float, str]], plays: Sequence[tuple[float, float]] = ()) -> Sound:
    """Speech and music over silence: (N,) at 48 kHz."""
    sound = np.zeros(round(seconds * RATE), np.float32)
    for start, end in plays:
        _add(sound, start, chords(end - start))
    for start, text in says:
        _add(sound, start, spoken(text))
    return sound


def spoken(text: str) -> Sound:
    """(N,) at 48 kHz, by espeak-ng."""
    command = ["espeak-ng", "-v", "en-gb", "-s", "140", "--stdout", text]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    places = np.arange(round(len(samples) * RATE / rate)) * rate / RATE
    return np.asarray(np.interp(places, np.arange(len(samples)), samples), np.float32)


def chords(seconds: float) -> Sound:
    """A slow sequence of chords with overtones, each struck and dying away."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(time), np.float64)
    for number, root in enumerate(np.resize([220.0, 174.6, 196.0, 261.6], max(1, round(seconds)))):
        local = time - number
        struck = (local >= 0) & (local < 1)
        for ratio in (1.0, 1.25, 1.5):
            for overtone in (1, 2, 3):
                tone = np.sin(2 * np.pi * root * ratio * overtone * local[struck]) / overtone
                sound[struck] += tone * np.exp(-2 * local[struck])
    return (0.08 * sound).astype(np.float32)


def _add(sound: Sound, start: float, part: Sound) -> None:
    first = round(start * RATE)
    length = min(len(part), len(sound) - first)
    sound[first : first + length] += part[:length]


def _pictures(views: Sequence[View], size: tuple[int, int], fps: int) -> Iterator[Picture]:
    for view in views:
        photo = _photo(view.photo, size)
        count = round(view.seconds * fps)
        for number in range(count):
            yield _moved(photo, size, number / max(1, count - 1))


def _photo(name: str, size: tuple[int, int]) -> Picture:
    """A photo that fills a little more than the frame."""
    width, height = (round(side * 1.15) for side in size)
    if not name:
        return np.zeros((height, width, 3), np.uint8)
    photo = cv2.cvtColor(cv2.imread(str(locate(name))), cv2.COLOR_BGR2RGB)  # type: ignore[arg-type]
    scale = max(width / photo.shape[1], height / photo.shape[0])
    photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top = (photo.shape[1] - width) // 2, (photo.shape[0] - height) // 2
    return np.asarray(photo[top : top + height, left : left + width], np.uint8)


def _moved(photo: Picture, size: tuple[int, int], share: float) -> Picture:
    """What the camera sees when it has gone so much of its way."""
    width, height = size
    left, top = round((photo.shape[1] - width) * share), round((photo.shape[0] - height) * (1 - share))
    return np.ascontiguousarray(photo[top : top + height, left : left + width])
