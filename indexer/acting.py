"""When something happens in a video: short clips of its moments are looked at, and neighbours that agree are joined.

Networks of actions see some frames of a few seconds, not whole videos (VideoMAE on Kinetics-400: 16 frames in about
two). Looking at all of a long video would cost more than everything else together, so each moment is looked at in a few
places, spread over it.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.media.frames import Strategy, sample
from indexer.media.video import Video
from indexer.records import Event
from indexer.stage import ClipStage

CLIP_SECONDS = 3.0
"""The length of a clip, if the moment is not shorter."""
EVERY_SECONDS = 6.0
"""There is one clip for each such part of a moment, so about half of it is looked at."""
MOST_CLIPS = 8
"""Of one moment: what does not change for minutes need not be looked at all the time."""
_AT_A_TIME = 8
"""Clips in memory: VideoMAE's are 10 MB each."""

Span = tuple[float, float]
"""Seconds from the beginning, start and end."""


def clips_of(start: float, end: float) -> list[Span]:
    """The clips of a moment: in order, apart, each in the middle of an equal part of it. None, if it has no length."""
    length = end - start
    if length <= 0:
        return []
    count = min(MOST_CLIPS, math.ceil(length / EVERY_SECONDS))
    part = length / count
    half = min(CLIP_SECONDS, part) / 2
    middles = (start + (number + 0.5) * part for number in range(count))
    return [(max(start, middle - half), min(end, middle + half)) for middle in middles]


def looks_of(moments: Iterable[Span]) -> list[Span]:
    """All clips of moments that are in order and apart."""
    return [clip for moment in moments for clip in clips_of(*moment)]


def act(video: Video, moments: Sequence[Span], stage: ClipStage, *, threads: int = 1) -> tuple[Event, ...]:
    """What happens in moments of a video, in order and apart, as joined events with their spans.

    A moment gives the same whichever others are asked for. To put the events of several calls together, `joined` takes
    them with the looks of all moments. A clip of which no frame can be decoded shows nothing.

    Raises MediaError when the file can no longer be read.
    """
    events: list[Event] = []
    looks = looks_of(moments)
    # Not a comprehension over all: no more than a batch of clips is held.
    prepared = ((look, stage.prepare_clip(clip)) for look, clip in _decoded(video, looks, stage.frames, threads))
    while batch := list(itertools.islice(prepared, _AT_A_TIME)):
        found = stage.recognise([clip for _, clip in batch])
        for (look, _), actions in zip(batch, found, strict=True):
            events += [dataclasses.replace(action, start=look[0], end=look[1]) for action in actions]
    return joined(events, looks)


def joined(events: Iterable[Event], looks: Sequence[Span]) -> tuple[Event, ...]:
    """Events of one label are made one where no look lies between them, for it would have shown something else.

    The one is as sure as the surest. `looks` are all clips that were looked at, in order. The result is in order of the
    start, then of the label, and joining it again with others gives what joining all at once would have.
    """
    starts = [start for start, _ in looks]
    by_label: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: (event.start, event.end)):
        same = by_label.setdefault(event.label, [])
        if same and not _looked_between(same[-1].end, event.start, starts):
            same[-1] = dataclasses.replace(
                same[-1],
                end=max(same[-1].end, event.end),
                confidence=max(same[-1].confidence, event.confidence),
            )
        else:
            same.append(event)
    return tuple(sorted(itertools.chain(*by_label.values()), key=lambda event: (event.start, event.label)))


def _looked_between(end: float, start: float, starts: Sequence[float]) -> bool:
    """Whether a look begins at or after the end of one event, and before the start of the next."""
    return bisect.bisect_left(starts, start) > bisect.bisect_left(starts, end)


def _decoded(
    video: Video, looks: Iterable[Span], frames: int, threads: int
) -> Iterator[tuple[Span, NDArray[np.uint8]]]:
    """Clips (F, H, W, 3) of evenly spaced frames; about as many as the network sees, so that a slow-motion video costs
    no more memory than another."""
    for start, end in looks:
        every = (end - start) / frames
        chosen = sample(video, Strategy.UNIFORM, every=every, start=start, end=end, threads=threads)
        pictures = [frame.pixels for frame in chosen]
        if pictures:
            yield (start, end), np.stack(pictures)
