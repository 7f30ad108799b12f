"""What is heard in a video or a sound: speech, music and other sounds, piece by piece.

The sound is read once, in pieces of up to a minute that end in a pause, so that no word is cut. What was heard in a
piece is a page of `Notes`; whoever goes on after any page hears exactly what one pass would have. Audio tracks (a
microphone and the sound of a game, a film and a commentary) are listened to one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.errors import StageFailed
from indexer.findings import blamed_on
from indexer.heard import HeardAll, in_a_row, mixed, side_by_side
from indexer.media.container import Source
from indexer.media.downmix import RATE
from indexer.media.sound import Sound, read_sound
from indexer.media.tracks import tracks_of
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


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A piece of sound without gaps. Places are in samples from the beginning of the file."""

    track: int
    """The `index` of its AudioTrack."""
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

    track: int
    run: int
    end: int
    last: bool
    transcripts: dict[str, Transcript]
    events: dict[str, tuple[Event, ...]]
    failed: dict[str, tuple[str, str]]
    """Title and remedy."""
    seconds: dict[str, float]


def hear(source: Source, stages: Mapping[str, SoundStage], notes: Notes, *, tell: Callable[[float], None]) -> HeardAll:
    """Listen to every audio track of a file, from where `notes` end. `tell` is told how far (seconds), after each
    stage of each piece; of several tracks, as if the file had one.

    Raises:
        MediaError: the file can no longer be read.
        StageBroken, DeviceFailed, CatalogError: the worker cannot go on.
    """
    pages = notes.pages(_Page)
    failed = {name for page in pages for name in page.failed}
    tracks, duration = tracks_of(source)
    for number, track in enumerate(tracks):
        reached = _as_one_pass(tell, number, len(tracks), duration)
        before = next((page for page in reversed(pages) if page.track == track.index), None)
        if before is not None and before.last:
            continue
        clock = time.perf_counter()
        for piece in _pieces(source, track.index, before):
            seconds = {"listen": time.perf_counter() - clock}
            listening = {name: stage for name, stage in stages.items() if name not in failed}
            page = _heard(piece, listening, seconds, reached)
            notes.add(len(pages), page)
            pages.append(page)
            failed |= page.failed.keys()
            reached(piece.end / RATE)
            clock = time.perf_counter()
    return _summed_up(pages)


def _as_one_pass(tell: Callable[[float], None], number: int, tracks: int, duration: float) -> Callable[[float], None]:
    """What is told while track `number` (from 0) of several is listened to."""
    return lambda at: tell((number * duration + min(at, duration)) / tracks if tracks > 1 else at)


def _pieces(source: Source, track: int, after: _Page | None) -> Iterator[_Piece]:
    """The sound of a track, or what comes after a page."""
    run, start = (after.run, after.end) if after else (0, 0)
    while True:
        if start - run >= READ_AT_ONCE * RATE:
            run = start
        for piece in _read(source, track, run, start):
            yield piece
            start = piece.end
            if start - run >= READ_AT_ONCE * RATE and not piece.last:
                break
        else:
            return


def _read(source: Source, track: int, run: int, start: int) -> Iterator[_Piece]:
    """Pieces from `start` on, by a decoder that begins at `run`."""
    most = int(LONGEST_PIECE * RATE)
    held = np.zeros(0, np.float32)
    for sound in read_sound(source, start=run / RATE, piece=_SEARCHED, track=track):
        place, samples = _after(sound, start)
        if len(samples) == 0:
            continue
        gap = place - (start + len(held))
        if gap > most:
            # Nothing is there for long: no silence to listen to.
            if len(held):
                yield _Piece(track, run, start, held, voice_in(held), last=False)
            start, held, gap = place, np.zeros(0, np.float32), 0
        held = np.concatenate([held, np.zeros(max(0, gap), np.float32), samples])
        while len(held) > most:
            voice = voice_in(held[:most])
            windows = pause_after(voice, len(voice) // 2)
            yield _Piece(track, run, start, held[: windows * WINDOW], voice[:windows], last=False)
            start, held = start + windows * WINDOW, held[windows * WINDOW :]
    if len(held):
        yield _Piece(track, run, start, held, voice_in(held), last=True)


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
        track=piece.track,
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
    tracks: dict[int, list[_Page]] = {}
    seconds: dict[str, float] = {}
    for page in pages:
        tracks.setdefault(page.track, []).append(page)
        for step, spent in page.seconds.items():
            seconds[step] = seconds.get(step, 0.0) + spent
    transcripts: dict[str, Transcript] = {}
    events: dict[str, tuple[Event, ...]] = {}
    for name in dict.fromkeys(name for page in pages for name in page.events if name not in failed):
        said = [[page.transcripts[name] for page in track if name in page.transcripts] for track in tracks.values()]
        if any(said):
            transcripts[name] = side_by_side([in_a_row(parts) for parts in said])
        found = [[one for page in track for one in page.events[name]] for track in tracks.values()]
        events[name] = mixed(found, transcripts.get(name))
    return HeardAll(transcripts, events, failed, seconds)
