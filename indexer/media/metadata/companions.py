"""The files beside a photo, video or sound that speak about it, told by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

_XMP: Final = ".xmp"


def is_companion(path: str) -> bool:
    """Whether a file of this name may speak about others in its folder."""
    return PurePath(path).suffix.lower() == _XMP


class Companions:
    """The companions in one folder. Names are compared without case: cameras, phones and editors differ in it."""

    def __init__(self, names: Iterable[str]) -> None:
        """`names`: of the files in the folder; those that are no companions are passed over."""
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            if is_companion(name):
                self._by_name[name.casefold()].append(name)

    def of(self, name: str) -> tuple[str, ...]:
        """The companions of a media file in the same folder, the most specific first: a.jpg.xmp, then Adobe's a.xmp."""
        if not self._by_name:
            return ()
        stem = PurePath(name).stem
        found = [*self._named(name, name + _XMP), *self._named(stem, stem + _XMP)]
        return tuple(dict.fromkeys(found))

    def _named(self, original: str, wanted: str) -> list[str]:
        """The companions of a name, that which is spelled like the media file first."""
        names = self._by_name.get(wanted.casefold(), [])
        return sorted(names, key=lambda name: (not name.startswith(original), name))
