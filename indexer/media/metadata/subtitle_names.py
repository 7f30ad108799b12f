"""What the names of subtitle files say: which recording they belong to, and in which language they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from indexer.media.formats import MEDIA_SUFFIXES

_SUFFIXES: Final = frozenset({".srt", ".vtt", ".ass", ".ssa", ".lrc"})
_LANGUAGES: Final = {
    "ar": "ara arabic", "bg": "bul bulgarian", "ca": "cat catalan", "cs": "ces cze czech", "da": "dan danish",
    "de": "deu ger german deutsch", "el": "ell gre greek", "en": "eng english", "es": "spa spanish espanol",
    "et": "est estonian", "fa": "fas per persian", "fi": "fin finnish", "fr": "fra fre french francais",
    "he": "heb hebrew", "hi": "hin hindi", "hr": "hrv croatian", "hu": "hun hungarian", "id": "ind indonesian",
    "it": "ita italian italiano", "ja": "jpn japanese", "ko": "kor korean", "lt": "lit lithuanian",
    "lv": "lav latvian", "nl": "nld dut dutch nederlands", "no": "nor nob norwegian", "pl": "pol polish polski",
    "pt": "por portuguese", "ro": "ron rum romanian", "ru": "rus russian", "sk": "slk slo slovak",
    "sl": "slv slovenian", "sr": "srp serbian", "sv": "swe swedish svenska", "th": "tha thai",
    "tr": "tur turkish", "uk": "ukr ukrainian", "vi": "vie vietnamese", "zh": "zho chi chinese",
}  # fmt: skip
"""ISO 639-1, then what else people and containers write for it (ISO 639-2, names)."""
_BY_WORD: Final = {word: code for code, words in _LANGUAGES.items() for word in (code, *words.split())}
_REGIONAL: Final = re.compile(r"([a-z]{2,3})[-_][a-z0-9]{2,4}")
_OTHER_CODE: Final = re.compile(r"[a-z]{2,3}")
_PURPOSES: Final = frozenset({"forced", "foreign", "sdh", "cc", "hi", "default", "full", "lyrics"})
_FORCED: Final = frozenset({"forced", "foreign"})


def is_subtitle(path: str) -> bool:
    """Whether a file of this name may hold the words of a recording, with their times."""
    return PurePath(path).suffix.lower() in _SUFFIXES


def recordings_named(subtitle: str) -> Iterator[str]:
    """What a recording may be called, with or without its suffix, to which a file of subtitles belongs.

    In lower case: "film.en.forced.srt" belongs to "film.en.forced", "film.en" and "film".
    """
    name = PurePath(subtitle).stem.casefold()
    yield name
    while (tag := PurePath(name).suffix.removeprefix(".")) and _is_tag(tag):
        name = name.removesuffix(f".{tag}")
        yield name


def language_of(name: str) -> str | None:
    """The language that the name of a file of subtitles states, in ISO 639-1."""
    found = (language(tag) for tag in reversed(_tags(name)))
    return next((code for code in found if code is not None), None)


def language(word: str | None) -> str | None:
    """ISO 639-1 of what people and containers call a language: "eng", "German", "pt-BR"."""
    word = (word or "").casefold()
    match = _REGIONAL.fullmatch(word)
    return _BY_WORD.get(match[1] if match else word)


def is_forced(name: str) -> bool:
    """Whether a file of subtitles says that it has only what is spoken in a foreign language."""
    return not _FORCED.isdisjoint(_tags(name))


def _tags(name: str) -> list[str]:
    return PurePath(name).stem.casefold().split(".")[1:]


def _is_tag(tag: str) -> bool:
    return (
        tag in _PURPOSES
        or language(tag) is not None
        or (_OTHER_CODE.fullmatch(tag) is not None and f".{tag}" not in MEDIA_SUFFIXES)
    )
