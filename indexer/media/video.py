"""What a video file is: one pass over its header and its first frame, none over the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from config.errors import DamagedFile, TooLarge
from indexer.media.container import Source, VideoLimits, offset_of, open_source, too_long
from indexer.media.decoding import Losses, Orientation, orientation_of, prepare, video_frames
from indexer.media.files import FileIdentity
from indexer.media.hdr import is_hdr
from indexer.media.metadata.facts import Facts
from indexer.media.metadata.quicktime import container_facts
from indexer.media.timeline import INDEXED, Timeline, cued, indexed, is_uneven, probed_stamps, scanned
from indexer.media.tracks import AudioTrack, audio_tracks, pick

__all__ = ["AudioTrack", "Video", "VideoInfo", "VideoLimits", "open_video"]

_MICROSECONDS = 1_000_000
_LEAST_ASPECT = Fraction(1, 4)
"""Pixels narrower than this are a mistake of the file: a picture of one line would come of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What a video says about itself. Unknown is None, never a guess."""

    container: str
    """FFmpeg's name: "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"."""
    codec: str
    """"h264", "hevc", "av1"."""
    duration: float
    """Seconds that the file claims; where it claims nothing, that can be read. `Timeline.end` is what is there."""
    width: int
    """Pixels as shown: upright, and square."""
    height: int
    rotation: int
    """Degrees clockwise that the stored picture is turned to be upright: 0, 90, 180, 270."""
    fps: float | None
    """Frames a second on average."""
    variable_rate: bool
    """Whether frames are unevenly spaced."""
    bit_rate: int | None
    """Bits a second of the picture, or of the whole file where that is all it says."""
    pixel_format: str
    """FFmpeg's name: "yuv420p", "yuv420p10le"."""
    hdr: bool
    """PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
    audio: tuple[AudioTrack, ...]
    facts: Facts
    """When, where and with what it was taken."""


class Video:
    """An open video, until its `open_video` ends. Each pass over it reads the file anew; one pass, one thread."""

    def __init__(self, source: Source, info: VideoInfo, orientation: Orientation, timeline: Timeline | None) -> None:
        self.source = source
        self.info = info
        self.orientation = orientation
        self._timeline = timeline

    @property
    def timeline(self) -> Timeline:
        """Where its keyframes and its end are: at once from an index, else by reading all packets once."""
        claimed = self.info.duration or None
        if self._timeline is None:
            with self.source.container() as container:
                self._timeline = cued(container, pick(container), claimed, self.source.size)
        if self._timeline is None:
            self._timeline = scanned(self.source, claimed)
        return self._timeline


@contextmanager
def open_video(
    path: str, limits: VideoLimits, expected: FileIdentity | None = None, got_on: Callable[[], None] = lambda: None
) -> Iterator[Video]:
    """Open a local video file; the content decides what it is, never its name. `got_on`: as of `open_source`.

    Raises:
        EmptyFile: it has zero bytes.
        UnsupportedFormat: no video, a playlist, sound alone, or a codec that FFmpeg's libraries do not decode.
        DamagedFile: nothing in it can be decoded.
        TooLarge: more pixels, seconds or streams than the limits allow.
        FileVanished: it is gone, is not the `expected` one, or changed while it was open.
        MediaError: no permission, or not a regular file.
    """
    with open_source(path, limits, expected, got_on) as source:
        yield _described(source)


def _described(source: Source) -> Video:
    with source.container(source.parts[0]) as container:
        stream = pick(container)
        _check_pixels(stream.width, stream.height, source)
        frame = _first_frame(container, stream, source)
        orientation = orientation_of(frame)
        claimed = _claimed(container, stream) if len(source.parts) == 1 else None
        first = max(0.0, (frame.time or 0.0) - offset_of(container))
        timeline = indexed(stream, claimed, source.size, first)
        uneven = is_uneven(probed_stamps(container, stream))
        info = _info(container, stream, frame, orientation, uneven=uneven, duration=claimed)
    video = Video(source, info, orientation, timeline)
    if claimed is None:
        video.info = dataclasses.replace(info, duration=video.timeline.end)
    if video.info.duration > source.limits.max_seconds:
        raise too_long(video.info.duration, source.limits)
    return video


def _claimed(container: InputContainer, stream: VideoStream) -> float | None:
    """Seconds, of the picture; of the whole file where that says more, as in formats that state neither exactly."""
    whole = (container.duration or 0) / _MICROSECONDS
    if stream.duration is not None and stream.time_base is not None and stream.duration > 0:
        picture = float(stream.duration * stream.time_base)
        return picture if container.format.name == INDEXED else max(picture, whole)
    return whole if whole > 0 else None


def _first_frame(container: InputContainer, stream: VideoStream, source: Source) -> VideoFrame:
    prepare(container, stream, source.limits)
    frame = next(video_frames(container, stream, Losses()), None)
    if frame is None:
        raise DamagedFile(
            "No picture of the video can be decoded: it is damaged or incomplete.",
            "Let the copy finish, or copy it again from its source.",
        )
    _check_pixels(frame.width, frame.height, source)
    return frame


def _info(
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    orientation: Orientation,
    *,
    uneven: bool,
    duration: float | None,
) -> VideoInfo:
    width, height = shown_size(frame, stream.sample_aspect_ratio, orientation)
    context = stream.codec_context
    return VideoInfo(
        container=container.format.name,
        codec=context.codec.canonical_name,
        duration=duration or 0.0,
        width=width,
        height=height,
        rotation=orientation.rotation,
        fps=float(stream.average_rate) if stream.average_rate else None,
        variable_rate=uneven,
        bit_rate=context.bit_rate or container.bit_rate or None,
        pixel_format=frame.format.name,
        hdr=is_hdr(frame.color_trc),
        audio=audio_tracks(container),
        facts=container_facts({**stream.metadata, **container.metadata}),
    )


def shown_size(frame: VideoFrame, aspect: Fraction | None, orientation: Orientation) -> tuple[int, int]:
    """Width and height with square pixels, upright; `aspect`: of one stored pixel, width by height."""
    width, height = frame.width, frame.height
    if aspect and aspect != 1 and _LEAST_ASPECT < aspect < 1 / _LEAST_ASPECT:
        width = max(1, round(width * aspect))
    return (height, width) if orientation.transpose else (width, height)


def _check_pixels(width: int, height: int, source: Source) -> None:
    if width * height > source.limits.max_pixels:
        raise TooLarge(
            f"The video has {width:,} x {height:,} pixels; the limit is {source.limits.max_pixels:,}.",
            "Raise the limit in the settings if this is a real video.",
        )
