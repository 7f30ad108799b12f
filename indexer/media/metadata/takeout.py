"""Google Takeout: the JSON beside each photo and video, what it says, and the many ways in which it is named.

How the names are made was read off public reports of many exports: the name of the media file, ".supplemental-metadata"
(since 2024), both cut to 46 characters, a number in brackets in one of two places, ".json".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final

import msgspec

from indexer.media.metadata.facts import Facts, Place, clean_text, clean_words, place_or_none
from indexer.media.metadata.moments import Moment

SUFFIX: Final = ".json"

_EXTRA: Final = "supplemental-metadata"
_SHORTEST_CUT: Final = 43
"""A name of so many characters may be the beginning of a longer one."""
_LIVE_VIDEOS: Final = frozenset({".mov", ".mp4", ".mp"})
_NUMBER: Final = re.compile(r"\((\d+)\)$")
_EDITED: Final = re.compile(
    r"-(?:edited|bearbeitet|modifi\u00e9|editado|editada|modificato|bewerkt|edytowane|redigerad|redigeret|redigert|muokattu"
    r"|upraveno|\u7de8\u96c6\u6e08\u307f|\u5df2\u7f16\u8f91|\ud3b8\uc9d1\ub428|\u0438\u0437\u043c\u0435\u043d\u0435\u043d\u043e)$",
    re.IGNORECASE,
)
"""What Google Photos appends to the name of an edited copy, which has no JSON of its own."""


class TakeoutNames:
    """Which JSON of a folder belongs to which media file."""

    def __init__(self, names: Iterable[str]) -> None:
        self._whole: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
        self._of_stem: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
        self._cut: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
        for name in names:
            core, number = _numbered(PurePath(name).stem)
            title = _without_extra(core)
            self._whole[title.casefold(), number].append(name)
            self._of_stem[PurePath(title).stem.casefold(), number].append(name)
            if len(core) >= _SHORTEST_CUT:
                self._cut[title.casefold(), number].append(name)

    def of(self, name: str) -> list[str]:
        """The JSON files that speak about a media file."""
        if not self._whole:
            return []
        path = PurePath(name)
        stem, suffix = _EDITED.sub("", path.stem), path.suffix
        base, number = _numbered(stem)
        base = _EDITED.sub("", base)
        # The number stands in the name of the media file, but behind its suffix in that of the JSON.
        titles = [(f"{stem}{suffix}", None), (f"{base}{suffix}", number), (stem, None), (base, number)]
        for title, numbered in titles:
            if found := self._whole.get((title.casefold(), numbered)):
                return found
        for title, numbered in titles[:2]:
            for length in range(len(title) - 1, _SHORTEST_CUT - 1, -1):
                if found := self._cut.get((title[:length].casefold(), numbered)):
                    return found
        # The video of a Live Photo is described by the JSON of its photo.
        return self._of_stem.get((base.casefold(), number), []) if suffix.casefold() in _LIVE_VIDEOS else []


def takeout_facts(data: bytes) -> Facts:
    """What Google Photos knows of a media file; nothing where the JSON is something else."""
    try:
        said = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Facts()
    if "photoTakenTime" not in said and "geoData" not in said:
        return Facts()
    place, altitude = _place(said.get("geoData"))
    if place is None:
        place, altitude = _place(said.get("geoDataExif"))
    people = said.get("people")
    return Facts(
        moments=_moments(said.get("photoTakenTime")),
        place=place,
        altitude=altitude,
        description=clean_text(_text(said.get("description"))),
        people=clean_words([_text(_member(one, "name")) for one in people] if isinstance(people, list) else []),
    )


def _numbered(stem: str) -> tuple[str, str | None]:
    """A name without the number in brackets at its end, and that number."""
    match = _NUMBER.search(stem)
    return (stem[: match.start()], match[1]) if match else (stem, None)


def _without_extra(core: str) -> str:
    """The title, without ".supplemental-metadata" or what is left of it."""
    title, dot, rest = core.rpartition(".")
    return title if dot and title and _EXTRA.startswith(rest.casefold()) else core


def _moments(taken: object) -> tuple[Moment, ...]:
    stamp = _text(_member(taken, "timestamp"))
    try:
        moment = datetime.fromtimestamp(int(stamp), UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return ()
    return (Moment(moment.isoformat(), "second", 0, source="Google Takeout", in_utc=True),) if int(stamp) else ()


def _place(geo: object) -> tuple[Place | None, float | None]:
    latitude, longitude, altitude = (_number(_member(geo, name)) for name in ("latitude", "longitude", "altitude"))
    place = place_or_none(latitude, longitude)
    return place, (altitude or None) if place else None


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
