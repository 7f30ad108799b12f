"""The subject of a photo, cut out of it by a map of classes.

*Stuff* is what has no shape of its own (sky, grass, a wall), *things* are what can be counted (Forsyth et al., 1996;
Caesar et al., 2018). The subject is the largest connected region of things.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST_SIDE = 512
"""Pixels of the picture that is cut: what networks of this kind look at, and enough for a screen."""

SMALLEST_SUBJECT = 0.05
"""Of the picture. What is smaller is in the photo, but the photo is not of it."""

_STUFF = (
    "sky",
    *("earth", "ground", "grass", "sand", "snow", "field", "land", "dirt track", "terrain", "playingfield", "gravel"),
    *("mountain", "hill", "rock", "stone", "tree", "palm", "plant", "bush", "leaves", "vegetation", "other-plant"),
    *("water", "sea", "river", "lake", "waterfall", "swimming pool"),
)
"""No edges of its own: it goes on beyond the picture."""

_PLACES = (
    *("road", "sidewalk", "path", "runway", "pavement", "railroad", "parking", "pier", "bridge"),
    *("building", "house", "skyscraper", "hovel", "tower", "grandstand", "booth", "stage", "fence", "railing"),
    *("bannister", "wall", "floor", "ceiling", "roof", "column", "base", "pole", "awning", "canopy"),
    *("streetlight", "signboard", "trade name"),
)
"""Built, and there before and after whoever is photographed in front of it. A building may be what a photo is of; its
outline against the next one is then seldom right."""

_ROOM = (
    *("windowpane", "window", "door", "screen door", "curtain", "blind", "mirror", "stairs", "stairway", "step"),
    *("escalator", "fireplace", "radiator", "hood", "sconce", "chandelier", "light", "shower", "painting", "poster"),
    *("bulletin board", "rug", "carpet", "cabinet", "wardrobe", "chest of drawers", "shelf", "bookcase", "counter"),
    *("countertop", "kitchen island", "buffet", "bar", "bed", "cradle", "sofa", "armchair", "chair", "swivel chair"),
    *("seat", "bench", "stool", "ottoman", "table", "coffee table", "desk", "pool table", "cushion", "pillow"),
    *("blanket", "bathtub", "sink", "toilet", "stove", "oven", "refrigerator", "dishwasher", "washer"),
)
"""What a room is made of, and what people and animals sit and lie on: with it, a portrait would be cut out with its
sofa, and every photo of a room would have a subject."""

BACKGROUND = frozenset((*_STUFF, *_PLACES, *_ROOM))
"""Classes of ADE20K (Zhou et al., 2017), Cityscapes and COCO-Stuff that are no subject. All others are things."""


def things_of(names: Mapping[int, str]) -> frozenset[int]:
    """The numbers of the classes that may be a subject. Of "wall-brick" and "tree, palm" the first word counts."""
    return frozenset(number for number, name in names.items() if BACKGROUND.isdisjoint(_readings(name)))


def subject_of(classes: NDArray[np.integer], things: frozenset[int]) -> NDArray[np.bool_] | None:
    """(h, w) class numbers to the mask (h, w) of the largest connected region of things; None: there is no subject.

    A region is no subject if it is smaller than `SMALLEST_SUBJECT`, or reaches all four sides: then it was cut off by
    the frame all around, and there is nothing to cut it out of.
    """
    mask = np.isin(classes, list(things)).astype(np.uint8)
    count, regions, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    height, width = mask.shape
    best, largest = 0, SMALLEST_SUBJECT * mask.size
    for number in range(1, count):
        across, down, area = (int(facts[number, fact]) for fact in _FACTS)
        if area >= largest and not (across == width and down == height):
            best, largest = number, area
    return np.asarray(regions == best) if best else None


def shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) with a long side of `LONGEST_SIDE` pixels, or as it is if it has fewer."""
    height, width = pixels.shape[:2]
    share = LONGEST_SIDE / max(height, width)
    if share >= 1:
        return pixels
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def encode_cut_out(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bytes | None:
    """A PNG with transparency of what a mask (h, w) leaves of (H, W, 3) sRGB pixels, no larger than that.

    The mask covers the whole picture, however coarse it is. None: it leaves nothing.
    """
    height, width = pixels.shape[:2]
    soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    alpha = np.rint(soft * 255).astype(np.uint8)
    rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # What cannot be seen is black: it costs no bytes, and gives nothing away to whom the cut-out is sent.
    seen = np.where(alpha[part][..., None] > 0, pixels[part], 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([seen, alpha[part]])).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


_FACTS = (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA)
_COMPRESSION = 2
"""Of zlib, which runs in the thread of the networks: 6 makes files 10 % smaller and takes three times as long."""


def _readings(name: str) -> set[str]:
    """A class's name as it is, and without what explains it."""
    plain = name.strip().lower()
    return {plain, plain.partition("-")[0].strip(), plain.partition(",")[0].strip()}
