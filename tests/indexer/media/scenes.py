"""Scenes with texture, moving things and a moving camera, put together with known cuts, fades and dissolves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.indexer.media.clips import Picture

WIDTH, HEIGHT, FPS = 320, 180, 25


class Scene:
    """A view that a camera pans over while two things move through it."""

    def __init__(self, seed: int, *, pan: float | None = None, tint: Sequence[int] | None = None) -> None:
        rng = np.random.default_rng(seed)
        # Twice the same beside itself: a camera that pans for long comes round without a jump.
        coarse = np.tile(rng.integers(0, 256, (6, 6, 3), np.uint8), (1, 3, 1))
        fine = np.tile(rng.integers(-25, 26, (HEIGHT, WIDTH, 3)), (1, 2, 1))
        world = cv2.resize(coarse, (WIDTH * 3, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        world = world[:, WIDTH // 2 : WIDTH * 5 // 2]
        colour = np.array(tint if tint is not None else rng.integers(40, 216, 3))
        self._world: Picture = np.clip((world * 0.6 + colour * 0.4) + fine, 0, 255).astype(np.uint8)
        self._pan = float(rng.uniform(-25, 25)) if pan is None else pan
        self._things = [
            (
                rng.integers(0, 256, 3),
                rng.uniform(20, 300),
                rng.uniform(20, 160),
                rng.uniform(-60, 60),
                rng.uniform(12, 28),
            )
            for _ in range(2)
        ]

    def at(self, time: float) -> Picture:
        """(180, 320, 3), seconds after the scene began."""
        left = int(WIDTH / 2 + self._pan * time) % WIDTH
        picture = self._world[:, left : left + WIDTH].copy()
        for colour, x, y, speed, radius in self._things:
            cv2.circle(picture, (int(x + speed * time) % WIDTH, int(y)), int(radius), [int(c) for c in colour], -1)
        return picture


@dataclass(frozen=True)
class Part:
    """A scene, how long it is on its own, and how it passes into the next one."""

    scene: Scene
    seconds: float
    passage: str = "cut"
    """"cut", "dissolve" or "fade" (through black)."""
    lasts: float = 0.0
    """Seconds of the passage."""


def pictures_of(parts: Sequence[Part]) -> Iterator[Picture]:
    """All frames at 25 a second."""
    for number, part in enumerate(parts):
        began = 0.0 if number == 0 else parts[number - 1].lasts
        own = round(part.seconds * FPS)
        for index in range(own):
            yield part.scene.at(began + index / FPS)
        if number + 1 < len(parts):
            following = parts[number + 1].scene
            count = round(part.lasts * FPS)
            for index in range(count):
                share = (index + 1) / (count + 1)
                first, second = part.scene.at(began + part.seconds + index / FPS), following.at(index / FPS)
                yield _passing(first, second, share, part.passage)


def edges_of(parts: Sequence[Part]) -> list[tuple[float, float]]:
    """When each passage begins and ends; a cut does both at once."""
    edges, time = [], 0.0
    for part in parts[:-1]:
        time += round(part.seconds * FPS) / FPS
        edges.append((time, time + part.lasts))
        time += round(part.lasts * FPS) / FPS
    return edges


def _passing(first: Picture, second: Picture, share: float, passage: str) -> Picture:
    if passage == "fade":
        shown, light = (first, 1 - 2 * share) if share < 0.5 else (second, 2 * share - 1)
        return (shown * light).astype(np.uint8)
    mixed: NDArray[np.float64] = first * (1 - share) + second * share
    return mixed.astype(np.uint8)


def score(found: Sequence[float], edges: Sequence[tuple[float, float]], tolerance: float) -> tuple[float, int, int]:
    """F1 of found boundaries (each edge is matched once), how many are wrong, and how many are missed."""
    left = list(found)
    missed = 0
    for begin, end in edges:
        match = next((time for time in left if begin - tolerance <= time <= end + tolerance), None)
        if match is None:
            missed += 1
        else:
            left.remove(match)
    right = len(edges) - missed
    return 2 * right / max(1, 2 * right + missed + len(left)), len(left), missed
