"""Packets in, frames out: tolerant of damage, in display order, with the time of each by its own clock."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from indexer.media.container import VideoLimits

_BROKEN = (av.error.InvalidDataError, av.error.ArgumentError, av.error.UnknownError, av.error.ExternalError)
"""What decoders say of a packet that they cannot use; the next one may be well."""
SEEK_MARGIN = 0.5
"""Seconds. Files are searched by decoding time, which runs ahead of the time of display by the reordering of frames."""


StreamKind = TypeVar("StreamKind", VideoStream, AudioStream)


@dataclass(slots=True)
class Losses:
    """What could not be decoded."""

    packets: int = 0


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a decoded picture is turned to be upright: first the transposition, then the flips."""

    transpose: bool = False
    flip_columns: bool = False
    flip_rows: bool = False

    @property
    def rotation(self) -> int:
        """Degrees clockwise; a mirrored picture counts as the rotation that it has besides."""
        if self.transpose:
            return 90 if self.flip_columns else 270
        return 180 if self.flip_rows else 0


def orientation_of(frame: VideoFrame) -> Orientation:
    """From the display matrix (ISO/IEC 14496-12, 6.2.2), which maps (x, y) to (ax + cy, bx + dy).

    For one frame of a file only: a frame whose side data was looked at refers to itself, and its memory is free not
    when the last one lets go of it but when the garbage is next collected.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return Orientation()
    a, b, _, c, d = struct.unpack("<5i", bytes(data)[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(transpose=False, flip_columns=a < 0, flip_rows=d < 0)
    return Orientation(transpose=True, flip_columns=c < 0, flip_rows=b < 0)


def turned(pixels: NDArray[np.generic], orientation: Orientation) -> NDArray[np.generic]:
    """(H, W, 3) upright; a view where that is possible."""
    if orientation.transpose:
        pixels = pixels.transpose(1, 0, 2)
    if orientation.flip_columns:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation.flip_rows else pixels


def prepare(
    container: InputContainer, stream: VideoStream | AudioStream, limits: VideoLimits, *, threads: int = 1
) -> None:
    """Make ready to decode one stream only, no frame larger than the limit (a stream may change its size midway)."""
    for other in container.streams:
        other.discard = Discard.default if other.index == stream.index else Discard.all
    context = stream.codec_context
    context.thread_count = threads
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(limits.max_pixels)}


def has_clock(container: InputContainer) -> bool:
    """Whether the file says when its frames are shown. A bare stream does not: its frames are counted instead."""
    return container.start_time is not None


def seek_before(
    container: InputContainer, stream: VideoStream | AudioStream, seconds: float, *, margin: float = SEEK_MARGIN
) -> None:
    """Go to a keyframe at or before a time of the file's own clock; where that is impossible stay at the beginning.

    Containers without an index (MPEG-TS) go to that time, keyframe or not.
    """
    if stream.time_base is None or not has_clock(container):
        return
    try:
        container.seek(int((seconds - margin) / stream.time_base), stream=stream)
    except av.FFmpegError:
        # Streams without an index may refuse, and some were searched to their end by then.
        with contextlib.suppress(av.FFmpegError):
            container.seek(0, unsupported_byte_offset=True)


def packets_of(container: InputContainer, stream: StreamKind, losses: Losses) -> Iterator[Packet[StreamKind]]:
    """All packets, and at the end an empty one that makes the decoder give what it holds back."""
    packets = container.demux(stream)
    bare, counted = not has_clock(container), 0
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.EOFError):
            return
        except av.error.InvalidDataError:
            losses.packets += 1
            return
        if bare and packet.pts is None and packet.dts is None and packet.size:
            packet.dts = counted
            counted += packet.duration or 0
        yield packet


def video_frames(
    container: InputContainer,
    stream: VideoStream,
    losses: Losses,
    *,
    keyframes_only: bool = False,
    until: float | None = None,
) -> Iterator[VideoFrame]:
    """Frames in the order of display. `until`: seconds of the stream's clock beyond which no packet is needed."""
    for packet in packets_of(container, stream, losses):
        if until is not None and packet.dts is not None and float(packet.dts * packet.time_base) > until:
            yield from _decoded(stream, None, losses)
            return
        if keyframes_only and packet.dts is not None and not packet.is_keyframe:
            continue
        yield from _decoded(stream, packet, losses)


def _decoded(stream: VideoStream, packet: Packet[VideoStream] | None, losses: Losses) -> list[VideoFrame]:
    try:
        return [frame for frame in stream.codec_context.decode(packet) if not frame.is_corrupt]
    except av.error.EOFError:
        return []
    except _BROKEN:
        losses.packets += 1
        return []


def audio_frames(container: InputContainer, stream: AudioStream, losses: Losses) -> Iterator[AudioFrame]:
    """Sound in order."""
    for packet in packets_of(container, stream, losses):
        try:
            frames = stream.codec_context.decode(packet)
        except av.error.EOFError:
            return
        except _BROKEN:
            losses.packets += 1
            continue
        yield from frames
