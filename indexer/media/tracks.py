"""Which streams of a file are for people: its picture, and its sound."""

from __future__ import annotations

from dataclasses import dataclass

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from config.errors import UnsupportedFormat
from indexer.media.container import Source

_HIDDEN = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """One audio stream of a file."""

    index: int
    """Among all streams of the file."""
    codec: str
    """"aac", "opus", "pcm_s16le"."""
    channels: int
    sample_rate: int
    """Samples a second."""
    language: str | None
    """As the container says it, mostly ISO 639-2 ("eng")."""


def pick(container: InputContainer) -> VideoStream:
    """The video stream that a player would show: no cover picture, the default one, the largest.

    Raises UnsupportedFormat if there is none, or if its codec is unknown.
    """
    shown = _shown(container)
    if not shown:
        raise UnsupportedFormat("The file has no moving picture.", "Sound alone is read as sound.")
    known = [stream for stream in shown if stream.codec_context is not None]
    if not known:
        raise UnsupportedFormat(
            "The video is of a codec that Reverie cannot decode.", "Convert it to H.264 with a video editor."
        )
    return max(known, key=lambda stream: (_is_default(stream), stream.width * stream.height))


def has_picture(container: InputContainer) -> bool:
    """Whether there is a moving picture: a cover is none."""
    return bool(_shown(container))


def audio_tracks(container: InputContainer) -> tuple[AudioTrack, ...]:
    """The audio streams that can be decoded, those that a player would choose first in front."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return tuple(
        AudioTrack(
            index=stream.index,
            codec=stream.codec_context.codec.canonical_name,
            channels=stream.channels,
            sample_rate=stream.rate,
            language=stream.language if stream.language not in {None, "", "und"} else None,
        )
        for stream in sorted(streams, key=lambda stream: not stream.disposition & Disposition.default)
        if stream.rate and stream.channels
    )


def tracks_of(source: Source) -> tuple[tuple[AudioTrack, ...], float]:
    """The `audio_tracks` of a file, and how long it says that it lasts (seconds; 0: it does not say)."""
    with source.container(source.parts[0]) as container:
        return audio_tracks(container), max(source.parts[-1].begins, (container.duration or 0) / av.time_base)


def _is_default(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.default)


def _shown(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & _HIDDEN]
