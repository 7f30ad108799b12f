"""The words that cameras and programs write into every file where a person's caption belongs."""

from __future__ import annotations

import re
from typing import Final

_BRANDS: Final = (
    "agfaphoto|benq|canon|casio|concord|epson|fuji|fujifilm|ge|general electric|hp|jenoptik|kodak|konica|"
    "konica minolta|kyocera|leica|medion|minolta|mustek|nikon|nytech|olympus|panasonic|pentax|polaroid|praktica|"
    "premier|ricoh|rollei|samsung|sanyo|sigma|skanhex|sony|toshiba|traveler|trust|vivitar|yashica"
)
_WORDS: Final = re.compile(
    rf"(?:(?:{_BRANDS}) )?digital (?:still )?camera|(?:sony|minolta) +dsc|dsc|samsung(?: camera pictures)?"
    r"|exif[_ ]jpeg(?:[_ ]picture)?|dcf ?\d.*|jpeg|image|picture|photo|ascii|unicode|default|untitled|none|null|n/a"
    # Huawei and Honor name the mode of the camera.
    r"|oznor\w*|cof|dav|hdr|hdrpl|rhdr|vhdr|sdr|mde|ptr|fbt|nor|btf|edf|sdhdr|burst|_cuva|binary comment"
    # The file's own name, as GoPro and some phones write it.
    r"|gopro|(?:[a-z]:)?[\\/]?dcim[\\/].*"
    # Encoders and web sites sign the comment.
    r"|creator: ?gd-jpeg.*|created with (?:the )?gimp.*|file written by adobe.*|processed by ebay.*"
    r"|optimi[sz]ed by jpeg.*"
    r"|lead technologies.*|intel\(r\) jpeg.*|applemark\W*|lavc[\d.]*|handmade software.*|hisilicon.*"
    r"|charset=.*|jfif.*|<.*>|\W*",
    re.IGNORECASE | re.DOTALL,
)


def is_camera_text(text: str, camera: str | None = None) -> bool:
    """Whether a caption is no more than what the camera or a program writes into every file, or the camera's name."""
    words = " ".join(text.split())
    return _WORDS.fullmatch(words) is not None or (camera is not None and _names(words.casefold(), camera.casefold()))


def _names(words: str, camera: str) -> bool:
    """Whether words are a camera's make and model, or its model: which has a number, so that "apple" is a caption."""
    return words == camera or (camera.endswith(f" {words}") and any(letter.isdigit() for letter in words))
