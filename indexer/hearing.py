"""What is heard in a video or a sound: speech, music and other sounds, piece by piece.

The sound is read once, in pieces of up to a minute that end in a pause, so that no word is cut. What was heard in a
piece is a page of `Notes`; whoever goes on after any page hears exactly what one pass would have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.errors import StageFailed
from indexer.findings import blamed_on
from indexer.media.container import Source
from indexer.media.sound import RATE, Sound, read_sound
from indexer.models.sound import SHORTEST_SILENCE, SILENCE
from indexer.models.voice import WINDOW, pause_after, speech_in, voice_in
from indexer.notes import Notes
from indexer.records import Event, Transcript, Utterance
from indexer.stage import SoundStage

LONGEST_PIECE = 60.0
"""Seconds: 4 MB of sound. A piece ends in the second half of them."""
READ_AT_ONCE = 600.0
"""Seconds of sound after which the file is opened anew where the next piece begins. To seek costs time in files
without an index; without it, going on in the middle of a file would cost the decoding of all that comes before."""
_SEARCHED = 10.0
"""Seconds of sound that are decoded together."""
_TOUCHING = 1.0
"""Seconds: what lies closer together, with the same label, is one event."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A piece of sound without gaps. Places are in samples from the beginning of the file."""

    run: int
    """Where the file was opened to read it: decoders give the very same samples only from there."""
    start: int
    samples: NDArray[np.float32]
    voice: NDArray[np.float32]
    """Of `voice_in`."""
    last: bool

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard in one piece, with true times."""

    run: int
    end: int
    last: bool
    transcripts: dict[str, Transcript]
    events: dict[str, tuple[Event, ...]]
    failed: dict[str, tuple[str, str]]
    """Title and remedy."""
    seconds: dict[str, float]


def hear(source: Source, stages: Mapping[str, SoundStage], notes: Notes, *, tell: Callable[[float], None]) -> HeardAll:
    """Listen to all of a file, from where `notes` end. `tell` is told how far (seconds), after each stage of
    each piece.

    Raises:
        MediaError: the file can no longer be read.
        StageBroken, DeviceFailed, CatalogError: the worker cannot go on.
    """
    pages = notes.pages(_Page)
    failed = {name for page in pages for name in page.failed}
    if not pages or not pages[-1].last:
        clock = time.perf_counter()
        for piece in _pieces(source, pages[-1] if pages else None):
            seconds = {"listen": time.perf_counter() - clock}
            listening = {name: stage for name, stage in stages.items() if name not in failed}
            page = _heard(piece, listening, seconds, tell)
            notes.add(len(pages), page)
            pages.append(page)
            failed |= page.failed.keys()
            tell(piece.end / RATE)
            clock = time.perf_counter()
    return _summed_up(pages)


def _pieces(source: Source, after: _Page | None) -> Iterator[_Piece]:
    """The sound of a file, or what comes after a page."""
    run, start = (after.run, after.end) if after else (0, 0)
    while True:
        if start - run >= READ_AT_ONCE * RATE:
            run = start
        for piece in _read(source, run, start):
            yield piece
            start = piece.end
            if start - run >= READ_AT_ONCE * RATE and not piece.last:
                break
        else:
            return


def _read(source: Source, run: int, start: int) -> Iterator[_Piece]:
    """Pieces from `start` on, by a decoder that begins at `run`."""
    most = int(LONGEST_PIECE * RATE)
    held = np.zeros(0, np.float32)
    for sound in read_sound(source, start=run / RATE, piece=_SEARCHED):
        place, samples = _after(sound, start)
        if len(samples) == 0:
            continue
        gap = place - (start + len(held))
        if gap > most:
            # Nothing is there for long: no silence to listen to.
            if len(held):
                yield _Piece(run, start, held, voice_in(held), last=False)
            start, held, gap = place, np.zeros(0, np.float32), 0
        held = np.concatenate([held, np.zeros(max(0, gap), np.float32), samples])
        while len(held) > most:
            voice = voice_in(held[:most])
            windows = pause_after(voice, len(voice) // 2)
            yield _Piece(run, start, held[: windows * WINDOW], voice[:windows], last=False)
            start, held = start + windows * WINDOW, held[windows * WINDOW :]
    if len(held):
        yield _Piece(run, start, held, voice_in(held), last=True)


def _after(sound: Sound, start: int) -> tuple[int, NDArray[np.float32]]:
    """Where a part of the sound begins, in samples, and what of it is not before `start`."""
    place = round(sound.start * RATE)
    skipped = min(max(0, start - place), len(sound.samples))
    return place + skipped, sound.samples[skipped:]


def _heard(
    piece: _Piece, stages: Mapping[str, SoundStage], seconds: dict[str, float], tell: Callable[[float], None]
) -> _Page:
    offset = piece.start / RATE
    speech = speech_in(piece.voice, len(piece.samples))
    transcripts: dict[str, Transcript] = {}
    events: dict[str, tuple[Event, ...]] = {}
    failed: dict[str, tuple[str, str]] = {}
    for name, stage in stages.items():
        clock = time.perf_counter()
        try:
            with blamed_on(name):
                found = stage.listen(piece.samples, speech)
        except StageFailed as error:
            failed[name] = (error.title, error.remedy)
        else:
            if found.transcript is not None:
                transcripts[name] = _moved(found.transcript, offset)
            events[name] = tuple(replace(one, start=one.start + offset, end=one.end + offset) for one in found.events)
        seconds[name] = time.perf_counter() - clock
        tell(offset)
    return _Page(
        run=piece.run,
        end=piece.end,
        last=piece.last,
        transcripts=transcripts,
        events=events,
        failed=failed,
        seconds=seconds,
    )


def _moved(transcript: Transcript, offset: float) -> Transcript:
    def moved(said: Utterance) -> Utterance:
        words = tuple(replace(word, start=word.start + offset, end=word.end + offset) for word in said.words)
        return replace(said, start=said.start + offset, end=said.end + offset, words=words)

    return replace(transcript, utterances=tuple(map(moved, transcript.utterances)))


def _summed_up(pages: Sequence[_Page]) -> HeardAll:
    failed = {name: StageFailed(*said) for page in pages for name, said in page.failed.items()}
    transcripts: dict[str, list[Transcript]] = {}
    events: dict[str, list[Event]] = {}
    seconds: dict[str, float] = {}
    for page in pages:
        for name, transcript in page.transcripts.items():
            transcripts.setdefault(name, []).append(transcript)
        for name, found in page.events.items():
            events.setdefault(name, []).extend(found)
        for step, spent in page.seconds.items():
            seconds[step] = seconds.get(step, 0.0) + spent
    return HeardAll(
        {name: _in_a_row(parts) for name, parts in transcripts.items() if name not in failed},
        {name: joined(found) for name, found in events.items() if name not in failed},
        failed,
        seconds,
    )


def _in_a_row(parts: Sequence[Transcript]) -> Transcript:
    """Transcripts of one piece after the other as one, in the language that was spoken longest."""
    spoken: dict[str, float] = {}
    sure: dict[str, float] = {}
    for part in parts:
        if part.language is not None:
            length = sum(said.end - said.start for said in part.utterances)
            spoken[part.language] = spoken.get(part.language, 0.0) + length
            sure[part.language] = sure.get(part.language, 0.0) + length * part.language_confidence
    language = max(spoken, key=lambda name: (spoken[name], name), default=None)
    confidence = min(1.0, sure[language] / spoken[language]) if language and spoken[language] else 0.0
    return Transcript(language, confidence, tuple(said for part in parts for said in part.utterances))


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


def _one(left: Event, right: Event) -> Event:
    """Two events as one, as sure as they are on average over time."""
    lengths = left.end - left.start, right.end - right.start
    confidence = left.confidence
    if sum(lengths) > 0:
        confidence = (left.confidence * lengths[0] + right.confidence * lengths[1]) / sum(lengths)
    return replace(left, end=max(left.end, right.end), confidence=min(1.0, confidence))
