"""The filters of the query language: their names, the values each one takes, and what to say about a wrong one."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from config.errors import QueryError
from indexer.records import Kind
from search.dates import EXAMPLES, Span, parse_span
from search.terms import Term, tokens

MAX_LIMIT = 1000
KINDS: dict[str, str] = {**{kind: kind for kind in Kind}, "moment": Kind.VIDEO, "sound": Kind.AUDIO}
"""What can be said of media, to the kind it means. Moments are those of videos."""
HAVINGS = {
    "audio": "audio",
    "sound": "audio",
    "speech": "speech",
    "place": "place",
    "location": "place",
    "gps": "place",
}
"""What can be asked for with `has:`, to what it means."""
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
class Seconds:
    """A range of lengths in time."""

    low: float = 0.0
    high: float = math.inf
    with_low: bool = True
    """Whether `low` itself is in the range."""
    with_high: bool = True


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Texts, lower case, of which one must fit."""

    texts: tuple[str, ...]


Value = Words | Stars | Seconds | AnyOf | Span


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter, understood."""

    name: str
    """The filter's name, or "words"."""
    value: Value
    typed: str
    """As the user wrote it, without the minus."""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class _Kind:
    takes: str
    example: str
    parse: Callable[[Term, date], Value | None] | None = None
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
    return _meant([piece.removesuffix("s") for piece in _pieces(term)], KINDS)


def _having(term: Term, _: date) -> AnyOf | None:
    return _meant(_pieces(term), HAVINGS)


def _meant(pieces: Sequence[str], meanings: Mapping[str, str]) -> AnyOf | None:
    """What all of the pieces mean; None if one of them has no meaning."""
    known = tuple(dict.fromkeys(meanings[piece] for piece in pieces if piece in meanings))
    return AnyOf(known) if known and all(piece in meanings for piece in pieces) else None


def _span(term: Term, today: date) -> Span | None:
    return parse_span(term.text, today)


def _texts(term: Term, _: date) -> AnyOf | None:
    texts = tuple(_pieces(term))
    return AnyOf(texts) if texts else None


def _spoken(term: Term, _: date) -> AnyOf | None:
    phrases = tuple(_pieces(term))
    return AnyOf(phrases) if phrases and all(tokens(phrase) for phrase in phrases) else None


def _pieces(term: Term) -> list[str]:
    """A value's alternatives, lower case: what commas part, unless it stands in quotes."""
    text = term.text.encode("utf-8", "replace").decode()
    pieces = [" ".join(piece.lower().split()) for piece in ([text] if term.quoted else text.split(","))]
    return list(dict.fromkeys(filter(None, pieces)))


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


_LENGTH = re.compile(
    r"(?:(?P<hours>\d+(?:\.\d+)?)h)?(?:(?P<minutes>\d+(?:\.\d+)?)m(?:in)?)?(?:(?P<seconds>\d+(?:\.\d+)?)(?:s|sec)?)?"
    r"|(?:(?P<clock_hours>\d{1,4}):)?(?P<clock_minutes>\d{1,2}):(?P<clock_seconds>\d{2})",
    re.ASCII,
)


def _length(text: str) -> float | None:
    """Seconds: "90", "90s", "1.5m", "1h30m", "1:30"."""
    match = _LENGTH.fullmatch(text)
    if match is None or not any(match.groups()) or len(text) > 20:
        return None
    amounts = {name: float(value or 0) for name, value in match.groupdict().items()}
    hours, minutes, seconds = (amounts[name] + amounts[f"clock_{name}"] for name in ("hours", "minutes", "seconds"))
    return 3600 * hours + 60 * minutes + seconds


def _duration(term: Term, _: date) -> Seconds | None:
    text = "".join(term.text.lower().split())
    first, dots, last = text.partition("..")
    if dots:
        low, high = _length(first), _length(last)
        return Seconds(low, high) if low is not None and high is not None and low <= high else None
    sign = (re.match(r"[<>]=?|=", text) or [""])[0]
    more = text.endswith("+") and not sign
    amount = _length(text.removeprefix(sign).removesuffix("+" if more else ""))
    if amount is None:
        return None
    ranges = {
        ">": Seconds(amount, with_low=False),
        ">=": Seconds(amount),
        "<": Seconds(0.0, amount, with_high=False),
        "<=": Seconds(0.0, amount),
    }
    # Nobody knows a file's length to the millisecond: what is shown as so many seconds is so long.
    exactly = Seconds(amount) if more else Seconds(amount - 0.5, amount + 0.5, with_high=False)
    return ranges.get(sign, exactly)


_DATE = f"a date ({EXAMPLES})"
_FILTERS = {
    "type": _Kind("a kind of media (photo, video, moment or audio)", "type:video", _type),
    "after": _Kind(_DATE, "after:2019", _span),
    "before": _Kind(_DATE, "before:2021-06", _span),
    "date": _Kind(f"{_DATE}, or two of them (2019..2021)", 'date:"last summer"', _span),
    "camera": _Kind("a part of the camera's name", "camera:canon", _texts),
    "lens": _Kind("a part of the lens's name", "lens:50mm", _texts),
    "tag": _Kind("a tag, a sound, or how many of a tag", 'tag:"tabby cat" or tag:"2 dogs"', _texts),
    "path": _Kind("a part of the path, or a pattern with * and ?", "path:holiday or path:*.png", _path),
    "said": _Kind("words that somebody says", 'said:"happy birthday"', _spoken),
    "action": _Kind("what somebody does", 'action:"playing guitar"', _texts),
    "duration": _Kind(
        "a length in time, or a range", "duration:90, duration:>30s, duration:<2m or duration:1m..5m", _duration
    ),
    "has": _Kind("what a file has (audio, speech or place)", "has:speech", _having),
    "rating": _Kind("stars from 0 to 5", "rating:4, rating:4+, rating:<3 or rating:2..4", _stars),
    "similar": _Kind("the path of a photo or video in the library", "similar:/home/me/Pictures/a.jpg"),
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
    "says": "said",
    "say": "said",
    "spoken": "said",
    "speech": "said",
    "transcript": "said",
    "doing": "action",
    "activity": "action",
    "event": "action",
    "length": "duration",
    "seconds": "duration",
    "minutes": "duration",
    "with": "has",
    "like": "similar",
    "order": "sort",
    "top": "limit",
    "max": "limit",
}
