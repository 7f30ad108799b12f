"""Cuts a query into terms, each knowing where it stands: words, quoted phrases, `name:value` filters, `@saved` names.

No term is understood here; that is `search.query`'s work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from config.errors import QueryError
from search.scripts import words

_QUOTES = dict.fromkeys(map(ord, "“”„‟«»"), '"')
# Control characters cannot be typed on purpose; as blanks they separate words and reach neither SQLite nor a model.
_CONTROLS = dict.fromkeys([*range(0x20), 0x7F], " ")
_TERM = re.compile(
    r"""\s*(?P<minus>-(?=\S))?
        (?:(?P<name>[A-Za-z]+):(?!//))?
        (?:"(?P<quoted>[^"]*)(?P<closed>")?
          | (?(name)'(?P<single>[^']*)'(?!\S)|(?!))   # without a filter before it, ' is an apostrophe
          | (?P<bare>[^\s"]\S*)
          | (?P<nothing>))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One term as typed."""

    text: str
    """Its words, or a filter's value; without quotes, minus and name."""
    position: int
    """Where it begins, counted from 1."""
    name: str | None = None
    """The filter's name, lower case."""
    quoted: bool = False
    negated: bool = False

    @property
    def typed(self) -> str:
        """The term as a person would type it, for messages and reasons."""
        name = f"{self.name}:" if self.name else ""
        value = f'"{self.text}"' if self.quoted else self.text
        return f"{'-' if self.negated else ''}{name}{value}"


def cut(text: str) -> list[Term]:
    """The terms of a query in order. Raises QueryError for a quote that is never closed."""
    text = text.translate(_QUOTES | _CONTROLS)
    end = len(text.rstrip())
    terms: list[Term] = []
    at = 0
    while at < end and (match := _TERM.match(text, at)):
        at = match.end()
        name = match["name"].lower() if match["name"] else None
        position = match.end() - len(match[0].lstrip()) + 1
        if match["quoted"] is not None and not match["closed"]:
            raise QueryError(
                f"The quote at character {match.start('quoted')} is never closed.",
                f'Close it: {match[0].strip()}", or leave it out.',
            )
        value = next((part for part in match.group("quoted", "single", "bare") if part is not None), "")
        quoted = match["bare"] is None and match["nothing"] is None
        terms.append(Term(value, position, name, quoted, match["minus"] is not None))
    return terms


def tokens(text: str) -> list[str]:
    """The searchable words of a text, lower case."""
    return words(text)
