"""Real photos that installed packages ship, copied into a folder: for the tests and for `make demo`."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

PHOTOS = {
    "coffee.png": "skimage/data",
    "chelsea.png": "skimage/data",
    "astronaut.png": "skimage/data",
    "rocket.jpg": "skimage/data",
    "motorcycle_left.png": "skimage/data",
    "coins.png": "skimage/data",
    "moon.png": "skimage/data",
    "hubble_deep_field.jpg": "skimage/data",
    "clock_motion.png": "skimage/data",
    "horse.png": "skimage/data",
    "grass.png": "skimage/data",
    "china.jpg": "sklearn/datasets/images",
    "flower.jpg": "sklearn/datasets/images",
}
"""File name to the folder of the package it is in (scikit-image, scikit-learn)."""


def locate(name: str) -> Path:
    """Where a photo is, inside its package; the package is not imported."""
    package, _, folder = PHOTOS[name].partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {package} is not installed: make setup")
    return Path(spec.origin).parent / folder / name


def copy_photos(target: Path, *names: str) -> None:
    """Copy these photos (all of them, if none is named) into a folder, making it."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names or PHOTOS:
        shutil.copyfile(locate(name), target / name)


if __name__ == "__main__":
    copy_photos(Path(sys.argv[1]))
