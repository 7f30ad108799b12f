"""Patterns with stars, and how much work the worst of them are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.patterns import fits, fits_words


class Counted(str):
    """A text that counts how often something is looked for in it."""

    looks = 0

    def find(self, *arguments: object) -> int:
        self.looks += 1
        return super().find(*arguments)  # type: ignore[arg-type]


@given(st.text("ab ", max_size=12), st.text("ab *", max_size=8))
def test_a_pattern_fits_what_the_regular_expression_does(text: str, pattern: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert fits(text, pattern) == (re.fullmatch(expression, text) is not None)
    assert fits_words(text, pattern) == (f" {pattern} " in f" {text} " if "*" not in pattern else
                                         re.search(f" {expression} ", f" {text} ") is not None)  # fmt: skip


@pytest.mark.parametrize("stars", [1, 10, 1000])
def test_the_worst_pattern_looks_once_for_each_of_its_pieces(stars: int) -> None:
    text = Counted("a" * 4000)
    assert not fits(text, "*a" * stars + "*b*")
    assert text.looks == stars + 1


def test_pieces_do_not_overlap() -> None:
    assert fits("abab", "ab*ab")
    assert not fits("aba", "ab*ba")
    assert fits("playing a guitar", "play*guitar")
    assert fits_words("playing a guitar", "a g*r")
    assert not fits_words("playing a guitar", "play")
