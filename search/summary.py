"""Two or three plain sentences about a video or sound, put together from what was found in it; nothing is made up.

The quotation is the sentence that holds most of what is talked about, by the frequency of its words: Luhn, "The
Automatic Creation of Literature Abstracts" (IBM Journal, 1958).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

from indexer.records import AUTHORED, Event, Kind, MediaInfo, Transcript, Utterance
from indexer.vocabulary import COLOUR_SOURCE, FORM_SOURCE, KEYWORD_SOURCE, LIGHT_SOURCE, SPEECH_KIND
from search.catalog import PhotoRow
from search.clock import clock, length, span
from search.terms import tokens
from search.wording import content_words

MOST_THINGS = 4
MOST_EVENTS = 3
LONGEST_QUOTE = 160
FEWEST_WORDS = 4
"""Of a sentence to quote, unless none has as many."""
SURE = 0.3
"""A tag is named only if its maker is as sure as this of some moment; people are always believed."""
_NO_THING = frozenset({COLOUR_SOURCE, LIGHT_SOURCE, FORM_SOURCE, KEYWORD_SOURCE})
_NO_EVENT = frozenset({"speech", "silence"})


def summary(row: PhotoRow) -> str:
    """What a video or sound is, shows and says. A photo, and a file that was not described yet, has none: ""."""
    info = row.info
    if info is None or info.kind == Kind.PHOTO:
        return ""
    sentences = [_what(row, info), _happens(row.events), _spoken(row)]
    return " ".join(sentence for sentence in sentences if sentence)


def _what(row: PhotoRow, info: MediaInfo) -> str:
    """What it is, when it was taken, of how many shots, and what it shows."""
    parts = ["A video" if row.kind == Kind.VIDEO else "A sound"]
    if info.duration is not None:
        parts.append(f"of {length(info.duration)}")
    shots = len({one.shot for one in row.segments if one.ordinal and one.shot is not None})
    if shots > 1:
        parts.append(f"in {shots} shots")
    if info.taken_at:
        day = date.fromisoformat(info.taken_at[:10])
        parts.append(f"from {day.day} {day:%B %Y}")
    sentence = " ".join(parts)
    things = _things(row)
    return f"{sentence}, showing {_and(things)}." if things else f"{sentence}."


def _things(row: PhotoRow) -> list[str]:
    """What people tagged, then what is seen for the longest time."""
    seconds = {
        one.ordinal: one.end - one.start for one in row.segments if one.start is not None and one.end is not None
    }
    seen: defaultdict[str, float] = defaultdict(float)
    given: list[str] = []
    for tag in row.tags:
        if tag.source == AUTHORED:
            given.append(tag.name)
        elif tag.segment and tag.source not in _NO_THING and tag.confidence >= SURE:
            seen[tag.name] += tag.confidence * seconds.get(tag.segment, 0.0)
    longest = sorted(seen, key=lambda name: (-seen[name], name))
    return list(dict.fromkeys([*given, *longest]))[:MOST_THINGS]


def _happens(events: Iterable[Event]) -> str:
    """The actions and sounds that go on for longest, each with the span of its longest time."""
    total: defaultdict[tuple[str, str], float] = defaultdict(float)
    longest: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.kind in ("action", "sound") and event.label not in _NO_EVENT:
            key = (event.kind, event.label)
            total[key] += event.confidence * (event.end - event.start)
            if key not in longest or event.end - event.start > longest[key].end - longest[key].start:
                longest[key] = event
    best = sorted(total, key=lambda key: (key[0] != "action", -total[key], key))[:MOST_EVENTS]
    named = [f"{key[1]} ({span(longest[key].start, longest[key].end)})" for key in best]
    return f"There is {_and(named)}." if named else ""


def _spoken(row: PhotoRow) -> str:
    if row.transcript is None or not row.transcript.utterances:
        unknown = any(event.kind == SPEECH_KIND for event in row.events)
        return "Somebody speaks in a language that the speech model does not know, or unclearly." if unknown else ""
    best = _telling(row.transcript)
    text = " ".join(best.text.split())
    if len(text) > LONGEST_QUOTE:
        text = f"{text[:LONGEST_QUOTE].rsplit(' ', 1)[0]}…"
    return f"At {clock(best.start)} somebody says: “{text}”"


def _telling(transcript: Transcript) -> Utterance:
    """The utterance whose words are said most often in the whole; of equal ones the first."""
    words = [content_words(one.text) for one in transcript.utterances]
    often = Counter(word for sentence in words for word in set(sentence))

    def weight(number: int) -> tuple[bool, float, int]:
        sentence = words[number]
        long_enough = len(tokens(transcript.utterances[number].text)) >= FEWEST_WORDS
        mean = sum(often[word] for word in sentence) / len(sentence) if sentence else 0.0
        return long_enough, mean * transcript.utterances[number].confidence, -number

    return transcript.utterances[max(range(len(words)), key=weight)]


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
