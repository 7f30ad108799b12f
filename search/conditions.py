"""The filters of the query language: their names, the values each one takes, and what to say about a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from config.errors import QueryError
from indexer.records import Kind
from search.dates import EXAMPLES, Span, parse_span
from search.terms import Term

MAX_LIMIT = 1000
SORTS = {
    "relevance": "relevance",
    "date": "date",
    "newest": "date",
    "-date": "-date",
    "oldest": "-date",
    "quality": "quality",
    "aesthetic": "aesthetic",
}


@dataclass(frozen=True, slots=True)
class Words:
    """Words that stand in what is written about a photo: all of them, or as one phrase."""

    tokens: tuple[str, ...]
    phrase: bool


@dataclass(frozen=True, slots=True)
class Stars:
    """A range of ratings, both ends included; -1 is "rejected"."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Texts, lower case, of which one must fit."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter, understood."""

    name: str
    """"type", "after", "before", "date", "camera", "lens", "tag", "path", "rating" or "words"."""
    value: Words | Stars | AnyOf | Span
    typed: str
    """As the user wrote it, without the minus."""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    takes: str
    example: str
    parse: Callable[[Term, date], Words | Stars | AnyOf | Span | None] | None = None
    """The value, or None if it does not fit. No function: not a condition but an instruction (sort, limit, similar)."""


def understand(term: Term, today: date) -> Condition:
    """A `name:value` term as a condition. Raises QueryError for an unknown name or a value it cannot have."""
    kind = _FILTERS.get(term.name or "")
    if kind is None or kind.parse is None:
        raise not_understood(term)
    value = kind.parse(term, today) if term.text.strip() else None
    if value is None:
        raise not_understood(term)
    return Condition(term.name or "", value, term.typed.removeprefix("-"), negated=term.negated)


def sort_order(term: Term) -> str:
    """The value of `sort:`. Raises QueryError."""
    order = SORTS.get(term.text.strip().lower())
    if order is None:
        raise not_understood(term)
    return order


def result_limit(term: Term) -> int:
    """The value of `limit:`. Raises QueryError."""
    if not re.fullmatch(r"[0-9]{1,4}", term.text) or not 1 <= int(term.text) <= MAX_LIMIT:
        raise not_understood(term)
    return int(term.text)


def not_understood(term: Term) -> QueryError:
    """What to say about a filter whose name or value is wrong: the word, its place, and the nearest that works."""
    name = term.name or ""
    if (kind := _FILTERS.get(name)) is not None:
        said = f"{_shorten(term.text)} at character {term.position} is not a value for {name}:"
        return QueryError(
            f"{said.rstrip(':')}." if term.text.strip() else f"{name}: at character {term.position} has no value.",
            f"{name}: takes {kind.takes}, for example {kind.example}.",
        )
    near = _NEAR.get(name) or next(iter(difflib.get_close_matches(name, _FILTERS, n=1)), None)
    if near:
        guess = f"Did you mean {near}:? For example {_FILTERS[near].example}."
    else:
        guess = f"The filters are {', '.join(f'{known}:' for known in _FILTERS)}."
    return QueryError(
        f"{name}: at character {term.position} is not a filter.",
        f'{guess} To look for the words, quote them: "{name}:{_shorten(term.text)}".',
    )


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _type(term: Term, _: date) -> AnyOf | None:
    kind = term.text.strip().lower().removesuffix("s")
    return AnyOf((kind,)) if kind in set(Kind) else None


def _span(term: Term, today: date) -> Span | None:
    return parse_span(term.text, today)


def _texts(term: Term, _: date) -> AnyOf | None:
    text = term.text.encode("utf-8", "replace").decode()
    pieces = [text] if term.quoted else text.split(",")
    texts = tuple(" ".join(piece.lower().split()) for piece in pieces if piece.strip())
    return AnyOf(texts) if texts else None


def _path(term: Term, _: date) -> AnyOf:
    return AnyOf((term.text,))


def _stars(term: Term, _: date) -> Stars | None:
    text = term.text.replace(" ", "")
    match = re.fullmatch(r"(?P<sign>>=|<=|>|<|=)?(?P<low>-1|[0-5])(?:(?P<more>\+)|(?:\.\.|-)(?P<high>[0-5]))?", text)
    if not match or (match["sign"] and (match["more"] or match["high"])):
        return None
    low = int(match["low"])
    bounds = {">=": (low, 5), ">": (low + 1, 5), "<=": (0, low), "<": (0, low - 1)}
    first, last = bounds.get(match["sign"] or "", (low, 5 if match["more"] else int(match["high"] or low)))
    return Stars(first, last) if first <= last else None


_DATE = f"a date ({EXAMPLES})"
_FILTERS = {
    "type": _Kind("a kind of media (photo)", "type:photo", _type),
    "after": _Kind(_DATE, "after:2019", _span),
    "before": _Kind(_DATE, "before:2021-06", _span),
    "date": _Kind(f"{_DATE}, or two of them (2019..2021)", 'date:"last summer"', _span),
    "camera": _Kind("a part of the camera's name", "camera:canon", _texts),
    "lens": _Kind("a part of the lens's name", "lens:50mm", _texts),
    "tag": _Kind("a tag, or how many of it", 'tag:"tabby cat" or tag:"2 dogs"', _texts),
    "path": _Kind("a part of the path, or a pattern with * and ?", "path:holiday or path:*.png", _path),
    "rating": _Kind("stars from 0 to 5", "rating:4, rating:4+, rating:<3 or rating:2..4", _stars),
    "similar": _Kind("the path of a photo in the library", "similar:/home/me/Pictures/a.jpg"),
    "sort": _Kind(", ".join(SORTS), "sort:date"),
    "limit": _Kind(f"a number from 1 to {MAX_LIMIT}", "limit:20"),
}
_NEAR = {
    "since": "after",
    "from": "after",
    "until": "before",
    "to": "before",
    "on": "date",
    "in": "date",
    "year": "date",
    "kind": "type",
    "model": "camera",
    "label": "tag",
    "keyword": "tag",
    "folder": "path",
    "dir": "path",
    "file": "path",
    "name": "path",
    "stars": "rating",
    "like": "similar",
    "order": "sort",
    "top": "limit",
    "max": "limit",
}
