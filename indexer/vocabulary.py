"""Words that the analysis writes and the search reads, so that both mean the same by them. Plain data, no imports.

Most are for what pixels tell without a network (`indexer.models.pixels`), and what people type for it.
"""

from __future__ import annotations

from collections.abc import Mapping

COLOURS: tuple[str, ...] = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "white",
    "grey",
)
"""Tag names with the source "colour"."""

DARK = "dark"
NIGHT = "night"
BLACK_AND_WHITE = "black and white"
PANORAMA = "panorama"
SCREENSHOT = "screenshot"

COLOUR_SOURCE = "colour"
LIGHT_SOURCE = "light"
FORM_SOURCE = "form"

KEYWORD_SOURCE = "keyword"
"""Source of the tags that a file's own keywords make."""

CHAPTER_KIND = "chapter"
"""Kind of an event: a chapter, with its title as the label."""
SPEECH_KIND = "speech"
NOT_UNDERSTOOD = "not understood"
"""Kind and label of an event: somebody speaks, and the speech model does not know the language or hears no words."""

PIXEL_WORDS: Mapping[str, str] = {
    **{colour: colour for colour in COLOURS},
    "gray": "grey",
    "silver": "grey",
    "crimson": "red",
    "scarlet": "red",
    "reddish": "red",
    "golden": "yellow",
    "gold": "yellow",
    "yellowish": "yellow",
    "greenish": "green",
    "bluish": "blue",
    "violet": "purple",
    "lilac": "purple",
    "magenta": "pink",
    "tan": "brown",
    "ginger": "orange",
    "dark": DARK,
    "night": NIGHT,
    "nighttime": NIGHT,
    "night-time": NIGHT,
    "nocturnal": NIGHT,
    "black and white": BLACK_AND_WHITE,
    "black-and-white": BLACK_AND_WHITE,
    "b&w": BLACK_AND_WHITE,
    "monochrome": BLACK_AND_WHITE,
    "greyscale": BLACK_AND_WHITE,
    "grayscale": BLACK_AND_WHITE,
    "panorama": PANORAMA,
    "panoramic": PANORAMA,
    "screenshot": SCREENSHOT,
    "screenshots": SCREENSHOT,
    "screen shot": SCREENSHOT,
    "screen capture": SCREENSHOT,
}
"""What people type (lower case, some of several words: match the longest first) to the tag it means."""
