"""The files beside a photo, video or sound that speak about it, told by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from indexer.media.formats import is_photo
from indexer.media.metadata import picasa, takeout
from indexer.media.metadata.subtitle_names import is_subtitle, recordings_named

XMP: Final = ".xmp"
_SUFFIXES: Final = frozenset({XMP, takeout.SUFFIX})


def is_companion(path: str) -> bool:
    """Whether a file of this name may speak about others in its folder."""
    named = PurePath(path)
    return named.suffix.lower() in _SUFFIXES or named.name.lower() in picasa.NAMES or is_subtitle(path)


class Companions:
    """The companions in one folder. Names are compared without case: cameras, phones and editors differ in it."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: of the files in the folder; those that are no companions are passed over."""
        companions = [name for name in names if is_companion(name)]
        self._sidecars: defaultdict[str, list[str]] = defaultdict(list)
        for name in companions:
            if PurePath(name).suffix.lower() == XMP:
                self._sidecars[name.casefold()].append(name)
        self._takeout = takeout.TakeoutNames(
            name for name in companions if PurePath(name).suffix.lower() == takeout.SUFFIX
        )
        self._subtitles: defaultdict[str, list[str]] = defaultdict(list)
        for name in sorted(filter(is_subtitle, companions)):
            for recording in recordings_named(name):
                self._subtitles[recording].append(name)
        self._picasa = sorted(name for name in companions if name.lower() in picasa.NAMES)

    def of(self, name: str) -> tuple[str, ...]:
        """The companions of a media file in the same folder, the most specific first: a.jpg.xmp, then Adobe's a.xmp."""
        stem = PurePath(name).stem
        found = [*self._named(name, name + XMP), *self._named(stem, stem + XMP)]
        found += [*self._takeout.of(name), *self._picasa]
        if not is_photo(name):
            found += [*self._subtitles.get(name.casefold(), ()), *self._subtitles.get(stem.casefold(), ())]
        return tuple(dict.fromkeys(found))

    def _named(self, original: str, wanted: str) -> list[str]:
        """The sidecars of a name, that which is spelled like the media file first."""
        names = self._sidecars.get(wanted.casefold(), [])
        return sorted(names, key=lambda name: (not name.startswith(original), name))
