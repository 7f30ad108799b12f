"""The words in a recording's tags: what people wrote, without what cameras and programs write there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from indexer.media.metadata.camera_words import is_camera_text
from indexer.media.metadata.facts import clean_text
from indexer.records import Note

_TITLES: Final = ("com.apple.quicktime.title", "title")
_DESCRIPTIONS: Final = ("com.apple.quicktime.description", "description", "synopsis", "comment")
_NOTES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("artist", ("artist", "com.apple.quicktime.artist", "author", "com.apple.quicktime.author", "performer")),
    ("album artist", ("album_artist", "albumartist")),
    ("album", ("album", "com.apple.quicktime.album")),
    ("composer", ("composer", "com.apple.quicktime.composer", "lyricist")),
    ("director", ("director", "com.apple.quicktime.director")),
    ("genre", ("genre", "com.apple.quicktime.genre")),
    ("show", ("show", "series")),
    ("subtitle", ("subtitle", "tit3", "wm/subtitle")),
    ("synopsis", ("synopsis",)),
    ("comment", ("comment", "com.apple.quicktime.comment")),
    ("place", ("com.apple.quicktime.location.name", "location_name", "recording_location")),
    ("lyrics", ("lyrics", "unsyncedlyrics", "wm/lyrics")),
)
"""FFmpeg's names, lower case; of each the first that says something. Lyrics may name their language: "lyrics-eng"."""
_KEYWORDS: Final = ("com.apple.quicktime.keywords", "keywords", "wm/category")


def recording_title(said: Mapping[str, str]) -> str | None:
    """What a recording is called."""
    return next(_written(said, _TITLES), None)


def recording_description(said: Mapping[str, str]) -> str | None:
    """What is written about a recording."""
    return next(_written(said, _DESCRIPTIONS), None)


def recording_keywords(said: Mapping[str, str]) -> list[str]:
    """The words by which somebody sorted it."""
    return [word for text in _written(said, _KEYWORDS) for word in re.split(r"[;,]", text)]


def recording_notes(said: Mapping[str, str]) -> Iterator[Note]:
    """Who made it, what it is part of, and what else is written, apart from the title and the description."""
    description = recording_description(said)
    plain = {name.partition("-")[0] if name.startswith("lyrics") else name: text for name, text in said.items()}
    for label, names in _NOTES:
        text = next(_written(plain, names), None)
        if text is not None and text != description:
            yield Note(label, text)


def _written(said: Mapping[str, str], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        text = clean_text(said.get(name))
        if text is not None and not is_camera_text(text):
            yield text
