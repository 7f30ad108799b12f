"""Where the clock of a recording begins again: joined transport streams, the chapters of a DVD in one file.

FFmpeg's own answer (`-dts_delta_threshold`) is to carry the clock on while it reads from front to back. We search too,
so the file is read as its parts: each is opened alone, and its times count on from the end of the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

_BACK: Final = 0.1
"""Seconds that a clock may fall back: the times of decoding of one stream never should."""
_AHEAD: Final = 10.0
"""Seconds that a clock may leap ahead before it counts as another one: as FFmpeg has it. What is less is a gap."""
_BEYOND: Final = 1.0
"""Seconds after its end at which a part may still have something: what is shown last need not be decoded last."""
_MOST: Final = 10_000
"""Parts; what follows is read as one."""
_TABLES_WITHIN: Final = 1 << 16
"""Bytes before the first packet of a part in which its tables are looked for."""
_TRANSPORT: Final = "mpegts"
_PACKETS: Final = 4
_BEGINS, _STREAM_HIGH, _HAS_ADAPTATION = 0x40, 0x1F, 0x20
"""Bits of the second and of the fourth byte of a packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2)."""


class Readable(Protocol):
    """A file that can be read at any place."""

    def read_at(self, start: int, size: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a file in which one clock runs."""

    start: int = 0
    """The first byte."""
    end: int | None = None
    """The byte after the last one; None: the end of the file."""
    begins: float = 0.0
    """Seconds from the beginning of the file."""
    ends: float = math.inf
    """When the last packet ends, and the next part begins; infinite: it was not looked for."""
    tables: bytes = b""
    """What is to be read before the first byte: a transport stream announces its streams now and then."""
    format: str | None = None
    """FFmpeg's name of the container; None: the content tells."""

    def reaches(self, time: float) -> bool:
        """Whether something can be at a time: damage makes one of tomorrow."""
        return time < self.ends + _BEYOND


WHOLE: Final = Part()


def parts_of(container: InputContainer, file: Readable) -> tuple[Part, ...]:
    """The parts of an MPEG stream that was just opened, by reading all of its packets."""
    name = container.format.name
    clocks = list(_clocks(container))
    parts, begins = [], 0.0
    for clock, end in zip(clocks, [*(following.place for following in clocks[1:]), None], strict=True):
        tables = _tables(file, clock.place) if name == _TRANSPORT and clock.place else b""
        parts.append(Part(clock.place, end, begins, begins + clock.length, tables, name))
        begins += clock.length
    return tuple(parts)


if TYPE_CHECKING:  # at run time PyAV's packets have no parameters
    _Packet = Packet[VideoStream] | Packet[AudioStream]


@dataclass(slots=True)
class _Clock:
    """The times of one part, as they are read. Seconds."""

    place: int = 0
    """The byte of the first packet."""
    first: float = math.inf
    last: float = -math.inf
    reached: dict[int, float] = field(default_factory=dict)
    """By stream, when the last packet is decoded."""
    doubted: dict[int, _Doubted] = field(default_factory=dict)
    """By stream, a packet that seems to be of another clock: one alone may be damage."""

    @property
    def length(self) -> float:
        return max(0.0, self.last - self.first)

    def take(self, packet: _Packet, place: int) -> _Clock | None:
        """The clock that begins, once it is certain that another one does."""
        if packet.dts is None or packet.time_base is None:
            return None
        stream, tick = packet.stream.index, float(packet.time_base)
        time = packet.dts * tick
        shown = time if packet.pts is None else packet.pts * tick
        if not self._goes_on(stream, time):
            doubted = self.doubted.get(stream)
            self.doubted[stream] = _Doubted(place, time, shown)
            if doubted is None or not -_BACK <= time - doubted.time <= _AHEAD:
                return None
            others = [doubted, *(other for name, other in self.doubted.items() if name != stream)]
            return _Clock(min(other.place for other in others), min(other.shown for other in others))
        self.doubted.pop(stream, None)
        self.reached[stream] = time
        self.first = min(self.first, shown)
        self.last = max(self.last, shown + (packet.duration or 0) * tick)
        return None

    def _goes_on(self, stream: int, time: float) -> bool:
        """Whether a time is of this clock. A stream may pause while others go on."""
        if not self.reached:
            return True
        return self.reached.get(stream, -math.inf) - _BACK <= time <= max(self.reached.values()) + _AHEAD


@dataclass(frozen=True, slots=True)
class _Doubted:
    place: int
    time: float
    shown: float


def _clocks(container: InputContainer) -> Iterator[_Clock]:
    clock, found = _Clock(), 1
    for place, packet in _placed(container):
        # The last packet of a stream comes once the next one begins: by then another stream's may be of the next clock.
        if place >= clock.place and (other := clock.take(packet, place)) is not None and found < _MOST:
            yield clock
            clock, found = other, found + 1
    yield clock


def _placed(container: InputContainer) -> Iterator[tuple[int, _Packet]]:
    """The packets of pictures and sound with their places in the file; one without continues the one before."""
    packets: Iterator[Any] = container.demux([*container.streams.video, *container.streams.audio])
    places: dict[int, int] = {}
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        if packet.pos is not None and packet.pos >= 0:
            places[packet.stream.index] = packet.pos
        yield places.get(packet.stream.index, 0), packet


def _tables(file: Readable, place: int) -> bytes:
    """The packets before a place in a transport stream that name its programs and streams (ISO/IEC 13818-1, 2.4.4).

    They come several times a second, so those before a place may be older than what begins there.
    """
    start = max(0, place - _TABLES_WITHIN)
    before, after = file.read_at(start, place - start), file.read_at(place, _PACKETS * 204)
    for size, prefix in ((188, 0), (192, 4), (204, 0)):
        marks = after[prefix::size]
        if len(before) < size or not marks or marks != b"G" * len(marks):
            continue
        found: list[bytes] = []
        for at in range(len(before) - size, -1, -size):
            packet = before[at : at + size]
            head = packet[prefix : prefix + 188]
            if head[:1] != b"G":
                break
            if _begins_table(head):
                found.insert(0, packet)
            if head[1] & _STREAM_HIGH == 0 and head[2] == 0:
                return b"".join(found)
    return b""


def _begins_table(packet: bytes) -> bool:
    if not packet[1] & _BEGINS or packet[3] & _HAS_ADAPTATION:
        return False
    return packet[4:7] != b"\0\0\1"  # which begins a picture or sound
