"""Photographs to measure with: distinct 12-megapixel JPEGs of 2 to 4 MB, the same ones on every machine.

    python -m benchmarks.photos FOLDER [--count 200]

Each is another part of a real photo (scikit-image's and scikit-learn's samples), enlarged to 4000 x 3000 pixels, with
the grain of a sensor, so that a decoder has as much to do as with a camera's file, and with a camera's EXIF.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.sample_photos import locate

SIZE = (4000, 3000)
SOURCES = ("coffee.png", "chelsea.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "china.jpg", "flower.jpg")
GRAIN = 6.0
"""Standard deviation of the grain, in grey levels: that of a small camera indoors."""
QUALITY = 92
MARGIN = 256
_DATE_TIME_ORIGINAL, _EXIF_IFD, _MAKE, _MODEL = 0x9003, 0x8769, 0x010F, 0x0110


def photographs(folder: Path, count: int, size: tuple[int, int] = SIZE) -> list[Path]:
    """`count` photos of (width, height) in a folder of their own below `folder`; those already there are kept."""
    place = folder / f"{count}-of-{size[0]}x{size[1]}"
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"IMG_{number:04}.jpg" for number in range(count)]
    missing = [(number, path) for number, path in enumerate(paths) if not path.exists()]
    if missing:
        sources = [np.asarray(Image.open(locate(name)).convert("RGB")) for name in SOURCES]
        grain = _grain(size)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(lambda one: _make(one[1], one[0], size, sources, grain), missing))
    return paths


def parser_of(description: str | None, count: int) -> argparse.ArgumentParser:
    """Of a benchmark over these photos: where they are kept, and how many."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path(tempfile.gettempdir(), "reverie-benchmark-photos"))
    parser.add_argument("--count", type=int, default=count)
    return parser


def _grain(size: tuple[int, int]) -> NDArray[np.int16]:
    """(height + margin, width + margin, 3) noise, a little smoothed as a camera's own processing does."""
    shape = (size[1] + MARGIN, size[0] + MARGIN, 3)
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 0.7)
    return np.asarray(smooth * (GRAIN / smooth.std()), np.int16)


def _make(
    path: Path, number: int, size: tuple[int, int], sources: list[NDArray[np.uint8]], grain: NDArray[np.int16]
) -> None:
    random = np.random.default_rng(number)
    source = sources[number % len(sources)]
    height, width = source.shape[:2]
    share = random.uniform(0.6, 0.95)
    across = min(width, height * size[0] / size[1]) * share
    box_width, box_height = int(across), int(across * size[1] / size[0])
    left, top = int(random.integers(width - box_width + 1)), int(random.integers(height - box_height + 1))
    part = source[top : top + box_height, left : left + box_width]
    large = cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    x, y = (int(value) for value in random.integers(MARGIN, size=2))
    grainy = cv2.add(large, grain[y : y + size[1], x : x + size[0]], dtype=cv2.CV_8U)
    exif = Image.Exif()
    exif[_MAKE], exif[_MODEL] = "Canon", "Canon PowerShot G12"
    exif.get_ifd(_EXIF_IFD)[_DATE_TIME_ORIGINAL] = f"2021:{1 + number % 12:02}:{1 + number % 28:02} 12:00:00"
    partial = path.with_suffix(".part")
    Image.fromarray(np.asarray(grainy, np.uint8)).save(partial, "JPEG", quality=QUALITY, exif=exif)
    partial.replace(path)


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    paths = photographs(args.folder, args.count)
    print(f"{len(paths)} photos of {sum(path.stat().st_size for path in paths) / len(paths) / 1e6:.1f} MB on average")


if __name__ == "__main__":
    main()
