"""Small copies and thumbnails that cameras write with their recordings, told by name. The recording must be there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Final

_INSTA360: Final = re.compile(r"(PRO_)?LRV_(\d{8}_\d{6})_[01]1_(.+)\.(?:insv|mp4|lrv)", re.IGNORECASE)
_INSTA360_ENDS: Final = (".insv", ".mp4")
_GOPRO: Final = re.compile(r"G[LOPHXS]?([A-Z0-9]*\d{4})\.(?:lrv|thm)", re.IGNORECASE)
_GOPRO_BEGINS: Final = ("GX", "GH", "GS", "GO", "GP")
_GOPRO_ENDS: Final = (".mp4", ".360")
_PROXY_SUFFIXES: Final = (".lrv", ".lrf")
_SAME_NAME_ENDS: Final = (".mp4", ".mov", ".360", ".osv", ".insv")
_THUMBNAIL: Final = ".thm"
_THUMBNAIL_OF_ENDS: Final = (
    *(*_SAME_NAME_ENDS, ".avi", ".mpg", ".mts", ".mxf", ".3gp", ".wav", ".lrv"),
    *(".jpg", ".crw", ".cr2", ".srf", ".raf"),
)
"""Canon, GoPro, Sony and others lay a small JPEG beside films, sounds and RAW photos."""
_SONY: Final = {
    "sub": re.compile(r"(.+)S\d\d\.MP4", re.IGNORECASE),
    "thmbnl": re.compile(r"(.+)T\d\d\.JPG", re.IGNORECASE),
}
"""XAVC and XDCAM cards keep C0001S03.MP4 in SUB and C0001T01.JPG in THMBNL, for C0001.MP4 in CLIP beside them."""
_SONY_ENDS: Final = (".mp4", ".mxf")
_PROXY_FOLDER: Final = "proxy"
"""Blackmagic's cameras and DaVinci Resolve write proxies of the same name into a folder Proxy below the recordings."""
_PROXY_FOLDER_OF_ENDS: Final = (".mov", ".mp4", ".mxf")


def original_of(path: str, exists: Callable[[str], bool]) -> str | None:
    """The recording of which this is the small copy or thumbnail; None: it is none, or the recording is not there.

    `exists` is asked for paths in the same folder, or in the one where the camera puts recordings, the spelling of
    cameras (upper or lower case) tried for each.
    """
    folder, name = os.path.split(path)
    for candidate in (*_beside(name), *_elsewhere(folder, name)):
        original = os.path.normpath(os.path.join(folder, candidate))
        if exists(original):
            return original
    return None


def _beside(name: str) -> Iterator[str]:
    stem, suffix = os.path.splitext(name)
    ends: tuple[str, ...]
    if match := _INSTA360.fullmatch(name):
        # A recording of two lenses is two files; newer cameras write one.
        stems: list[str] = [f"{match[1] or ''}VID_{match[2]}_{lens}_{match[3]}" for lens in ("00", "10")]
        ends = _INSTA360_ENDS
    elif suffix.lower() in (*_PROXY_SUFFIXES, _THUMBNAIL):
        stems, ends = [stem], _THUMBNAIL_OF_ENDS if suffix.lower() == _THUMBNAIL else _SAME_NAME_ENDS
        if match := _GOPRO.fullmatch(name):
            stems += [begin + stem[2:] for begin in _GOPRO_BEGINS]
            ends = (*_GOPRO_ENDS, *ends)
    else:
        return
    yield from _spelled(stems, ends)


def _elsewhere(folder: str, name: str) -> Iterator[str]:
    inside = os.path.basename(folder)
    if (pattern := _SONY.get(inside.lower())) and (match := pattern.fullmatch(name)):
        for clips in ("CLIP", "Clip", "clip"):
            yield from _spelled([f"../{clips}/{match[1]}"], _SONY_ENDS)
    elif inside.lower() == _PROXY_FOLDER:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in _PROXY_FOLDER_OF_ENDS:
            yield from _spelled([f"../{stem}"], _PROXY_FOLDER_OF_ENDS)


def _spelled(stems: list[str], ends: tuple[str, ...]) -> Iterator[str]:
    for one in stems:
        for end in ends:
            yield one + end
            yield one + end.upper()
