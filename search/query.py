"""The query language: free text and filters, to a Query.

A query is a list of groups that must all hold; a group is one term, or several joined by OR. Free text is what
stands between filters: it is looked for by meaning. See docs/query-language.md for what people are told.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from config.errors import QueryError
from search.conditions import Condition, Words, not_understood, result_limit, sort_order, understand
from search.dates import Span, parse_span
from search.terms import Term, cut, tokens

MAX_CHARACTERS = 4096
MAX_TERMS = 64
MAX_WORDS = 256
MAX_ALTERNATIVES = 8
MAX_NESTING = 4
EMPTY_REMEDY = 'Say what to look for, for example "a dog on the beach", or give a filter: after:2021.'

Saved = Callable[[str], str | None]
"""The query saved under a name, or None."""


@dataclass(frozen=True, slots=True)
class FreeText:
    """Words to look for by meaning, and the time they speak of ("beach last summer"), which is a preference."""

    words: str
    when: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for. Without `texts` and `similar`, all media that fulfil the groups are answers."""

    texts: tuple[FreeText, ...] = ()
    """Alternatives: an answer may fit any of them."""
    groups: tuple[tuple[Condition, ...], ...] = ()
    """Every group must hold, through any one of its conditions."""
    similar: tuple[str, ...] = ()
    """Paths of photos or videos to be similar to."""
    sort: str = "relevance"
    """"relevance" (newest first where there is nothing to be relevant to), "date" (newest first), "-date", "quality" or
    "aesthetic"."""
    limit: int | None = None


