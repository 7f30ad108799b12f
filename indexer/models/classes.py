"""The 1,000 ImageNet classes in words: a tag name, a text to embed, and the wider words they belong under."""

from __future__ import annotations

import json
import re
from itertools import chain

from indexer.models.weights import CLASS_DESCRIPTIONS, CLASS_NAMES, CLASS_SYNONYMS

_RENAMED = {
    271: "wolf",
    282: "tiger cat",
    439: "military hat",
    494: "wind chime",
    506: "spiral",
    570: "gas mask",
    638: "leotard",
    919: "street sign",
    998: "ear of corn",
}
"""Where the list explains instead of naming."""


def _indices(*spans: int | tuple[int, int]) -> frozenset[int]:
    """Classes given one by one or as inclusive spans."""
    return frozenset(chain.from_iterable((s,) if isinstance(s, int) else range(s[0], s[1] + 1) for s in spans))


_CARS = _indices(436, 468, 511, 609, 627, 656, 661, 751, 817)
_TRUCKS = _indices(555, 569, 675, 717, 864, 867)
_BUSES = _indices(654, 779, 874)
_TRAINS = _indices(466, 547, 565, 705, 820, 829)
_BOATS = _indices(403, 472, 484, 510, 554, 576, 625, 628, 724, 780, 814, 871, 914)
_AIRCRAFT = _indices(404, 405, 895)
_CYCLES = _indices(444, 671)
_MOTORCYCLES = _indices(665, 670)
_FRUIT = _indices((948, 957))
_VEGETABLES = _indices((936, 946))

PARENTS: dict[str, frozenset[int]] = {
    "animal": _indices((0, 68), (70, 397)),
    "fish": _indices((0, 6), (389, 397)),
    "shark": _indices((2, 4)),
    "bird": _indices((7, 24), (80, 100), (127, 146)),
    "parrot": _indices((87, 90)),
    "duck": _indices(97, 98),
    "frog": _indices((30, 32)),
    "turtle": _indices((33, 37)),
    "lizard": _indices((38, 48)),
    "crocodile": _indices(49, 50),
    "snake": _indices((52, 68)),
    "spider": _indices((72, 77)),
    "crab": _indices((118, 121), 125),
    "whale": _indices(147, 148),
    "dog": _indices((151, 268)),
    "wolf": _indices((269, 271)),
    "fox": _indices((277, 280)),
    "cat": _indices((281, 285)),
    "big cat": _indices((286, 293)),
    "bear": _indices((294, 297)),
    "insect": _indices((300, 326)),
    "beetle": _indices((300, 307)),
    "butterfly": _indices((321, 326)),
    "rabbit": _indices((330, 332)),
    "sheep": _indices(348, 349),
    "monkey": _indices((365, 382)),
    "elephant": _indices(101, 385, 386),
    "mushroom": _indices(947, (991, 997)),
    "flower": _indices(985, 986),
    "fruit": _FRUIT,
    "vegetable": _VEGETABLES,
    "food": _indices((924, 935), (959, 965)) | _FRUIT | _VEGETABLES,
    "drink": _indices(441, 966, 967, 969),
    "car": _CARS,
    "truck": _TRUCKS,
    "bus": _BUSES,
    "train": _TRAINS,
    "boat": _BOATS,
    "aircraft": _AIRCRAFT,
    "bicycle": _CYCLES,
    "motorcycle": _MOTORCYCLES,
    "vehicle": _CARS
    | _TRUCKS
    | _BUSES
    | _TRAINS
    | _BOATS
    | _AIRCRAFT
    | _CYCLES
    | _MOTORCYCLES
    | _indices(407, 408, 573, 575, 586, 595, 603, 612, 690, 734, 757, 802, 803, 847, 866, 870),
    "building": _indices(425, 437, 442, 449, 483, 497, 580, 663, 668, 698, 832, 915),
    "bridge": _indices(821, 839, 888),
    "camera": _indices(732, 759),
    "computer": _indices(527, 590, 620, 681),
    "phone": _indices(487, 528, 707),
    "clock": _indices(409, 530, 892),
    "chair": _indices(423, 559, 765),
    "bed": _indices(520, 564),
    "table": _indices(532, 736),
    "cup": _indices(504, 968),
    "bottle": _indices(440, 720, 737, 898, 907),
    "hat": _indices(439, 515, 808),
    "shoe": _indices(502, 514, 630, 770, 774),
    "ball": _indices(429, 430, 522, 574, 722, 768, 805, 852, 890),
    "musical instrument": _indices(
        401, 402, 420, 432, 486, 513, 541, 546, 558, 566, 577, 579, 593, 594, 641, 642, 683, 684, 687, 699, 776, 822
    )
    | _indices(875, 881, 889),
    "coast": _indices((975, 978)),
}
"""Wider words that people use, and the classes (0 to 999) under each, after WordNet's hypernyms. Hand-made: only words
for which nearly all that people mean by them are classes, so that a summed probability means what it says."""


def tag_names() -> tuple[str, ...]:
    """A short lower-case name for each class: "tabby cat". Raises ModelError if the list is missing or altered."""
    names = json.loads(CLASS_NAMES.verified().read_bytes())
    return tuple(_RENAMED.get(index, _plain(name)) for index, name in enumerate(names))


def label_texts() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is embedded for each class, in two ways whose vectors are averaged.

    The first is the name with its wider words, so that all cats lie near "cat"; the second the name with its synonyms
    and a description of how it looks. Measured, neither alone finds as many photos (docs/models.md).
    """
    synonyms = json.loads(CLASS_SYNONYMS.verified().read_bytes())
    described = json.loads(CLASS_DESCRIPTIONS.verified().read_bytes())
    wider, described_texts = [], []
    for index, name in enumerate(tag_names()):
        wider.append(", ".join([name, *(parent for parent, members in PARENTS.items() if index in members)]))
        description = described.get(str(index), {}).get("description", "")
        described_texts.append(f"{name}, {synonyms[str(index)]}. {description}".strip())
    return tuple(wider), tuple(described_texts)


def _plain(name: str) -> str:
    """The name without its explanation: "kite (bird of prey)" is a kite."""
    return re.split(r" \(| / ", name, maxsplit=1)[0].lower()
