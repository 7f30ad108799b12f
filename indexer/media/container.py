"""Opening a video or sound file with FFmpeg's libraries (through PyAV) so that a hostile one reaches nothing else.

FFmpeg reads through our own descriptor, knows no protocol (not even "file") and may open no second file, so a playlist
has nowhere to go: the classic attack makes one name a private file, whose lines then show up in the picture. Playlists,
pictures and devices are not in the list of containers either.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

import av
import av.error
from av.container import InputContainer

from config.errors import DamagedFile, FileVanished, TooLarge, UnreadableFile, UnsupportedFormat
from indexer.media.files import FileIdentity, explained, held_open
from indexer.media.formats import is_mpeg_stream, name_unknown
from indexer.media.parts import WHOLE, Part, parts_of

CONTAINERS: Final = """
    mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi mpegts mpeg asf flv live_flv ogg mxf dv gxf rm wtv nut ivf swf nsv
    mpegvideo m4v h263 h264 hevc vc1 av1 obu yuv4mpegpipe
    mp3 aac flac wav w64 aiff caf amr ape wv tta ac3 eac3 ac4 dts dtshd truehd mlp mpc mpc8 au dsf iff oma tak voc
    mmf qcp ircam sox spdif aa gsm rso
"""
"""FFmpeg's names of what is opened: containers and streams that people keep. No playlist, picture, text or device."""

_BUFFER: Final = 1 << 18
_HEAD: Final = 4096
_READINGS: Final = 3
"""How often a pass may read a whole file and still be said to get on: searches read some of it twice."""
_MICROSECONDS: Final = 1_000_000

_PLAYLISTS: Final = (b"#extm3u", b"ffconcat", b"<mpd", b"[playlist]", b"<smil", b"<asx", b"[reference]")
_BEGINNINGS: Final = (b"\x1aE\xdf\xa3", b"OggS", b"FLV\x01", b"\x30\x26\xb2\x75", b"ID3", b"fLaC", b"\x00\x00\x01\xba")
_RIFF_KINDS: Final = (b"AVI ", b"WAVE")
_ISO_ATOMS: Final = (b"ftyp", b"moov", b"mdat", b"wide")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLimits:
    """What a single video or sound file may cost."""

    max_pixels: int = 8192 * 8192
    """Of one frame."""
    max_seconds: float = 24 * 3600.0
    max_streams: int = 64


class Source:
    """A local file that is held open; each pass over it opens it anew, so that no pass disturbs another."""

    def __init__(self, descriptor: int, limits: VideoLimits, got_on: Callable[[], None]) -> None:
        """`got_on`: as of `open_source`."""
        self._descriptor = descriptor
        self._got_on = got_on
        self.limits = limits
        self.size = os.fstat(descriptor).st_size
        """Bytes."""

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """At least one: where the times begin again a new one does. To know that, MPEG streams are read as a whole.

        Raises as `container`.
        """
        if not is_mpeg_stream(self.read_at(0, _HEAD)):
            return (WHOLE,)
        with self.container() as container:
            return parts_of(container, self)

    def parts_between(self, start: float, end: float | None) -> Iterator[Part]:
        """The parts that have some of a range of seconds from the beginning of the file."""
        return (part for part in self.parts if part.reaches(start) and (end is None or part.begins < end))

    @contextmanager
    def container(self, part: Part = WHOLE) -> Iterator[InputContainer]:
        """The file, or a part of it, as FFmpeg sees it, for one pass.

        Raises:
            UnsupportedFormat: the content is no video or sound that we open, whatever the name says.
            DamagedFile: it begins as one but is truncated or corrupt.
            TooLarge: more streams than the limits allow.
            UnreadableFile: the disk failed.
        """
        with _translated(self.read_at(0, _HEAD)):
            opened = av.open(
                _Reader(self._descriptor, self._got_on, part),
                "r",
                format=part.format,
                options={
                    "format_whitelist": ",".join(CONTAINERS.split()),
                    "protocol_whitelist": "none",
                    "export_xmp": "1",  # of MP4, into its metadata
                    # One more than is allowed: FFmpeg leaves out what is beyond and says nothing.
                    "max_streams": str(self.limits.max_streams + 1),
                },
                metadata_errors="replace",
                buffer_size=_BUFFER,
                io_open=_open_no_other,
            )
        with opened:
            if len(opened.streams) > self.limits.max_streams:
                raise too_many_streams(self.limits)
            with _translated(self.read_at(0, _HEAD)):
                yield opened

    def check_kept(self) -> None:
        """Raises FileVanished when the file was deleted: it can be read to its end, but nobody asks for it."""
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileVanished("The file was deleted while it was analysed.", "Nothing to do.")

    def read_at(self, start: int, size: int) -> bytes:
        """Bytes of the file; fewer at its end. Raises MediaError when the disk fails."""
        try:
            return os.pread(self._descriptor, size, start)
        except OSError as error:
            raise explained(error) from error


