"""What a vector space's figures mean: where relevance begins, and what the space cannot know."""

from __future__ import annotations

from dataclasses import dataclass

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

    An answer is confident when its best photo reaches `floor`. A flat floor alone would be wrong, because the range of
    cosines moves with the query; so every other photo must also reach `share` of the best one's.
    """

    floor: float
    """The cosine from which a text is about a photo. Found as what the best photo of a query without meaning does not
    reach: see docs/query-language.md and benchmarks/retrieval.py."""
    guess_floor: float
    """Below `floor` and above this, the nearest photos are shown as guesses, and called that."""
    share: float
    similar_floor: float
    """The cosine from which two photos show the same kind of thing."""
    same_picture: float
    """The cosine from which two photos with nearly the same perceptual hash are one motif, whenever they were taken."""
    blind: frozenset[str] = frozenset()
    """Words that the space cannot place, and whose nearest photos are look-alikes: if a query holds no other word, its
    vector says nothing."""


BUILTIN = Calibration(
    floor=0.24,
    guess_floor=0.15,
    share=0.6,
    similar_floor=0.5,
    same_picture=0.98,
    blind=frozenset(f"{_PEOPLE}{_ACTIONS}{_COUNTS}".split()),
)
"""ConSE over ImageNet's classes: things, animals, food, vehicles and places, but no people, actions or counts."""
