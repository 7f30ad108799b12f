"""Where a video's keyframes are, how its frames are spaced, and whether its end is there: nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from indexer.media.container import Source, offset_of
from indexer.media.decoding import Losses, packets_of
from indexer.media.parts import WHOLE, Part
from indexer.media.tracks import pick

INDEXED: Final = "mov,mp4,m4a,3gp,3g2,mj2"
"""The containers whose index names every frame with its place in the file."""
_CUED: Final = "matroska,webm"
_FAR: Final = 1 << 40
"""Ticks of a millisecond or less: beyond any end."""
_MISSING: Final = 1.0
"""Seconds by which the readable end may fall short of the claimed one: streams and edits seldom end together."""
_PROBED: Final = 600
_ODD_GAP, _ODD_SHARE, _ODD_GAPS = 0.25, 0.01, 2
"""A gap is odd when it is so far (as a share) off the median: containers that count in milliseconds round a lot. Now
and then one is, where a frame was dropped."""

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Times in seconds from the beginning of the file."""

    keyframes: Times
    """(N,) ascending."""
    end: float
    """When the last readable frame ends."""
    truncated: bool
    """Whether the file claims to be longer than what is there."""

    def widest_gap(self, start: float, end: float) -> float:
        """The longest time without a keyframe in a range."""
        inside = self.keyframes[(self.keyframes > start) & (self.keyframes < end)]
        return float(np.diff([start, *inside, min(end, max(start, self.end))]).max(initial=0.0))


def indexed(stream: VideoStream, claimed: float | None, size: int, first: float) -> Timeline | None:
    """From the index of an MP4 file of `size` bytes; None where there is none, or not of the whole.

    `first`: when the first frame is shown. The index has times of decoding, which run ahead by the same everywhere.
    """
    entries = list(stream.index_entries)
    if stream.container.format.name != INDEXED or not entries or stream.time_base is None:
        return None
    tick = float(stream.time_base)
    stamps = np.array([entry.timestamp for entry in entries], np.float64) * tick
    stamps += first - stamps[0]
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else claimed or 0.0
    if claimed is not None and float(stamps[-1]) + step < claimed - _MISSING:
        return None  # a fragmented file: more index follows, beyond what was read
    there = np.array([entry.pos + entry.size <= size for entry in entries])
    keys = np.array([entry.is_keyframe for entry in entries])
    end = float(stamps[there].max(initial=0.0)) + step
    return Timeline(stamps[there & keys], end, not bool(there.all()))


def cued(container: InputContainer, stream: VideoStream, claimed: float | None, size: int) -> Timeline | None:
    """From the cues of a Matroska file of `size` bytes, and what follows the last of them; None where there is none."""
    if container.format.name != _CUED or stream.time_base is None:
        return None
    try:
        # FFmpeg reads the cues, which are mostly at the end of the file, when it is first told to search.
        container.seek(_FAR, stream=stream)
    except av.FFmpegError:
        return None
    tick, offset = float(stream.time_base), offset_of(container)
    entries = [entry for entry in stream.index_entries if entry.is_keyframe and entry.pos < size]
    last = _read(container, stream, WHOLE)
    if not entries or not len(last.keyframes):
        return None
    cues = np.array([entry.timestamp for entry in entries], np.float64) * tick - offset
    truncated = claimed is not None and last.end < claimed - _MISSING
    keyframes = np.unique(np.concatenate([cues, last.keyframes]))
    return None if truncated else Timeline(keyframes, last.end, truncated=False)


def scanned(source: Source, claimed: float | None) -> Timeline:
    """By reading all packets."""
    keyframes, end = [np.zeros(0)], 0.0
    for part in source.parts:
        with source.container(part) as container:
            found = _read(container, pick(container), part)
        keyframes.append(found.keyframes)
        end = max(end, found.end)
    return Timeline(np.unique(np.concatenate(keyframes)), end, claimed is not None and end < claimed - _MISSING)


def _read(container: InputContainer, stream: VideoStream, part: Part) -> Timeline:
    """From all packets of a part that follow."""
    keys, last, step, offset = [], 0.0, 0.0, offset_of(container, part)
    for packet in packets_of(container, stream, Losses()):
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            continue
        time = float(stamp * packet.time_base) - offset
        if not part.reaches(time):
            continue
        if packet.is_keyframe:
            keys.append(time)
        if time >= last:
            last, step = time, float((packet.duration or 0) * packet.time_base)
    return Timeline(np.unique(np.array(keys, np.float64)), last + step, truncated=False)


def probed_stamps(container: InputContainer, stream: VideoStream) -> Times:
    """The times, ascending, of a few hundred frames: the first ones, or those that follow what was read already."""
    if stream.container.format.name == INDEXED and len(stream.index_entries) > 1 and stream.time_base is not None:
        entries = stream.index_entries[:_PROBED]
        return np.array([entry.timestamp for entry in entries], np.float64) * float(stream.time_base)
    shown: list[float] = []
    decoded: list[float] = []
    for packet in packets_of(container, stream, Losses()):
        tick = float(packet.time_base)
        if packet.pts is not None:
            shown.append(packet.pts * tick)
        if packet.dts is not None:
            decoded.append(packet.dts * tick)
        if max(len(shown), len(decoded)) >= _PROBED:
            break
    # Some containers state both, some one: the fuller list, never a mixture of two clocks.
    return np.sort(np.array(shown if len(shown) >= len(decoded) else decoded, np.float64))


def is_uneven(stamps: Times) -> bool:
    """Whether frames shown at these times are unevenly spaced."""
    # Where reading stopped midway, frames that are shown before the last ones may be missing.
    gaps = np.diff(stamps[:-16] if len(stamps) >= _PROBED else stamps)
    gaps = gaps[gaps > 0]
    if len(gaps) < 2:
        return False
    odd = np.abs(gaps - np.median(gaps)) > _ODD_GAP * np.median(gaps)
    return bool(odd.sum() > _ODD_GAPS and odd.mean() > _ODD_SHARE)
