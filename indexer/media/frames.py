"""Frames of a video, small and upright, at their true times: what every analysis of a video begins with.

Three ways, from the quickest to the most exact (times real time measured on 60 s of 1080p30 H.264: decoding keyframes
alone 37, frames that others refer to 8, all of them 6).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from indexer.media.container import offset_of
from indexer.media.decoding import (
    SEEK_MARGIN,
    Losses,
    Orientation,
    has_clock,
    prepare,
    seek_before,
    turned,
    video_frames,
)
from indexer.media.hdr import hdr_to_srgb, is_hdr
from indexer.media.parts import Part
from indexer.media.tracks import pick
from indexer.media.video import Video, shown_size

SHORT_SIDE = 360
"""Pixels of the short side that a frame keeps: as for photos."""
WIDEST_GAP = 3.0
"""Seconds between keyframes up to which they alone are enough."""

_NEAR = 0.002
"""Seconds by which a frame may precede its turn: containers round times to milliseconds."""
_MARGINS = (SEEK_MARGIN, 4.0, 12.0, 60.0)
"""Seconds before a time at which a search for it begins, until one finds what is before it."""
_TAIL = 2.0
"""Seconds of packets beyond the end that are still read: a frame may be stored after ones that are shown later."""
_HD_HEIGHT = 720
_UNSTATED = 2
"""FFmpeg's number for a colour space that the file does not name."""


class Strategy(StrEnum):
    """How frames are chosen."""

    UNIFORM = "uniform"
    """The first frame at or after each multiple of the interval, exactly."""
    KEYFRAMES = "keyframes"
    """Keyframes only, however far apart."""
    REFERENCES = "references"
    """Of the frames that others refer to, the first at or after each multiple of the interval."""
    ADAPTIVE = "adaptive"
    """Keyframes if they are at most 3 seconds apart, else frames that others refer to."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video."""

    time: float
    """Seconds from the beginning of the file."""
    pixels: NDArray[np.uint8]
    """(H, W, 3), sRGB, upright, with square pixels."""


def sample(
    video: Video,
    strategy: Strategy = Strategy.ADAPTIVE,
    *,
    every: float = 1.0,
    start: float = 0.0,
    end: float | None = None,
    short_side: int = SHORT_SIDE,
    threads: int = 1,
    losses: Losses | None = None,
) -> Iterator[Frame]:
    """Frames with start <= time < end (to 2 ms), at most one for each multiple of `every` seconds; 0 gives all.

    The multiples count from the beginning of the file, so that ranges read one after the other give what one pass
    would. One frame is held at a time. Packets that cannot be decoded are counted in `losses` and left out.

    Raises MediaError when the file can no longer be read.
    """
    stop = math.inf if end is None else end
    losses = losses if losses is not None else Losses()
    strategy = settled(video, strategy, start=start, end=end) if every else strategy
    turn = math.ceil((start - _NEAR) / every) if every else 0
    for part in video.source.parts_between(start, end):
        with video.source.container(part) as container:
            stream = pick(container)
            prepare(container, stream, video.source.limits, threads=threads)
            # Where frames are counted, none may be left out.
            strategy = strategy if has_clock(container) else Strategy.UNIFORM
            keyframes = strategy is Strategy.KEYFRAMES
            if keyframes:
                stream.codec_context.skip_frame = "NONKEY"
            elif strategy is Strategy.REFERENCES:
                stream.codec_context.skip_frame = "NONREF"
            reducer = _Reducer(stream.sample_aspect_ratio, video.orientation, short_side)
            for time, frame in _timed(container, stream, part, losses, start=start, stop=stop, keyframes=keyframes):
                if every:
                    if time < turn * every - _NEAR:
                        continue
                    turn = math.floor((time + _NEAR) / every) + 1
                yield Frame(time, reducer.reduce(frame))


