"""Patterns in which * stands for anything, compared in linear time: a query comes from anybody, and must not take long.

A regular expression with several `.*` tries exponentially many ways before it gives up. Here each piece between two
stars is looked for once, from the left: if the pattern fits at all, it fits with each piece at its first place.
"""

from __future__ import annotations


def fits(text: str, pattern: str) -> bool:
    """Whether the whole text is as the pattern says."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def fits_words(text: str, pattern: str) -> bool:
    """Whether the pattern fits some of the text's words that follow each other."""
    return fits(f" {text} ", f"* {pattern} *")
