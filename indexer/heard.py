"""What was heard in a file, put together from the pieces of its sound and from its audio tracks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from config.errors import StageFailed
from indexer.models.sound import SHORTEST_SILENCE, SILENCE
from indexer.records import Event, Transcript, Utterance
from indexer.vocabulary import SPEECH_KIND

_TOUCHING = 1.0
"""Seconds: what lies closer together, with the same label, is one event."""
_TOGETHER = 1.0
"""Seconds by which the same word may be heard earlier or later in another track."""
_SAME = 0.5
"""The share of a sentence's words, and of a span, from which on it repeats what another track says."""


@dataclass(frozen=True, slots=True)
class HeardAll:
    """All that was heard; by stage. Times are seconds from the beginning of the file."""

    transcripts: dict[str, Transcript]
    events: dict[str, tuple[Event, ...]]
    """In order of their start."""
    failed: dict[str, StageFailed] = field(default_factory=dict)
    """Stages that failed on this file, and say nothing about it."""
    seconds: dict[str, float] = field(default_factory=dict, compare=False)
    """Time spent: "listen" (decoding, and finding voices), and in each stage."""


def in_a_row(parts: Sequence[Transcript]) -> Transcript:
    """Transcripts of one piece after the other as one, in the language that was spoken longest."""
    return _as_one(parts, [said for part in parts for said in part.utterances])


def side_by_side(tracks: Sequence[Transcript]) -> Transcript:
    """Transcripts of several tracks as one, in order of time.

    One track is often a mix of others: a sentence most of whose words another track has at the same time is left out.
    The longer and surer sentences go first.
    """
    if len(tracks) == 1:
        return tracks[0]
    claims = [(number, said) for number, track in enumerate(tracks) for said in track.utterances]
    claims.sort(key=lambda claim: (-sum(word.confidence for word in claim[1].words), claim[1].start, claim[0]))
    known: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    kept: list[tuple[int, Utterance]] = []
    for number, said in claims:
        words = [(_bare(word.text), (word.start + word.end) / 2) for word in said.words]
        repeated = sum(
            any(track != number and abs(at - time) <= _TOGETHER for track, at in known.get(text, ()))
            for text, time in words
        )
        if repeated < max(1, _SAME * len(words)):
            kept.append((number, said))
            for text, time in words:
                known[text].append((number, time))
    kept.sort(key=lambda claim: (claim[1].start, claim[1].end, claim[0]))
    return _as_one(tracks, [said for _, said in kept])


def mixed(tracks: Sequence[Sequence[Event]], transcript: Transcript | None) -> tuple[Event, ...]:
    """The events that one stage found in several tracks, as one: it is silent where all are silent. What was not
    understood in one track may be in another: `transcript`, of the same stage."""
    if len(tracks) == 1:
        return joined(tracks[0])
    loud = [event for track in tracks for event in track if event.label != SILENCE]
    silent = [event for event in joined(tracks[0]) if event.label == SILENCE]
    for track in tracks[1:]:
        silent = [_common(one, other) for one in silent for other in joined(track) if other.label == SILENCE]
        silent = [event for event in silent if event.end > event.start]
    said = transcript.utterances if transcript else ()
    loud = [event for event in loud if event.kind != SPEECH_KIND or not _covered(event, said)]
    return joined([*loud, *silent])


def joined(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events in order of their start; those of one kind and label that lie less than a second apart are one.

    Which silences are too short to tell is known only then: pieces end within them.
    """
    found: list[Event] = []
    latest: dict[tuple[str, str], int] = {}
    for event in sorted(events, key=lambda one: (one.start, one.kind, one.label)):
        place = latest.get((event.kind, event.label))
        if place is not None and event.start - found[place].end < _TOUCHING:
            found[place] = _one(found[place], event)
        else:
            latest[event.kind, event.label] = len(found)
            found.append(event)
    return tuple(event for event in found if event.label != SILENCE or event.end - event.start >= SHORTEST_SILENCE)


def _as_one(parts: Sequence[Transcript], utterances: Sequence[Utterance]) -> Transcript:
    spoken: dict[str, float] = {}
    sure: dict[str, float] = {}
    for part in parts:
        if part.language is not None:
            length = sum(said.end - said.start for said in part.utterances)
            spoken[part.language] = spoken.get(part.language, 0.0) + length
            sure[part.language] = sure.get(part.language, 0.0) + length * part.language_confidence
    language = max(spoken, key=lambda name: (spoken[name], name), default=None)
    confidence = min(1.0, sure[language] / spoken[language]) if language and spoken[language] else 0.0
    return Transcript(language, confidence, tuple(utterances))


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))


def _common(left: Event, right: Event) -> Event:
    return replace(left, start=max(left.start, right.start), end=min(left.end, right.end))


def _covered(event: Event, said: Iterable[Utterance]) -> bool:
    """Whether most of a span is filled with words."""
    filled = sum(max(0.0, min(event.end, one.end) - max(event.start, one.start)) for one in said)
    return filled >= _SAME * (event.end - event.start)


def _one(left: Event, right: Event) -> Event:
    """Two events as one, as sure as they are on average over time."""
    lengths = left.end - left.start, right.end - right.start
    confidence = left.confidence
    if sum(lengths) > 0:
        confidence = (left.confidence * lengths[0] + right.confidence * lengths[1]) / sum(lengths)
    return replace(left, end=max(left.end, right.end), confidence=min(1.0, confidence))
