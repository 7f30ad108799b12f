"""What the parity gate looks at: the library's own photos, or pictures made up for it while there are too few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SAMPLES = 32
"""Enough for a ranking of ten to mean something, few enough to take seconds on CPU."""
_SIDE = 384
"""Pixels, as in a thumbnail."""


@dataclass(frozen=True, slots=True, eq=False)
class GateSamples(Sequence[NDArray[np.uint8]]):
    """Decoded photos, (H, W, 3) sRGB each. The first `real` of them are photos of the library."""

    pictures: tuple[NDArray[np.uint8], ...]
    real: int

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self.pictures)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[NDArray[np.uint8], ...]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | tuple[NDArray[np.uint8], ...]:
        return self.pictures[index]


def gate_samples(thumbnails: Path, count: int = SAMPLES) -> GateSamples:
    """The library's first `count` thumbnails by content hash, which is as good as at random, and the same every time.

    A thumbnail that cannot be read is left out; generated pictures make up what is missing.
    """
    photos: list[NDArray[np.uint8]] = []
    for path in _in_order(thumbnails):
        if len(photos) == count:
            break
        try:
            with Image.open(path) as image:
                photos.append(np.asarray(image.convert("RGB")))
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
    missing = count - len(photos)
    return GateSamples((*photos, *(_generated(number) for number in range(missing))), len(photos))


def _in_order(thumbnails: Path) -> Iterator[Path]:
    """Thumbnails in the order of their names; folders are opened only when it is their turn."""
    if not thumbnails.is_dir():
        return
    for folder in sorted(thumbnails.iterdir()):
        if folder.is_dir():
            yield from sorted(folder.glob("*.jpg"))


def _generated(number: int) -> NDArray[np.uint8]:
    """A picture with the statistics of a photo: detail at all scales, falling off as 1/f, in correlated colours.

    Natural images have amplitude spectra near 1/f (Field, 1987). Each picture has its own slope, light and colours.
    """
    random = np.random.Generator(np.random.PCG64([20130501, number]))
    width = (_SIDE, _SIDE * 3 // 4, _SIDE * 2 // 3)[number % 3]
    height = _SIDE if number % 2 else _SIDE * 3 // 4
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1.0
    amplitude = frequency ** -random.uniform(0.9, 1.4)
    amplitude[0, 0] = 0.0
    planes = np.stack(
        [
            np.fft.irfft2(amplitude * np.exp(2j * np.pi * random.random(frequency.shape)), (height, width))
            for _ in range(3)
        ],
        axis=-1,
    )
    planes /= planes.std(axis=(0, 1))
    colours = np.full((3, 3), 0.6) + random.uniform(-0.5, 0.5, (3, 3))
    light = random.uniform(60, 190, 3)
    picture = light + random.uniform(25, 60) * (planes @ colours)
    clipped: NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped
