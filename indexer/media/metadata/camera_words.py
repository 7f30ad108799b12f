"""The words that cameras and programs write into every photo and recording where a person's own words belong."""

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
    r"|gopro|(?:[a-z]:)?[\\/]?dcim[\\/].*|(?:[a-z]:|/)?[\w ]*(?:[\\/][\w .-]+)*[\\/]\w+\.\w{2,4}"
    # A recording names its camera, with a model or a format.
    r"|(?:gopro|dji|sony|olympus|canon|nikon|panasonic|casio|kodak|minolta|samsung|fujifilm|ricoh|pentax)"
    r"(?: (?:avc|hevc|met|dsc|mov|max|digital|camera|corporation|\w*\d\w*))+"
    # The program that wrote it, with its version, and the names that programs give to tracks.
    r"|(?:lav[fc]|x26[45]|ffmpeg|handbrake|mp4box|gpac|isomedia|mencoder|virtualdub|adobe|imovie|itun|vid:)\S*"
    r"(?: [\w.:()-]*\d\S*| (?:pro|premiere|encoder|file|core|media))*"
    r"|\w*handler|core media \w+|unknown|na|created with (?:the )?gimp.*"
    r"|created with \S+(?: (?:\S*\d\S*|pro|premiere|video|movie|editor|maker|studio))*"
    # Encoders and web sites sign the comment.
    r"|creator: ?gd-jpeg.*|file written by adobe.*|processed by ebay.*|optimi[sz]ed by jpeg.*|lead technologies.*"
    r"|intel\(r\) jpeg.*|applemark\W*|handmade software.*|hisilicon.*"
    r"|charset=.*|jfif.*|<.*>|[\W_]*",
    re.IGNORECASE | re.DOTALL,
)


def is_camera_text(text: str, camera: str | None = None) -> bool:
    """Whether a caption is no more than what the camera or a program writes into every file, or the camera's name."""
    words = " ".join(text.split())
    return _WORDS.fullmatch(words) is not None or (camera is not None and _names(words.casefold(), camera.casefold()))


def _names(words: str, camera: str) -> bool:
    """Whether words are a camera's make and model, or its model: which has a number, so that "apple" is a caption."""
    return words == camera or (camera.endswith(f" {words}") and any(letter.isdigit() for letter in words))
