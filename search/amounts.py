"""Words for things: their singular, and how many of them are spoken of."""

from __future__ import annotations

_NUMBER_TEXT = "one two three four five six seven eight nine ten eleven twelve"
NUMBERS = {word: number for number, word in enumerate(_NUMBER_TEXT.split(), 1)}
MOST = 999
_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "knives": "knife",
    "wolves": "wolf",
    "leaves": "leaf",
    "loaves": "loaf",
}


def forms(name: str) -> tuple[str, ...]:
    """The name and what it may be the plural of: "wine glasses" -> "wine glasses", "wine glasse", "wine glass".

    Spelling does not tell which one is right, so all are given: a form that is no word is the name of no tag.
    """
    head, blank, word = name.rpartition(" ")
    found = [word]
    if word in _IRREGULAR:
        found.append(_IRREGULAR[word])
    elif word.endswith("s") and not word.endswith("ss"):
        found.append(word[:-1])
        if word.endswith("es"):
            found.append(word[:-2])
        if word.endswith("ies"):
            found.append(f"{word[:-3]}y")
    return tuple(f"{head}{blank}{form}" for form in found if form)


def number(word: str) -> int | None:
    """The amount that a word says: "2" and "two" are 2; None if it says none."""
    if word.isascii() and word.isdigit() and len(word) <= len(str(MOST)):
        return int(word) or None
    return NUMBERS.get(word)


def split(name: str) -> tuple[int, str] | None:
    """ "2 dogs" as (2, "dogs"); None for a name without an amount before it."""
    first, _, rest = name.partition(" ")
    amount = number(first)
    return None if amount is None or not rest else (amount, rest)
