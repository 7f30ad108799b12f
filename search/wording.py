"""What the words of a free text are good for: which carry meaning, which name a colour, the light or a form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from indexer.vocabulary import PIXEL_WORDS
from search.amounts import forms, number
from search.terms import tokens

MAX_NAME_WORDS = 3
_STOP_TEXT = """
    a an and any are at by for from front her his i in into is it its me my near next of off on or our out over
    something somewhere that the their there these this those thing things to under up was we with without behind
    beside between photo photos photograph photographs pic pics picture pictures image images shot shots snapshot video
    videos footage show find all
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_PIXEL_WORDS = re.compile(
    r"(?<!\w)(?:" + "|".join(re.escape(word) for word in sorted(PIXEL_WORDS, key=len, reverse=True)) + r")(?!\w)"
)


_TELLING = re.compile(
    r"\b(?:(?:say|tell|talk|speak|mention|discuss|explain|chat|joke|complain|argue|whisper|shout|sing)(?:s|ing|ed)?"
    r"|said|told|spoke|spoken|sang|joking|arguing)\b"
    r"(?:\s+(?:to|with)\s+\S+)?(?:\s+(?:about|of|on|that|how))?"
)
"""What tells that somebody speaks; of whom, stands before it, and of what, behind it."""


@dataclass(frozen=True, slots=True)
class Amount:
    """So many of something."""

    number: int
    words: tuple[str, ...]
    """As typed, the number first."""
    names: tuple[str, ...]
    """What a tag for the thing could be called."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A free text, taken apart."""

    content: tuple[str, ...]
    """The words that carry meaning, in order; all of them, where none does."""
    subjects: tuple[str, ...]
    """Those of them that pixels do not answer."""
    pixel_tags: tuple[str, ...]
    """Tags for what pixels tell directly: colours, "night", "panorama"."""
    meaning: str
    """What to encode: the text without the words that pixels answer better; empty if nothing else is left."""
    names: tuple[str, ...]
    """What a tag in this text could be called: its words and runs of words, without what pixels answer."""
    spoken: tuple[str, ...] = ()
    """What somebody could have said: the words that carry meaning, or of "grandma talks about the war" the last one."""
    telling: bool = False
    """Whether the text says that somebody speaks."""
    amounts: tuple[Amount, ...] = ()
    """What the text may count; of "two hot dogs" both "hot" and "hot dogs", the longest first."""


def take_apart(text: str) -> Wording:
    """Read a free text. Never raises."""
    folded = text.casefold()
    pixel_tags = tuple(dict.fromkeys(PIXEL_WORDS[word] for word in _PIXEL_WORDS.findall(folded)))
    rest = " ".join(_PIXEL_WORDS.sub(" ", folded).split())
    left = tokens(rest)
    meaningful = [word for word in left if word not in _STOP_WORDS]
    words = tokens(folded)
    content = content_words(text)
    told = _TELLING.split(folded)
    spoken = content_words(told[-1])
    return Wording(
        content=tuple(dict.fromkeys(content or words)),
        subjects=tuple(meaningful),
        pixel_tags=pixel_tags,
        meaning=(rest if pixel_tags else text) if meaningful else "" if pixel_tags else text,
        names=tuple(dict.fromkeys(_names(left, meaningful))),
        spoken=tuple(dict.fromkeys(spoken or content or words)),
        telling=len(told) > 1,
        amounts=tuple(_amounts(left)),
    )


def content_words(text: str) -> list[str]:
    """The words of a text that carry meaning, lower case, in order."""
    return [word for word in tokens(text) if word not in _STOP_WORDS]


def singular(word: str) -> str:
    """The word without its plural s: "boats" -> "boat"."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _names(words: list[str], meaningful: list[str]) -> list[str]:
    runs = [
        words[at : at + length]
        for length in range(MAX_NAME_WORDS, 0, -1)
        for at in range(len(words) - length + 1)
        if length > 1 or words[at] in meaningful
    ]
    return [name for run in runs for name in (" ".join(run), " ".join([*run[:-1], singular(run[-1])]))]


def _amounts(words: list[str]) -> list[Amount]:
    return [
        Amount(amount, (word, *words[at + 1 : end]), forms(" ".join(words[at + 1 : end])))
        for at, word in enumerate(words)
        if (amount := number(word)) is not None
        for end in range(min(at + 1 + MAX_NAME_WORDS, len(words)), at + 1, -1)
    ]
