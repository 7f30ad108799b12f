"""What a vector space's figures mean: where relevance begins, and what the space cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

REACH_WEIGHT = 0.5

SCORE_STEP = 0.1
"""What one standard deviation counts for on the scale of nearness. A photo of what is asked for stands some five
deviations out of a dual encoder's background: 0.5, about as far as in the builtin space, so that the bonuses for
colours, tags and dates order photos of the thing and lift nothing else above them."""

MAD_TO_DEVIATION = 1.4826
"""The standard deviation of a normal distribution in median absolute deviations (Rousseeuw and Croux, "Alternatives to
the Median Absolute Deviation", 1993)."""

_PEOPLE = """
    man men woman women boy boys girl girls child children kid kids baby babies toddler person persons people human
    humans guy guys lady ladies gentleman adult adults teenager crowd family families friend friends couple mother mom
    mum father dad parent parents grandmother grandma grandfather grandpa brother sister son daughter uncle aunt
    husband wife neighbour face faces smile selfie portrait somebody someone everybody
"""
_ACTIONS = """
    sitting standing lying running walking sleeping jumping playing looking laughing smiling crying talking dancing
    singing eating drinking reading writing holding wearing waiting working doing making going sit stand run walk sleep
    jump play look laugh talk dance sing
"""
_COUNTS = """
    one two three four five six seven eight nine ten many several few some pair group lots small big large huge tiny
    tall short old young new
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the cosines of one space are read. Cosines of two spaces do not compare, so each has its own.

    Against the text (`against`), as the builtin space is read: a flat floor for cosines does not work, because every
    text is a little near to everything, and how much moves with the text. So a cosine is judged against a background
    that never changes with the library, the vectors of the space's own labels (a background of the library's photos
    would make a folder full of cats unable to find cats). `chance` is the text's mean cosine to the labels, `reach` its
    highest. A photo's nearness is (cosine - chance), and its conviction is

        (cosine - chance) + REACH_WEIGHT * (reach - chance)

    that is, how far the photo stands out of chance, and how well the space knows the text at all. An answer is
    confident when its best photo's conviction reaches `floor`; then every photo that reaches `share` of the best
    one's nearness is part of it. The floor lies just above what texts without meaning reach; over 39 of those and 60
    descriptions of real photos, this told the two apart better than the cosine alone, or a z-score.

    Against each photo, as a dual encoder's space is read: see `standard_scores`. Nearness and conviction are both

        SCORE_STEP * (cosine - what this photo has to a caption that is not its own) / deviation of that
    """

    floor: float
    """The conviction from which a text is about a photo."""
    guess_floor: float
    """Below `floor` and above this, the nearest photos are shown as guesses, and called that."""
    share: float
    """Of the best photo's nearness: what another one needs to be an answer too."""
    nearness: float
    """How near, bonuses included, a photo must be to be an answer at all."""
    similar_floor: float
    """The cosine from which two photos show the same kind of thing: 95 of 100 pairs of photos lie below."""
    similar_share: float
    """Of the most similar photo's cosine: what another one needs to be similar too."""
    same_picture: float
    """The cosine from which two photos with nearly the same perceptual hash are one motif, whenever they were taken."""
    blind: frozenset[str] = frozenset()
    """Words that the space cannot place, and whose nearest photos are look-alikes: if a query holds no other word, its
    vector says nothing."""
    blind_note: str = ""
    """What to say to such a query."""
    only_latin: bool = False
    """Whether the space reads Latin letters alone: then a word in others is found only where it is written or said."""
    against: Literal["text", "photo"] = "text"
    """Whose cosines to the background tell what is chance: the text's, or each photo's."""
    sees_pixels: bool = False
    """Whether the space knows colours, light and forms: then a text is encoded whole, those words included."""


BUILTIN = Calibration(
    floor=0.38,
    guess_floor=0.25,
    share=0.45,
    nearness=0.15,
    similar_floor=0.67,
    similar_share=0.8,
    same_picture=0.98,
    blind=frozenset(f"{_PEOPLE}{_ACTIONS}{_COUNTS}".split()),
    blind_note="The basic model knows things, animals, food and places, but not people, actions or counts.",
    only_latin=True,
)
"""ConSE over ImageNet's classes: things, animals, food, vehicles and places, but no people, actions or counts."""

DUAL_ENCODER = Calibration(
    floor=0.4,
    guess_floor=0.3,
    share=0.6,
    nearness=0.3,
    similar_floor=0.75,
    similar_share=0.85,
    same_picture=0.96,
    against="photo",
    sees_pixels=True,
)
"""Image and text encoders trained to meet in one space (CLIP, SigLIP): a background of generic captions.

The constants are reasoned, not tuned; docs/decisions/relevance.md has the reasons.
"""


def standard_scores(
    vector: NDArray[np.float32], photos: NDArray[np.float32], captions: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(n,) how far each photo's cosine to a text stands out of its cosines to captions, in standard deviations.

    `vector` (D,), `photos` (n, D) and `captions` (M, D) are unit vectors of one space. Each photo is its own measure:
    of the texts in the background nearly all are about something else, so they show what nearness to a text this photo
    has by chance. That takes out how near photos are to texts at all (the modality gap: Liang et al., "Mind the Gap",
    2022) and photos that are near to every text (hubs: Bogolin et al., "Cross Modal Retrieval with Querybank
    Normalisation", 2022), and needs no scale that would differ from model to model. Median and median absolute
    deviation, because a few of the captions may well be about the photo. 0 where the captions do not differ.
    """
    background = photos @ captions.T
    middle = np.median(background, axis=1)
    deviation = MAD_TO_DEVIATION * np.median(np.abs(background - middle[:, None]), axis=1)
    above = photos @ vector - middle
    scores: NDArray[np.float32] = np.divide(above, deviation, out=np.zeros_like(above), where=deviation > 0)
    return scores
