"""A transcript as a file: subtitles (SubRip, WebVTT), plain text, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from indexer.records import Transcript, Utterance, Word

Format = Literal["srt", "vtt", "txt", "json"]

LINE = 42
"""Characters of a line, and two lines: what broadcasters agree on for alphabets (BBC and Netflix guidelines)."""
LINES = 2
LONGEST = 7.0
"""Seconds that a subtitle stays."""
SHORTEST = 0.8
"""Seconds, if the next one does not come sooner."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle."""

    start: float
    """Seconds."""
    end: float
    lines: tuple[str, ...]


def subtitles(transcript: Transcript, form: Format) -> str:
    """A transcript in one of the forms, with a line feed at its end unless it is empty.

    "json" holds everything: language, and utterances with their words, times in seconds.
    """
    return _FORMS[form](transcript)


def cues(transcript: Transcript) -> list[Cue]:
    """Subtitles in order, none before the one before it ends. Nothing for words without text."""
    parts = [part for said in transcript.utterances for part in _parts(said)]
    found: list[Cue] = []
    for number, (start, end, text) in enumerate(parts):
        begins = max(start, found[-1].end) if found else max(0.0, start)
        until = parts[number + 1][0] if number + 1 < len(parts) else float("inf")
        found.append(Cue(begins, max(begins, end, min(begins + SHORTEST, until)), tuple(_lines(text))))
    return found


def _parts(said: Utterance) -> Iterator[tuple[float, float, str]]:
    """An utterance in parts that fit: start, end and text of each."""
    if not said.words:
        text = " ".join(said.text.split())
        if text:
            yield said.start, said.end, text
        return
    held: list[Word] = []
    for word in said.words:
        if not word.text.strip():
            continue
        if held and (not _fits([*held, word]) or word.end - held[0].start > LONGEST):
            yield _part(held)
            held = []
        held.append(word)
    if held:
        yield _part(held)


def _part(words: Sequence[Word]) -> tuple[float, float, str]:
    return words[0].start, words[-1].end, _text(words)


def _text(words: Sequence[Word]) -> str:
    return " ".join(" ".join(word.text.split()) for word in words)


def _fits(words: Sequence[Word]) -> bool:
    return len(list(_lines(_text(words)))) <= LINES


def _lines(text: str) -> Iterator[str]:
    """Text in lines of at most 42 characters: of two, as even as can be. A longer word is broken, into as many."""
    if len(text) <= LINE:
        yield text
        return
    spaces = [place for place, letter in enumerate(text) if letter == " " and max(place, len(text) - place - 1) <= LINE]
    if spaces:
        middle = min(spaces, key=lambda place: abs(2 * place + 1 - len(text)))
        yield text[:middle]
        yield text[middle + 1 :]
        return
    cut = text.rfind(" ", 0, LINE + 1)
    yield text[:cut] if cut > 0 else text[:LINE]
    yield from _lines(text[cut + 1 :] if cut > 0 else text[LINE:])


def _srt(transcript: Transcript) -> str:
    """SubRip: cues are numbered, and a comma stands before the milliseconds."""
    blocks = [
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n" + "".join(f"{line}\n" for line in cue.lines)
        for number, cue in enumerate(cues(transcript), 1)
    ]
    return "\n".join(blocks)


def _vtt(transcript: Transcript) -> str:
    """WebVTT (W3C): text is escaped, as tags and the arrow would mean something."""
    blocks = [
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n" + "".join(f"{_escaped(line)}\n" for line in cue.lines)
        for cue in cues(transcript)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _txt(transcript: Transcript) -> str:
    return "".join(f"{' '.join(said.text.split())}\n" for said in transcript.utterances if said.text.strip())


def _json(transcript: Transcript) -> str:
    utterances = [
        {
            "start": round(said.start, 3),
            "end": round(said.end, 3),
            "text": said.text,
            "confidence": round(said.confidence, 4),
            "words": [
                {
                    "start": round(word.start, 3),
                    "end": round(word.end, 3),
                    "text": word.text,
                    "confidence": round(word.confidence, 4),
                }
                for word in said.words
            ],
        }
        for said in transcript.utterances
    ]
    document = {
        "language": transcript.language,
        "language_confidence": round(transcript.language_confidence, 4),
        "utterances": utterances,
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _time(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds: "01:02:03,456"."""
    whole = round(seconds * 1000)
    minutes, milliseconds = divmod(whole, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


_FORMS: Mapping[Format, Callable[[Transcript], str]] = {"srt": _srt, "vtt": _vtt, "txt": _txt, "json": _json}