@contextmanager
def open_source(
    path: str, limits: VideoLimits, expected: FileIdentity | None = None, got_on: Callable[[], None] = lambda: None
) -> Iterator[Source]:
    """Hold a local regular file open. At the end it must still be what it was.

    `got_on` is called whenever a pass over the file reads some of it, from the thread of that pass: reading
    all of a large file for its times takes minutes, in which nothing else shows that it goes on.

    Raises:
        EmptyFile: it has zero bytes.
        FileVanished: it is gone, is not the `expected` one, or changed meanwhile.
        MediaError: no permission, or not a regular file.
    """
    with held_open(path, expected) as descriptor:
        yield Source(descriptor, limits, got_on)


def offset_of(container: InputContainer, part: Part = WHOLE) -> float:
    """What the clock of the file, or of a part of it, is ahead of ours, in seconds.

    Our times count from the beginning of the file, as those of players do.
    """
    return (container.start_time or 0) / _MICROSECONDS - part.begins


def too_long(seconds: float, limits: VideoLimits) -> TooLarge:
    """The error for a file that lasts longer than the limit."""
    return TooLarge(
        f"The file says that it lasts {seconds:,.0f} seconds; the limit is {limits.max_seconds:,.0f}.",
        "Raise the limit in the settings if this is a real recording, or cut it in parts.",
    )


def too_many_streams(limits: VideoLimits) -> TooLarge:
    """The error for a file of more streams than the limit."""
    return TooLarge(
        f"The file has more than {limits.max_streams} streams.",
        "Raise the limit in the settings if this is a real recording.",
    )


class _Reader:
    """A part of a file by its descriptor, with a place of its own: several can read the same one."""

    def __init__(self, descriptor: int, got_on: Callable[[], None], part: Part) -> None:
        self._descriptor = descriptor
        self._got_on = got_on
        self._part = part
        self._at = 0
        self._new = _READINGS * os.fstat(descriptor).st_size

    def read(self, size: int) -> bytes:
        if self._at < len(self._part.tables):
            data = self._part.tables[self._at : self._at + size]
        else:
            start = self._part.start + self._at - len(self._part.tables)
            size = size if self._part.end is None else max(0, min(size, self._part.end - start))
            data = os.pread(self._descriptor, size, start)
        self._at += len(data)
        self._new -= len(data)
        if self._new > 0:  # who reads the same again and again does not get on
            self._got_on()
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length()}[whence]
        if base + offset < 0:
            raise ValueError("a place before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def _length(self) -> int:
        end = os.fstat(self._descriptor).st_size if self._part.end is None else self._part.end
        return len(self._part.tables) + max(0, end - self._part.start)

    def seekable(self) -> bool:
        return True


def _open_no_other(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a video may not open other files")


@contextmanager
def _translated(head: bytes) -> Iterator[None]:
    """FFmpeg's errors as ours; `head` is the beginning of the content."""
    try:
        yield
    except MemoryError as error:
        raise TooLarge("The video needs more memory than there is.", "Save it in a smaller size.") from error
    except av.error.DecoderNotFoundError as error:
        raise UnsupportedFormat(
            "The file is of a codec that Reverie cannot decode.", "Convert it to H.264 with a video editor."
        ) from error
    except av.FFmpegError as error:
        if _is_ours(head):
            raise DamagedFile(
                "The video or sound file is damaged or incomplete.",
                "Let the copy finish, or copy it again from its source.",
            ) from error
        raise UnsupportedFormat(
            f"This is not a video or sound file that Reverie can read: the content is {_looks_like(head)}.",
            "If it should be one, copy it again from its source; else give it its proper suffix or remove it.",
        ) from error
    except OSError as error:
        raise UnreadableFile(
            f"The file could not be read: {error.strerror or error}.",
            "Check the disk or the network mount; it is tried again at the next scan.",
        ) from error


def _is_ours(head: bytes) -> bool:
    riff = head.startswith(b"RIFF") and head[8:12] in _RIFF_KINDS
    return riff or head.startswith(_BEGINNINGS) or head[4:8] in _ISO_ATOMS


def _looks_like(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_PLAYLISTS) or (start.startswith(b"<?xml") and any(mark in start for mark in _PLAYLISTS)):
        return "a playlist, which only names other files"
    return name_unknown(head)
