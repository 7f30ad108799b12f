"""Low-resolution copies that cameras write beside their recordings, told by name; the recording must be there, too."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Final

_INSTA360: Final = re.compile(r"LRV_(\d{8}_\d{6})_[01]1_(.+)\.(?:insv|mp4|lrv)", re.IGNORECASE)
_INSTA360_ENDS: Final = (".insv", ".mp4")
_GOPRO: Final = re.compile(r"G[LOPHXS]?([A-Z0-9]*\d{4})\.lrv", re.IGNORECASE)
_GOPRO_BEGINS: Final = ("GX", "GH", "GS", "GO", "GP")
_GOPRO_ENDS: Final = (".mp4", ".360")
_PROXY_SUFFIXES: Final = (".lrv", ".lrf")
_SAME_NAME_ENDS: Final = (".mp4", ".mov", ".360", ".osv", ".insv")


def original_of(path: str, exists: Callable[[str], bool]) -> str | None:
    """The recording of which this is the small copy; None: it is none, or the recording does not lie beside it.

    `exists` is asked for paths in the same folder, the spelling of cameras (upper or lower case) tried for each.
    """
    folder, name = os.path.split(path)
    for candidate in _originals(name):
        beside = os.path.join(folder, candidate)
        if exists(beside):
            return beside
    return None


def _originals(name: str) -> Iterator[str]:
    stem, suffix = os.path.splitext(name)
    ends: tuple[str, ...]
    if match := _INSTA360.fullmatch(name):
        # A recording of two lenses is two files; newer cameras write one.
        stems: list[str] = [f"VID_{match[1]}_{lens}_{match[2]}" for lens in ("00", "10")]
        ends = _INSTA360_ENDS
    elif suffix.lower() in _PROXY_SUFFIXES:
        stems, ends = [stem], _SAME_NAME_ENDS
        if match := _GOPRO.fullmatch(name):
            stems += [begin + stem[2:] for begin in _GOPRO_BEGINS]
            ends = (*_GOPRO_ENDS, *ends)
    else:
        return
    for one in stems:
        for end in ends:
            yield one + end
            yield one + end.upper()
