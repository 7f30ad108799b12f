"""The sound of a video or of an audio file as 16 kHz mono, in pieces of bounded size, each with its true time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from config.errors import DamagedFile, UnsupportedFormat
from indexer.media.container import Source, VideoLimits, offset_of, open_source, too_long
from indexer.media.decoding import Losses, audio_frames, packets_of, prepare, seek_before
from indexer.media.downmix import RATE, Downmix
from indexer.media.files import FileIdentity
from indexer.media.metadata.facts import Facts
from indexer.media.metadata.quicktime import container_facts
from indexer.media.parts import Part
from indexer.media.tracks import AudioTrack, audio_tracks, has_picture

PIECE = 30.0
"""Seconds of a piece, unless told otherwise: 1.9 MB."""

_JUMP = 0.05
"""Seconds by which times may disagree with the samples counted; beyond it, sound is missing or comes later."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A piece of sound without gaps."""

    start: float
    """Seconds from the beginning of the file."""
    samples: NDArray[np.float32]
    """(N,) mono, 16 kHz, -1 to 1."""

    @property
    def end(self) -> float:
        """Seconds from the beginning of the file."""
        return self.start + len(self.samples) / RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """What a file of sound alone says about itself."""

    container: str
    """FFmpeg's name: "wav", "mp3", "ogg"."""
    duration: float
    """Seconds."""
    bit_rate: int | None
    """Bits a second."""
    tracks: tuple[AudioTrack, ...]
    """At least one."""
    facts: Facts


class Audio:
    """An open file of sound alone, until its `open_audio` ends."""

    def __init__(self, source: Source, info: AudioInfo) -> None:
        self.source = source
        self.info = info


@contextmanager
def open_audio(
    path: str, limits: VideoLimits, expected: FileIdentity | None = None, got_on: Callable[[], None] = lambda: None
) -> Iterator[Audio]:
    """Open a local file of sound alone: a voice memo, music; a cover picture is no moving one.

    `got_on`: as of `open_source`.

    Raises as `open_video`; UnsupportedFormat also if it has a moving picture.
    """
    with open_source(path, limits, expected, got_on) as source:
        yield Audio(source, _described(source))


def read_sound(
    source: Source,
    *,
    start: float = 0.0,
    end: float | None = None,
    piece: float = PIECE,
    track: int | None = None,
    losses: Losses | None = None,
) -> Iterator[Sound]:
    """The sound with start <= time < end, in order; a new piece begins after `piece` seconds and after every gap.

    `track` is the `index` of an AudioTrack; None: the one that a player would choose. Nothing if there is none. What
    comes out of one piece and the next is one sound: the sampling rate is converted without a seam. Packets that cannot
    be decoded are counted in `losses` and leave a gap.

    Raises MediaError when the file can no longer be read.
    """
    losses = losses if losses is not None else Losses()
    yield from _cut(_of_all_parts(source, start, end, track, losses), start, end, piece)


def _of_all_parts(
    source: Source, start: float, end: float | None, track: int | None, losses: Losses
) -> Iterator[Sound]:
    for part in source.parts_between(start, end):
        with source.container(part) as container:
            tracks = audio_tracks(container)
            chosen = next((found.index for found in tracks if track in {None, found.index}), None)
            if chosen is None:
                continue
            stream = next(stream for stream in container.streams.audio if stream.index == chosen)
            prepare(container, stream, source.limits)
            if start > part.begins:
                seek_before(container, stream, start + offset_of(container, part))
            yield from _resampled(container, stream, part, losses, end)


def _cut(parts: Iterator[Sound], start: float, end: float | None, piece: float) -> Iterator[Sound]:
    """Parts of any length as pieces of one length, within a range."""
    held: list[NDArray[np.float32]] = []
    begins, length, wanted = 0.0, 0, max(1, round(piece * RATE))
    for part in parts:
        first = max(0, round((start - part.start) * RATE))
        last = len(part.samples) if end is None else round((end - part.start) * RATE)
        samples, time = part.samples[first : max(first, last)], part.start + first / RATE
        if len(samples) == 0:
            continue
        if held and abs(begins + length / RATE - time) > 1 / RATE:
            yield Sound(begins, np.concatenate(held))
            held, length = [], 0
        if not held:
            begins = time
        held.append(samples)
        length += len(samples)
        while length >= wanted:
            joined = np.concatenate(held)
            yield Sound(begins, joined[:wanted].copy())
            held, length, begins = [joined[wanted:]], length - wanted, begins + wanted / RATE
    if length:
        yield Sound(begins, np.concatenate(held))