def frames_at(
    video: Video, times: Sequence[float], *, short_side: int = SHORT_SIDE, threads: int = 1
) -> Iterator[Frame]:
    """For each time, ascending, the first frame at or after it, or the last of all. Each needs a search of its own."""
    for time in times:
        found = next(sample(video, every=0, start=time, short_side=short_side, threads=threads), None)
        if found is None:
            beginning_of_end = max(0.0, min(time, video.timeline.end - 1))
            rest = sample(video, every=0, start=beginning_of_end, short_side=short_side, threads=threads)
            found = functools.reduce(lambda _, later: later, rest, None)
        if found is not None:
            yield found


def settled(video: Video, strategy: Strategy, *, start: float = 0.0, end: float | None = None) -> Strategy:
    """What `ADAPTIVE` comes to in a range; any other strategy as it is."""
    if strategy is not Strategy.ADAPTIVE:
        return strategy
    stop = video.timeline.end if end is None else min(end, video.timeline.end)
    return Strategy.KEYFRAMES if video.timeline.widest_gap(start, stop) <= WIDEST_GAP else Strategy.REFERENCES


def _timed(
    container: InputContainer,
    stream: VideoStream,
    part: Part,
    losses: Losses,
    *,
    start: float,
    stop: float,
    keyframes: bool,
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames of a range with their times; by the clock of the file, never by counting."""
    offset = offset_of(container, part)
    step = float(1 / stream.average_rate) if stream.average_rate else 0.0
    until = None if stop == math.inf else stop + offset + _TAIL
    decode = functools.partial(video_frames, container, stream, losses, keyframes_only=keyframes, until=until)
    time = part.begins - step
    searched = start + offset if start > part.begins else None
    for frame in _begun(container, stream, losses, decode, searched, late=keyframes):
        # Some old AVI files state no times at all: there nothing but the average rate is left.
        time = frame.time - offset if frame.time is not None else time + step
        # The same tolerance at both ends: a frame belongs to exactly one of two ranges that meet.
        if time >= stop - _NEAR and part.reaches(time):
            return
        if time >= start - _NEAR and part.reaches(time):
            yield max(time, part.begins), frame


def _begun(
    container: InputContainer,
    stream: VideoStream,
    losses: Losses,
    decode: Callable[[], Iterator[VideoFrame]],
    start: float | None,
    *,
    late: bool,
) -> Iterator[VideoFrame]:
    """Frames from a time of the file's own clock on or from before it; `late`: what comes after it will do as well."""
    if start is None or not has_clock(container):
        return decode()
    lost = losses.packets
    for margin in _MARGINS:
        # Without an index a search ends anywhere, and nothing can be decoded before the next keyframe.
        losses.packets = lost
        seek_before(container, stream, start, margin=margin)
        frames = decode()
        first = next(frames, None)
        if first is not None and (late or first.time is None or first.time <= start + _NEAR):
            return itertools.chain([first], frames)
    losses.packets = lost
    seek_before(container, stream, 0.0)
    return decode()


class _Reducer:
    """Turns decoded frames into small upright sRGB pictures."""

    def __init__(self, aspect: Fraction | None, orientation: Orientation, short_side: int) -> None:
        self._aspect = aspect
        self._orientation = orientation
        self._short_side = short_side
        self._reformatter = VideoReformatter()

    def reduce(self, frame: VideoFrame) -> NDArray[np.uint8]:
        orientation = self._orientation
        width, height = shown_size(frame, self._aspect, orientation)
        scale = min(1.0, self._short_side / min(width, height))
        if orientation.transpose:
            width, height = height, width
        hdr = is_hdr(frame.color_trc)
        small = self._reformatter.reformat(
            frame,
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            format="rgb48le" if hdr else "rgb24",
            src_colorspace=_colorspace(frame, hdr=hdr),
            interpolation=Interpolation.AREA,
        ).to_ndarray()
        pixels = hdr_to_srgb(small.astype(np.uint16, copy=False), frame.color_trc) if hdr else small
        return np.ascontiguousarray(turned(pixels, orientation), np.uint8)


def _colorspace(frame: VideoFrame, *, hdr: bool) -> Colorspace | None:
    """The matrix from luma and chroma to RGB, where the file leaves it open: as players guess."""
    if frame.colorspace != _UNSTATED or frame.format.is_rgb:
        return None
    if hdr or frame.color_primaries == ColorPrimaries.BT2020:
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
