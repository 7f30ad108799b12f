"""Subtitles inside a video or sound."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import av
from av.container import InputContainer
from av.stream import Discard
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from config.errors import MediaError
from indexer.media.container import Source, offset_of
from indexer.media.metadata.subtitle_files import said_in_order
from indexer.media.metadata.subtitle_names import language
from indexer.records import Utterance

logger = logging.getLogger(__name__)

_TEXTS: Final = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})
"""FFmpeg's names of the subtitles that are text: others are pictures of it, or a teletext page."""


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The words of one file, or one stream, of subtitles."""

    language: str | None
    """ISO 639-1."""
    said: tuple[Utterance, ...]


def embedded_subtitles(source: Source) -> list[Subtitles]:
    """The subtitles of each stream that has some as text. The file is read once, if there is any; a stream that is
    broken says what was read of it."""
    found = []
    try:
        with source.container() as container:
            streams = [stream for stream in container.streams.subtitles if _is_text(stream)]
            for stream in container.streams:
                if stream not in streams:
                    stream.discard = Discard.all
            parts = _parts(container, streams) if streams else {}
            for stream in streams:
                if said := said_in_order(parts[stream.index]):
                    found.append(Subtitles(language(stream.language), said))
    except MediaError as error:
        logger.info("subtitles are passed over: %s", error.title)
    return found


def merged(subtitles: list[Subtitles]) -> Subtitles | None:
    """All of them as one, in the order of time: what is the same at the same time is said once."""
    if not subtitles:
        return None
    parts = [(one.text, one.start, one.end) for each in subtitles for one in each.said]
    return Subtitles(subtitles[0].language, said_in_order(parts))


def _is_text(stream: SubtitleStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in _TEXTS


def _parts(container: InputContainer, streams: list[SubtitleStream]) -> dict[int, list[tuple[str, float, float]]]:
    """By stream, its subtitles: text, start and end in seconds."""
    parts: dict[int, list[tuple[str, float, float]]] = {stream.index: [] for stream in streams}
    start = offset_of(container)
    for packet in container.demux(streams):
        if packet.pts is None or packet.time_base is None:
            continue
        at = float(packet.pts * packet.time_base) - start
        length = float((packet.duration or 0) * packet.time_base)
        try:
            texts = list(_texts(packet.decode()))
        except av.FFmpegError as error:
            logger.debug("a subtitle is passed over: %s", error)
            continue
        parts[packet.stream.index] += [(text, at, at + length) for text in texts]
    return parts


def _texts(decoded: object) -> Iterator[str]:
    for one in decoded if isinstance(decoded, list | tuple) else ():
        if isinstance(one, AssSubtitle):
            yield one.dialogue.decode("utf-8", "replace")
