"""Words of all scripts, cut for the full-text index and for queries alike.

Chinese, Japanese, Thai, Lao, Khmer and Burmese write no blanks between words, and Korean none between a word and its
particles. Each run of such letters is indexed letter by letter, and looked for as a phrase: a word is found wherever
its letters follow each other. All other words stay whole. Both sides pass through NFKC and case folding first, so
that full-width and half-width forms, and letters that macOS takes apart in file names, are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

EDGE = "\ue000"
"""Stands before and after each run of letters without blanks. A private character: FTS5 takes it for a word, and no
text means anything by it."""

_HAN = "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = (
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\U0001b000-\U0001b16f"
)
_HANGUL = "\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb"
_SOUTH_EAST = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ede\u1000-\u109d\u1780-\u17d3\u17dc\u17dd\ua9e0-\ua9fe\uaa60-\uaa7f"
_MARKS = (
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064"
    "\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd\u3099\u309a"
)
"""Vowels and tones that belong to the letter before them."""
_HAN_LETTER = re.compile(f"[{_HAN}]")
_HANGUL_LETTER = re.compile(f"[{_HANGUL}]")
_RUN = re.compile(f"[{_HAN}{_KANA}{_HANGUL}{_SOUTH_EAST}\u3099\u309a]+")
_LETTER = re.compile(f".[{_MARKS}]*", re.DOTALL)
_PART = re.compile(f"{_RUN.pattern}|(?:(?!{_RUN.pattern}).)+", re.DOTALL)

_DROPPED = re.compile(
    f"[{EDGE}"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points, which most texts leave out
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic vowels: the same
    "\u200b-\u200d\u2060\u20d0-\u20ff\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # how a sign looks, not what it is
)
_PARTICLES = "은 는 이 가 을 를 에 의 와 과 도 로 만 에서 에는 에서는 으로 까지 부터 하고 랑 이랑".split()  # noqa: SIM905
_LATIN = "A-Za-z\u00aa-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab64\ufb00-\ufb06\uff21-\uff5a"
_FOREIGN = re.compile(f"(?:(?![{_LATIN}])[^\\W\\d_])+")


def folded(text: str) -> str:
    """The text as its words are compared."""
    return text.lower() if text.isascii() else _DROPPED.sub("", unicodedata.normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    """The words of a text, folded: letters and digits with their marks. Of scripts without blanks, whole runs."""
    text = folded(text)
    if text.isascii():
        return re.findall(r"[^\W_]+", text)
    spaced = "".join(letter if letter.isalnum() or _is_mark(letter) else " " for letter in text)
    return [part for word in spaced.split() for part in _PART.findall(word) if any(map(str.isalnum, part))]


def indexed(text: str) -> str:
    """The text as FTS5 is given it, which cuts at blanks and punctuation."""
    return text if text.isascii() else _RUN.sub(_apart, folded(text))


def letters(text: str) -> list[str]:
    """What FTS5 makes of a text: its words, and each letter of those without blanks."""
    return [one for word in words(text) for one in (_LETTER.findall(word) if _RUN.fullmatch(word) else (word,))]


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that writes no blanks, and so may be a part of a run."""
    return _RUN.match(word) is not None


def is_foreign(word: str) -> bool:
    """Whether a word has letters that are not Latin."""
    return _FOREIGN.search(word) is not None


def latin(text: str) -> str:
    """The text without its words that are not Latin."""
    found = words(text)
    return " ".join(word for word in found if not is_foreign(word)) if any(map(is_foreign, found)) else text


def every(of: Sequence[str]) -> str:
    """The FTS5 expression that all of these words stand there. Each is quoted: no word is an operator."""
    return " AND ".join(map(_somewhere, of))


def some(of: Sequence[str]) -> str:
    """The FTS5 expression that one of these words stands there."""
    return " OR ".join(map(_somewhere, of))


def phrase(of: Sequence[str]) -> str:
    """The FTS5 expression that these words follow each other."""
    return _somewhere(of[0]) if len(of) == 1 else _part(" ".join(of))


def _somewhere(word: str) -> str:
    """One word as an FTS5 expression. A single letter that is no Han character says nothing inside other words: it
    must stand alone, a Korean one with its particle."""
    if not is_unspaced(word) or _HAN_LETTER.match(word) or len(_LETTER.findall(word)) > 1:
        return _part(word)
    alone = [word, *(word + particle for particle in _PARTICLES if _HANGUL_LETTER.match(word))]
    return f"({' OR '.join(_quoted(indexed(one)) for one in alone)})"


def _part(text: str) -> str:
    """Text that may be a part of more."""
    return _quoted(indexed(text).strip(f" {EDGE}"))


def _quoted(text: str) -> str:
    return f'"{text}"'


def _apart(run: re.Match[str]) -> str:
    return f" {EDGE} {' '.join(_LETTER.findall(run[0]))} {EDGE} "


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter).startswith("M")
