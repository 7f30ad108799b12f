"""Pairs of opposite prompts by which the look of a photo is judged (see `indexer.models.aesthetic`)."""

from __future__ import annotations

from typing import Final

PAIRS: Final = (
    ("Good photo.", "Bad photo."),
    ("Beautiful photo.", "Ugly photo."),
    ("Sharp photo.", "Blurry photo."),
    ("Colorful photo.", "Dull photo."),
    ("A professional photograph.", "A careless snapshot."),
)
"""The first is the paper's for quality; the next ones judge the look by its method, with words of our own. The score is
the mean over the pairs. How well it agrees with people's taste was not measured here."""
