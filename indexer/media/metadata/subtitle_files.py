"""Subtitles and timed lyrics as text: from bytes to what is said when. Broken ones say what they can, or nothing."""

from __future__ import annotations

import codecs
import html
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Final

import charset_normalizer
import pysubs2

from indexer.media.border import DECODER_ERRORS
from indexer.media.metadata.facts import clean_text
from indexer.records import Utterance

LARGEST: Final = 8 << 20
"""Bytes of a file of subtitles that is read; those of long films have some hundred thousand."""
_MOST: Final = 20_000
_LONGEST: Final = 500
"""Letters of one subtitle."""
_UNENDED: Final = 5.0
"""Seconds that a subtitle stays whose end is not told."""
_DAY: Final = 24 * 3600.0
_SAMPLE: Final = 1 << 15
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN: Final = "cp1252"
_LAST_ASCII: Final = 0x7F
_ENOUGH: Final = 400
"""Bytes of lines with letters that are not ASCII, from which an encoding can be guessed."""
_SHARE_OF_LETTERS: Final = 0.3
_LYRICS: Final = re.compile(r"((?:\[\d{1,3}:\d{2}(?:[.:]\d{1,3})?\]\s*)+)(.*)")
_STAMP: Final = re.compile(r"\[(\d{1,3}):(\d{2})(?:[.:](\d{1,3}))?\]")
_MARKUP: Final = re.compile(r"<[^<>]{0,100}>")


def parse_subtitles(data: bytes) -> tuple[Utterance, ...]:
    """What a file of subtitles says, in order of time; of a very large one, what its beginning says."""
    data = data[:LARGEST]
    text = decoded(data)
    try:
        events = pysubs2.SSAFile.from_string(text).events
    except (pysubs2.Pysubs2Error, *DECODER_ERRORS):
        return said_in_order(_lyrics(text))
    return said_in_order(
        (one.plaintext, one.start / 1000, one.end / 1000) for one in events if not one.is_comment and not one.is_drawing
    )


def said_in_order(parts: Iterable[tuple[str, float, float]]) -> tuple[Utterance, ...]:
    """Subtitles (text, start and end in seconds) in order of time, without those that say nothing or are impossible."""
    found: dict[tuple[float, str], Utterance] = {}
    for text, start, end in parts:
        said = clean_text(html.unescape(_MARKUP.sub("", text[: 4 * _LONGEST])))
        if said is None or not 0 <= start < _DAY:
            continue
        said = " ".join(said.split())[:_LONGEST]
        until = min(end, _DAY) if end > start else start + _UNENDED
        found.setdefault((start, said), Utterance(said, start, until, 1.0, ()))
        if len(found) >= _MOST:
            break
    return tuple(sorted(found.values(), key=lambda one: (one.start, one.end)))


def decoded(data: bytes) -> str:
    """Text of an encoding that nobody states: Unicode if it can be, else what its letters look like."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data.decode(name, "replace")
    if b"\x00" in data[:_SAMPLE]:
        return data.decode("utf-16-be" if data[:1] == b"\x00" else "utf-16-le", "replace")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.start > len(data) - len("\N{GRINNING FACE}".encode()):
            return data.decode(errors="replace")  # cut off within a letter
    # The lines with letters of other alphabets tell more than the times between them.
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:_SAMPLE]
    foreign = sum(byte > _LAST_ASCII for byte in telling)
    if len(telling) < _ENOUGH and foreign < len(telling) * _SHARE_OF_LETTERS:
        return data.decode(_WESTERN, "replace")  # too little for a guess; Latin letters with some accents
    best = charset_normalizer.from_bytes(telling, cp_exclusion=_RARE).best()
    return data.decode(best.encoding if best is not None else _WESTERN, "replace")


_RARE: Final = ["mac_greek", "mac_iceland", "mac_latin2", "mac_roman", "mac_turkish", "mac_cyrillic", "cp037", "cp500"]


def _lyrics(text: str) -> Iterator[tuple[str, float, float]]:
    """LRC: lines that begin with the times at which they are sung, until the next one."""
    lines = []
    for line in text.splitlines():
        match = _LYRICS.fullmatch(line.strip())
        for minutes, seconds, part in _STAMP.findall(match[1]) if match else ():
            lines.append((int(minutes) * 60 + int(seconds) + float(f"0.{part or 0}"), match[2] if match else ""))
    lines.sort(key=lambda line: line[0])
    for (start, words), (following, _) in itertools.pairwise([*lines, (_DAY, "")]):
        yield words, start, min(following, start + 2 * _UNENDED)