def _resampled(
    container: InputContainer, stream: AudioStream, part: Part, losses: Losses, end: float | None
) -> Iterator[Sound]:
    """Decoded sound at our rate. Times count the samples; only where the file's own differ much are they taken anew."""
    mixer, offset = _Mixer(stream.channels), offset_of(container, part)
    origin, given, taken = 0.0, 0, 0.0
    begun = False
    for frame in audio_frames(container, stream, losses):
        if frame.sample_rate <= 0 or frame.samples == 0:
            continue
        expected = origin + taken
        time = frame.time - offset if frame.time is not None else expected
        time = time if part.reaches(time) else expected
        if not begun or time - expected > _JUMP:
            if begun:
                yield Sound(origin + given / RATE, mixer.rest())
                mixer = _Mixer(stream.channels)
            origin, given, taken, begun = time, 0, 0.0, True
        if end is not None and time >= end:
            break
        samples = mixer.add(frame)
        taken += frame.samples / frame.sample_rate
        yield Sound(origin + given / RATE, samples)
        given += len(samples)
    if begun:
        yield Sound(origin + given / RATE, mixer.rest())


class _Mixer:
    """Decoded frames to mono at our rate. FFmpeg makes two channels of more, all of them kept; we make one of two."""

    def __init__(self, channels: int) -> None:
        self._downmix = None if channels == 1 else Downmix()
        # Of 16 bits: only then does FFmpeg mix channels so that their sum cannot exceed what there is room for.
        self._resampler = AudioResampler("s16p", "mono" if channels == 1 else "stereo", RATE)

    def add(self, frame: AudioFrame | None) -> NDArray[np.float32]:
        """What can be said so far (N,); None: all of the frames have come."""
        parts: list[NDArray[Any]] = [np.zeros((1 if self._downmix is None else 2, 0), np.int16)]
        parts += [part.to_ndarray() for part in self._resampler.resample(frame)]
        samples = np.concatenate(parts, axis=1).astype(np.float32) / np.float32(32768)
        return samples[0] if self._downmix is None else self._downmix.add(samples)

    def rest(self) -> NDArray[np.float32]:
        """What was held back, at the end."""
        samples = self.add(None)
        return samples if self._downmix is None else np.concatenate([samples, self._downmix.rest()])


def _described(source: Source) -> AudioInfo:
    with source.container(source.parts[0]) as container:
        if has_picture(container):
            raise UnsupportedFormat("The file has a moving picture.", "It is read as a video.")
        tracks = audio_tracks(container)
        if not tracks:
            raise UnsupportedFormat(
                "The file has no sound that Reverie can decode.", "Convert it to AAC or MP3 with an audio editor."
            )
        stream = next(stream for stream in container.streams.audio if stream.index == tracks[0].index)
        prepare(container, stream, source.limits)
        if next(audio_frames(container, stream, Losses()), None) is None:
            raise DamagedFile(
                "Nothing of the sound can be decoded: the file is damaged or incomplete.",
                "Let the copy finish, or copy it again from its source.",
            )
        info = AudioInfo(
            container=container.format.name,
            duration=(container.duration or 0) / _MICROSECONDS if len(source.parts) == 1 else 0.0,
            bit_rate=container.bit_rate or None,
            tracks=tracks,
            facts=container_facts({**stream.metadata, **container.metadata}),
        )
    if info.duration <= 0:
        info = dataclasses.replace(info, duration=_counted(source, tracks[0].index))
    if info.duration > source.limits.max_seconds:
        raise too_long(info.duration, source.limits)
    return info


def _counted(source: Source, index: int) -> float:
    """Seconds, by reading all packets: for files that state no duration."""
    part, end = source.parts[-1], 0.0
    with source.container(part) as container:
        stream = next((stream for stream in container.streams.audio if stream.index == index), None)
        for packet in packets_of(container, stream, Losses()) if stream else ():
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        return max(part.begins, end - offset_of(container, part))
