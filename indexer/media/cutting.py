"""Cutting parts out of a video and joining them to a new one: H.264 and AAC in MP4, which plays everywhere.

Everything is encoded anew: only so can a part begin at any frame, and parts of uneven frame rates follow each other
without the picture and the sound drifting apart.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from config.errors import ReverieError
from indexer.media.container import Source, VideoLimits, offset_of
from indexer.media.decoding import Losses, audio_frames, prepare, seek_before
from indexer.media.frames import sample
from indexer.media.tracks import audio_tracks
from indexer.media.video import Video, open_video

Span = tuple[float, float]
"""From when to when, in seconds from the beginning of the file."""

_SHORT_SIDE: Final = 1080
_CLOCK: Final = 90_000
_RATE: Final = 48_000
_JUMP: Final = 0.05
"""Seconds by which the times of sound may disagree with the samples counted; beyond it, some is missing."""
_BLOCK: Final = 1024
"""Samples: what AAC encodes at a time."""
_OPTIONS: Final = {"preset": "veryfast", "crf": "20"}
_FALLBACK_RATE: Final = 25
_FASTEST: Final = 120

Samples = NDArray[np.float32]


def cut(path: str, spans: Sequence[Span], out: Path, limits: VideoLimits) -> None:
    """Write the spans of a video, joined in the given order, to `out`, which is replaced whole or not at all.

    The picture is upright, of 8 bits, with a short side of 1080 pixels at most; every frame keeps its time. Sound is
    stereo; where there is none in a span, there is silence. Spans are shortened to what is there.

    Raises:
        MediaError: the video cannot be read, as by `open_video`; or nothing of it lies in the spans.
        ReverieError: `out` cannot be written.
    """
    with open_video(path, limits) as video:
        inside = [(max(0.0, start), min(end, video.timeline.end)) for start, end in spans]
        inside = [(start, end) for start, end in inside if end > start]
        if not inside:
            raise _nothing()
        try:
            with tempfile.NamedTemporaryFile(dir=out.parent, prefix=".", suffix=".mp4", delete=False) as file:
                try:
                    _write(video, inside, file)
                    file.flush()
                    os.chmod(file.name, 0o666 & ~_umask())
                    os.replace(file.name, out)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise ReverieError(
                f"{out} cannot be written: {error.strerror or error}.", "Make room there, or name another place."
            ) from error


def _nothing() -> ReverieError:
    return ReverieError(
        "There is nothing to cut: the video has no picture at these times.", "Choose longer parts within its length."
    )


def _umask() -> int:
    """Temporary files are for their owner alone; what a person asked for is as other new files."""
    current = os.umask(0o077)
    os.umask(current)
    return current


def _write(video: Video, spans: Sequence[Span], file: IO[bytes]) -> None:
    with av.open(file, "w", format="mp4") as output:
        writer = _Writer(video, output)
        began = 0.0
        for span in spans:
            writer.add(span, began)
            began += span[1] - span[0]
        writer.finish()


class _Writer:
    """Encodes frames and sound side by side, so that neither waits in memory for the other."""

    def __init__(self, video: Video, output: OutputContainer) -> None:
        self._video = video
        self._output = output
        rate = min(_FASTEST, max(1, round(video.info.fps or _FALLBACK_RATE)))
        self._picture: Any = output.add_stream("libx264", rate=rate, options=_OPTIONS)
        self._picture.pix_fmt = "yuv420p"
        self._picture.codec_context.time_base = Fraction(1, _CLOCK)
        self._sound: Any = output.add_stream("aac", rate=_RATE, layout="stereo") if video.info.audio else None
        self._size: tuple[int, int] | None = None
        self._last = -1
        self._samples = 0

    def add(self, span: Span, began: float) -> None:
        """A span, which begins at `began` seconds of what is written."""
        start, end = span
        with closing(_sound_of(self._video.source, span)) as sound:
            frames = sample(self._video, every=0, start=start, end=end, short_side=_SHORT_SIDE)
            for number, frame in enumerate(frames):
                # The first frame is shown from the beginning on: a span may begin between two.
                time = began + (frame.time - start if number else 0.0)
                self._add_picture(frame.pixels, time)
                self._add_sound(sound, time)
            self._add_sound(sound, began + end - start)

    def finish(self) -> None:
        """Encode what the encoders hold back."""
        if self._size is None:
            raise _nothing()
        self._output.mux(self._picture.encode())
        if self._sound is not None:
            self._output.mux(self._sound.encode())

    def _add_picture(self, pixels: NDArray[np.uint8], time: float) -> None:
        # H.264 stores colour for two by two pixels.
        height, width = (max(2, side - side % 2) for side in pixels.shape[:2])
        if self._size is None:
            self._size = (width, height)
            self._picture.width, self._picture.height = width, height
            self._picture.codec_context.color_range = 1
            self._picture.codec_context.colorspace = Colorspace.ITU709
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), "rgb24")
        frame = frame.reformat(*self._size, "yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts = self._last = max(round(time * _CLOCK), self._last + 1)
        frame.time_base = Fraction(1, _CLOCK)
        self._output.mux(self._picture.encode(frame))

    def _add_sound(self, sound: Iterator[Samples], until: float) -> None:
        if self._sound is None:
            return
        while self._samples < round(until * _RATE) and (block := next(sound, None)) is not None:
            piece = AudioFrame.from_ndarray(block, "fltp", "stereo")
            piece.sample_rate, piece.pts, piece.time_base = _RATE, self._samples, Fraction(1, _RATE)
            self._output.mux(self._sound.encode(piece))
            self._samples += block.shape[1]


def _sound_of(source: Source, span: Span) -> Generator[Samples]:
    """The sound of a span, (2, N) at 48 kHz, in blocks: exactly as long as the span, silent where there is none."""
    wanted = round(span[1] * _RATE) - round(span[0] * _RATE)
    given = 0
    for at, samples in _placed(source, span):
        # What overlaps was given already; what is missing is silence.
        first = max(0, given - at)
        silence = np.zeros((2, max(0, min(at, wanted) - given)), np.float32)
        part = np.concatenate([silence, samples[:, first:]], axis=1)[:, : wanted - given]
        given += part.shape[1]
        yield from _blocks(part)
    yield from _blocks(np.zeros((2, wanted - given), np.float32))


def _blocks(samples: Samples) -> Iterator[Samples]:
    for start in range(0, samples.shape[1], _BLOCK):
        yield np.ascontiguousarray(samples[:, start : start + _BLOCK])


def _placed(source: Source, span: Span) -> Iterator[tuple[int, Samples]]:
    """Pieces of sound (2, N) and where they belong, in samples from the beginning of the span."""
    for part in source.parts_between(*span):
        with source.container(part) as container:
            tracks = audio_tracks(container)
            if not tracks:
                continue
            stream = next(stream for stream in container.streams.audio if stream.index == tracks[0].index)
            prepare(container, stream, source.limits)
            offset = offset_of(container, part)
            seek_before(container, stream, span[0] + offset)
            run = _Run(max(0.0, part.begins - span[0]))
            for frame in audio_frames(container, stream, Losses()):
                time = run.ends if frame.time is None else frame.time - offset - span[0]
                if time >= span[1] - span[0]:
                    break
                if abs(time - run.ends) > _JUMP:
                    yield from run.rest()
                    run = _Run(time)
                yield from run.take(frame)
            yield from run.rest()


class _Run:
    """Sound without gaps, at our rate. Times are seconds, and places samples, from the beginning of the span."""

    def __init__(self, begins: float) -> None:
        self.ends = begins
        self._resampler = AudioResampler("fltp", "stereo", _RATE)
        self._place = round(begins * _RATE)

    def take(self, frame: AudioFrame) -> Iterator[tuple[int, Samples]]:
        self.ends += frame.samples / frame.sample_rate
        return self._placed(self._resampler.resample(frame))

    def rest(self) -> Iterator[tuple[int, Samples]]:
        return self._placed(self._resampler.resample(None))

    def _placed(self, frames: Sequence[AudioFrame]) -> Iterator[tuple[int, Samples]]:
        for frame in frames:
            samples = np.asarray(frame.to_ndarray(), np.float32)
            at, self._place = self._place, self._place + samples.shape[1]
            if self._place > 0:
                yield max(at, 0), samples[:, max(0, -at) :]