def parse(text: str, *, today: date, saved: Saved | None = None) -> Query:
    """Understand a query.

    `today` is what relative dates count from; `saved` resolves "@name". Raises QueryError, naming the word, where it
    stands and the way out, and nothing else, whatever the text.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(f"The query has {len(text):,} characters.", f"Use at most {MAX_CHARACTERS:,}.")
    terms = _join_negations(_expand(cut(text), saved))
    if not terms:
        raise QueryError("The query is empty.", EMPTY_REMEDY)
    if len(terms) > MAX_TERMS:
        raise QueryError(f"The query has {len(terms)} terms.", f"Use at most {MAX_TERMS}.")
    words = sum(len(tokens(term.text)) for term in terms if term.name is None)
    if words > MAX_WORDS:
        raise QueryError(f"The query has {words} words.", f"Use at most {MAX_WORDS}.")
    return _build(list(_groups(terms)), today)


def _expand(terms: Iterable[Term], saved: Saved | None, within: tuple[str, ...] = ()) -> list[Term]:
    """Replace each "@name" with the terms of the search saved under it."""
    result: list[Term] = []
    listed = list(terms)
    for i, term in enumerate(listed):
        if term.name or term.quoted or not re.fullmatch(r"@[\w-]+", term.text):
            result.append(term)
            continue
        name = term.text[1:]
        if term.negated or any(_is_operator(near, "OR", "NOT") for near in listed[max(i - 1, 0) : i + 2]):
            raise QueryError(
                f"{term.typed} at character {term.position} cannot be negated or joined by OR.",
                "A saved search can only be combined with more terms that must hold too.",
            )
        if name in within or len(within) >= MAX_NESTING:
            raise QueryError(f"The saved search @{name} contains itself.", "Save it again without that.")
        text = saved(name) if saved else None
        if text is None:
            raise QueryError(
                f"There is no saved search named {name} (character {term.position}).",
                f'Put it in quotes to look for the words: "{term.text}".',
            )
        inner = _expand(cut(text[:MAX_CHARACTERS]), saved, (*within, name))
        result += (replace(part, position=term.position) for part in inner)
        if len(result) > MAX_TERMS:
            break
    return result


def _is_operator(term: Term, *words: str) -> bool:
    return term.name is None and not term.quoted and not term.negated and term.text in words


def _join_negations(terms: Sequence[Term]) -> list[Term]:
    """Turn `NOT x` into `-x`, and drop AND, which is what no operator means."""
    result: list[Term] = []
    negate: Term | None = None
    for term in terms:
        if _is_operator(term, "NOT") and negate is None:
            negate = term
        elif negate is not None:
            if _is_operator(term, "OR", "AND", "NOT"):
                raise _dangling(negate)
            result.append(replace(term, negated=not term.negated))
            negate = None
        elif not _is_operator(term, "AND"):
            result.append(term)
    if negate is not None:
        raise _dangling(negate)
    return result


def _dangling(term: Term) -> QueryError:
    return QueryError(
        f"{term.text} at character {term.position} has nothing to join.",
        f'Write what belongs to it, for example tag:cat OR tag:dog; in quotes it is a word: "{term.text}".',
    )


def _groups(terms: Sequence[Term]) -> Iterable[list[Term]]:
    """The terms in groups: alternatives joined by OR, a run of plain words counting as one term."""
    runs: list[Term] = []
    for term in terms:
        last = runs[-1] if runs else None
        if _is_plain(term) and last is not None and _is_plain(last) and not _is_operator(term, "OR"):
            runs[-1] = replace(last, text=f"{last.text} {term.text}")
        else:
            runs.append(term)
    group: list[Term] = []
    pending: Term | None = None
    for term in runs:
        if _is_operator(term, "OR"):
            if pending is not None or not group:
                raise _dangling(term)
            pending = term
        elif pending is not None:
            group.append(term)
            pending = None
        else:
            if group:
                yield group
            group = [term]
    if pending is not None:
        raise _dangling(pending)
    if group:
        yield group


def _is_plain(term: Term) -> bool:
    return not (term.name or term.quoted or term.negated or term.text == "OR")


def _build(groups: list[list[Term]], today: date) -> Query:
    texts: list[list[str]] = []
    conditions: list[tuple[Condition, ...]] = []
    similar: list[str] = []
    sort, limit = "relevance", None
    for group in groups:
        first = group[0]
        if all(_is_plain(term) for term in group):
            texts.append([term.text for term in group])
        elif len(group) == 1 and not first.negated and first.name in ("sort", "limit", "similar"):
            if first.name == "sort":
                sort = sort_order(first)
            elif first.name == "limit":
                limit = result_limit(first)
            else:
                similar.append(_similar(first))
        else:
            if len(group) == 1 and first.quoted and first.name is None and not first.negated:
                texts.append([first.text])
            conditions.append(tuple(_condition(term, today) for term in group))
    alternatives, spans = _free_texts(texts, today)
    conditions += [(Condition("date", span, typed),) for span, typed in spans]
    _check_dates(conditions)
    return Query(texts=alternatives, groups=tuple(conditions), similar=tuple(similar), sort=sort, limit=limit)


def _condition(term: Term, today: date) -> Condition:
    if term.name is None:
        words = tuple(tokens(term.text))
        if not words:
            raise QueryError(
                f"{term.typed} at character {term.position} holds no word to look for.",
                "Write letters or digits in it.",
            )
        return Condition("words", Words(words, phrase=term.quoted), term.typed.removeprefix("-"), negated=term.negated)
    if term.name in ("sort", "limit", "similar"):
        raise QueryError(
            f"{term.typed} at character {term.position} cannot be negated or joined by OR.",
            f"Write {term.name}: on its own.",
        )
    return understand(term, today)


def _similar(term: Term) -> str:
    if not term.text:
        raise not_understood(term)
    return term.text


def _free_texts(texts: list[list[str]], today: date) -> tuple[tuple[FreeText, ...], list[tuple[Span, str]]]:
    """Every combination of the alternatives, each with its date taken out; what is only a date becomes a filter."""
    if not texts:
        return (), []
    count = 1
    for group in texts:
        count *= len(group)
    if count > MAX_ALTERNATIVES:
        raise QueryError(
            f"The words joined by OR make {count} different searches.", f"Use at most {MAX_ALTERNATIVES} combinations."
        )
    whole = [" ".join(parts).encode("utf-8", "replace").decode() for parts in itertools.product(*texts)]
    found = [_take_date(words, today) for words in whole]
    if len(found) == 1 and not found[0].words and found[0].when is not None:
        return (), [(found[0].when, whole[0])]
    complete = (text if tokens(text.words) else FreeText(words) for text, words in zip(found, whole, strict=True))
    result = tuple(text for text in complete if tokens(text.words))
    if not result:
        raise QueryError(f"{whole[0]} holds no word to look for.", EMPTY_REMEDY)
    return result, []


def _take_date(words: str, today: date) -> FreeText:
    """Split "beach june 2020" into "beach" and June 2020, where the date says its year or counts from today."""
    parts = words.split()
    for length in range(min(4, len(parts)), 0, -1):
        for at in range(len(parts) - length + 1):
            piece = parts[at : at + length]
            sure = re.search(r"\b(1[89]|2[01])\d\d\b|\bago$|^(last|this|yesterday|today)\b", " ".join(piece).lower())
            if sure and (span := parse_span(" ".join(piece), today)):
                before = parts[:at]
                if before and before[-1].lower() in ("in", "on", "from", "during", "of"):
                    before = before[:-1]
                return FreeText(" ".join(before + parts[at + length :]), span)
    return FreeText(words)


def _check_dates(groups: Sequence[tuple[Condition, ...]]) -> None:
    alone = [group[0] for group in groups if len(group) == 1 and not group[0].negated]
    spans = [(one.name, one.value.start, one.typed) for one in alone if isinstance(one.value, Span)]
    for (name, start, after), (other, end, before) in itertools.product(spans, spans):
        if name == "after" and other == "before" and start >= end:
            raise QueryError(
                f"No day is both {after} and {before}.",
                f"{after} begins on {start}, {before} ends the day before {end}; for one year write date:2021.",
            )
