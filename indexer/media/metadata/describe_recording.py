"""What a video or a sound file says about itself, and the XMP sidecar beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from indexer.media.container import Source
from indexer.media.metadata.chapters import chapter_facts, chapters_in
from indexer.media.metadata.facts import Facts, merge, without_camera_words
from indexer.media.metadata.info import said_by
from indexer.media.metadata.local_time import in_local_time
from indexer.media.metadata.sidecars import NOTHING_BESIDE, Beside
from indexer.media.sound import Audio
from indexer.media.tracks import AudioTrack
from indexer.media.video import Video
from indexer.records import Event, Kind, MediaInfo

_NAMES: Final = {
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG-PS",
    "asf": "ASF",
    "ogg": "Ogg",
    "rm": "RealMedia",
    "mpegvideo": "MPEG video",
    "aiff": "AIFF",
    "wv": "WavPack",
    "ape": "Monkey's Audio",
}
"""Of FFmpeg's, those that are no abbreviation to be written in capitals, or are usually called something else."""
_ISO, _MATROSKA = "mov", "matroska"
_HEAD: Final = 64


@dataclass(frozen=True, slots=True)
class Description:
    """What a recording says about itself."""

    info: MediaInfo
    chapters: tuple[Event, ...]


def describe_video(video: Video, beside: Beside = NOTHING_BESIDE) -> Description:
    """What is known of an open video. Fact by fact, what the sidecars say goes before what the container says.

    Times are local: see `in_local_time`.

    Raises MediaError when the file can no longer be read.
    """
    said = video.info
    timeline = video.timeline
    duration = min(said.duration, timeline.end) if timeline.truncated else said.duration
    chapters = chapters_in(video.source, duration)
    info = _info(
        _said(beside, said.facts, chapters),
        kind=Kind.VIDEO,
        format=_format(video.source, said.container, sound_alone=False),
        width=said.width,
        height=said.height,
        duration=duration,
        fps=said.fps,
        variable_rate=said.variable_rate,
        video_codec=said.codec,
        audio_codec=_codec(said.audio),
        bit_rate=_rate(video.source, said.duration),
        hdr=said.hdr,
    )
    return Description(info, chapters)


def describe_audio(audio: Audio, beside: Beside = NOTHING_BESIDE) -> Description:
    """What is known of an open file of sound alone; as `describe_video`, without a picture."""
    said = audio.info
    chapters = chapters_in(audio.source, said.duration)
    info = _info(
        _said(beside, said.facts, chapters),
        kind=Kind.AUDIO,
        format=_format(audio.source, said.container, sound_alone=True),
        width=None,
        height=None,
        duration=said.duration,
        audio_codec=_codec(said.tracks),
        bit_rate=_rate(audio.source, said.duration),
    )
    return Description(info, chapters)


def _said(beside: Beside, inside: Facts, chapters: tuple[Event, ...]) -> Facts:
    sources = (beside.stronger, inside, chapter_facts(chapters), beside.weaker)
    return merge(*(without_camera_words(source, inside.camera) for source in sources))


def _info(
    facts: Facts,
    *,
    kind: Kind,
    format: str,  # noqa: A002 - the records' own word for it
    width: int | None,
    height: int | None,
    duration: float,
    fps: float | None = None,
    variable_rate: bool | None = None,
    video_codec: str | None = None,
    audio_codec: str | None = None,
    bit_rate: int | None = None,
    hdr: bool | None = None,
) -> MediaInfo:
    facts = replace(facts, moments=in_local_time(facts.moments, facts.place, duration))
    return MediaInfo(
        kind=kind,
        format=format,
        width=width,
        height=height,
        **said_by(facts),
        duration=round(duration, 3),
        fps=round(fps, 3) if fps else None,
        variable_rate=variable_rate,
        video_codec=video_codec,
        audio_codec=audio_codec,
        bit_rate=bit_rate,
        hdr=hdr,
    )


def _codec(tracks: tuple[AudioTrack, ...]) -> str | None:
    return tracks[0].codec if tracks else None


def _rate(source: Source, seconds: float) -> int | None:
    return round(source.size * 8 / seconds) if seconds > 0 else None


def _format(source: Source, container: str, *, sound_alone: bool) -> str:
    """What people call the container. FFmpeg has one reader, and one name, for a family of them."""
    first = container.partition(",")[0]
    head = source.read_at(0, _HEAD)
    if first == _ISO:
        brand = head[8:12] if head[4:8] == b"ftyp" else b"qt  "
        if brand == b"qt  ":
            return "MOV"
        return "3GP" if brand.startswith(b"3g") else "M4A" if sound_alone else "MP4"
    if first == _MATROSKA:
        return "WebM" if b"webm" in head else "Matroska"
    return _NAMES.get(first, first.upper())
