"""What a vector space's figures mean: where relevance begins, and what the space cannot know."""

from __future__ import annotations

from dataclasses import dataclass

REACH_WEIGHT = 0.5

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

    A flat floor for cosines does not work: every text is a little near to everything, and how much moves with the text.
    So a cosine is judged against a background that never changes with the library, the vectors of the space's own
    labels (a background of the library's photos would make a folder full of cats unable to find cats). `chance` is
    the text's mean cosine to the labels, `reach` its highest. A photo's conviction is

        (cosine - chance) + REACH_WEIGHT * (reach - chance)

    that is, how far the photo stands out of chance, and how well the space knows the text at all. An answer is
    confident when its best photo's conviction reaches `floor`; then every photo that reaches `share` of the best
    one's (cosine - chance) is part of it. The floor lies just above what texts without meaning reach; over 39 of
    those and 60 descriptions of real photos, this told the two apart better than the cosine alone, or a z-score.
    """

    floor: float
    """The conviction from which a text is about a photo."""
    guess_floor: float
    """Below `floor` and above this, the nearest photos are shown as guesses, and called that."""
    share: float
    """Of the best photo's nearness: what another one needs to be an answer too."""
    nearness: float
    """How far above chance (cosine - chance, bonuses included) a photo must be to be an answer at all."""
    similar_floor: float
    """The cosine from which two photos show the same kind of thing: 95 of 100 pairs of photos lie below."""
    similar_share: float
    """Of the most similar photo's cosine: what another one needs to be similar too."""
    same_picture: float
    """The cosine from which two photos with nearly the same perceptual hash are one motif, whenever they were taken."""
    blind: frozenset[str] = frozenset()
    """Words that the space cannot place, and whose nearest photos are look-alikes: if a query holds no other word, its
    vector says nothing."""


BUILTIN = Calibration(
    floor=0.38,
    guess_floor=0.25,
    share=0.45,
    nearness=0.15,
    similar_floor=0.67,
    similar_share=0.8,
    same_picture=0.98,
    blind=frozenset(f"{_PEOPLE}{_ACTIONS}{_COUNTS}".split()),
)
"""ConSE over ImageNet's classes: things, animals, food, vehicles and places, but no people, actions or counts."""
