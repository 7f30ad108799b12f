"""What was seen of a video, chunk by chunk as plain data, and summed up to what is stored of the whole."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from config.errors import StageFailed
from indexer.acting import joined, looks_of
from indexer.media.looks import Look
from indexer.media.moments import Mark, Moment, choose_cover, quality_of
from indexer.records import Detection, Embedding, Event, PixelStats, Segment, Tag
from indexer.stage import Findings
from indexer.tracking import follow

MOST_TAGS = 50
"""Names that each stage gives a video: an hour of it shows a little of everything."""


class PackedLook(msgspec.Struct, frozen=True):
    """A `Look`, its arrays as bytes (float32)."""

    time: float
    grid: bytes
    colours: bytes
    brightness: float
    contrast: float
    sharpness: float
    detail: float
    hash: int

    @classmethod
    def of(cls, look: Look) -> PackedLook:
        """Pack one."""
        return cls(
            look.time,
            look.grid.tobytes(),
            look.colours.tobytes(),
            look.brightness,
            look.contrast,
            look.sharpness,
            look.detail,
            look.hash,
        )

    def look(self) -> Look:
        """Unpack it."""
        grid, colours = np.frombuffer(self.grid, np.float32), np.frombuffer(self.colours, np.float32)
        side = round((grid.size / 3) ** 0.5)
        numbers = (self.brightness, self.contrast, self.sharpness, self.detail, self.hash)
        return Look(self.time, grid.reshape(side, side, 3), colours, *numbers)


class SeenMoment(msgspec.Struct, frozen=True, kw_only=True):
    """A moment that was seen. Of one that shows nothing, only its span is known."""

    start: float
    end: float
    shot: int
    look: PackedLook | None = None
    stats: PixelStats | None = None
    tags: dict[str, tuple[Tag, ...]] = {}
    detections: dict[str, tuple[Detection, ...]] = {}
    aesthetic: dict[str, float] = {}
    embeddings: dict[str, Embedding] = {}

    @classmethod
    def of(cls, moment: Moment, findings: dict[str, list[Findings]]) -> SeenMoment:
        """A moment by what each stage found in its frames, the best frame first."""
        vectors = {name: [one.embedding for one in found if one.embedding] for name, found in findings.items()}
        scores = {
            name: [one.aesthetic for one in found if one.aesthetic is not None] for name, found in findings.items()
        }
        return cls(
            start=moment.start,
            end=moment.end,
            shot=moment.shot,
            look=PackedLook.of(moment.looks[0]) if moment.looks else None,
            tags={name: surest(tag for one in found for tag in one.tags) for name, found in findings.items()},
            detections={name: found[0].detections for name, found in findings.items() if found},
            aesthetic={name: max(found) for name, found in scores.items() if found},
            embeddings={name: mean_of(found) for name, found in vectors.items() if found},
        )


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one chunk."""

    mark: Mark
    """Where the next one begins."""
    moments: tuple[SeenMoment, ...]
    sampled: dict[str, tuple[tuple[float, tuple[Detection, ...]], ...]]
    """By each stage that detects: what it found in every sampled frame, in order."""
    actions: dict[str, tuple[Event, ...]]
    failed: dict[str, tuple[str, str]]
    """By stage: title and remedy."""
    frames: int
    """That went through the networks."""
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that was seen in a video, as in an `Analysis`."""

    segments: tuple[Segment, ...]
    pixels: PixelStats | None
    """Of the cover."""
    tags: dict[str, tuple[Tag, ...]]
    detections: dict[str, tuple[Detection, ...]]
    aesthetic: dict[str, float]
    embeddings: dict[str, tuple[Embedding, ...]]
    """By the stage that made them."""
    events: dict[str, tuple[Event, ...]]
    failed: dict[str, StageFailed]
    frames: int
    seconds: dict[str, float]
    cover: int | None
    """The ordinal of the moment that has it."""


def summed_up(pages: Sequence[Page]) -> Seen:
    """All chunks as one."""
    moments = [moment for page in pages for moment in page.moments]
    numbered = list(enumerate(moments, start=1))
    cover = _cover(moments)
    segments = [Segment(number, one.start, one.end, *_keyframe(one), one.shot) for number, one in numbered]
    whole = Segment(0, 0.0, moments[-1].end if moments else 0.0, *_keyframe(moments[cover - 1] if cover else None))
    tags: dict[str, list[Tag]] = {}
    detections: dict[str, list[Detection]] = {}
    aesthetic: dict[str, float] = {}
    embeddings: dict[str, list[Embedding]] = {}
    for number, one in numbered:
        for name, found in one.tags.items():
            tags.setdefault(name, []).extend(replace(tag, segment=number) for tag in found)
        for name, boxes in one.detections.items():
            detections.setdefault(name, []).extend(replace(box, segment=number) for box in boxes)
        for name, score in one.aesthetic.items():
            aesthetic[name] = max(score, aesthetic.get(name, 0.0))
        for name, vector in one.embeddings.items():
            embeddings.setdefault(name, []).append(replace(vector, segment=number))
    return Seen(
        segments=(whole, *segments),
        pixels=moments[cover - 1].stats if cover else None,
        tags={name: most_sure(found) for name, found in tags.items()},
        detections={name: tuple(found) for name, found in detections.items()},
        aesthetic=aesthetic,
        embeddings={name: tuple(found) for name, found in embeddings.items()},
        events=_events(pages, moments),
        failed={name: StageFailed(*why) for page in pages for name, why in page.failed.items()},
        frames=sum(page.frames for page in pages),
        seconds=added(page.seconds for page in pages),
        cover=cover,
    )


def most_sure(tags: Sequence[Tag]) -> tuple[Tag, ...]:
    """Tags of moments, without names that are less sure than so many others."""
    names = {tag.name for tag in surest(tags)[:MOST_TAGS]}
    return tuple(tag for tag in tags if tag.name in names)


def surest(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    """Each name once, by its surest tag, the surest first."""
    best: dict[str, Tag] = {}
    for tag in tags:
        if tag.name not in best or tag.confidence > best[tag.name].confidence:
            best[tag.name] = tag
    return tuple(sorted(best.values(), key=lambda tag: (-tag.confidence, tag.name)))


def mean_of(embeddings: Sequence[Embedding]) -> Embedding:
    """The unit vector in the middle of several of one space."""
    if len(embeddings) == 1:
        return embeddings[0]
    total = np.sum([np.frombuffer(one.vector, "<f2").astype(np.float32) for one in embeddings], axis=0)
    norm = float(np.linalg.norm(total))
    if norm == 0.0:  # opposite vectors: any of them is as good
        return embeddings[0]
    return Embedding(embeddings[0].space, (total / np.float32(norm)).astype("<f2").tobytes())


def added(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    """Seconds of each step, summed."""
    total: dict[str, float] = {}
    for part in parts:
        for step, seconds in part.items():
            total[step] = total.get(step, 0.0) + seconds
    return total


def _cover(moments: Sequence[SeenMoment]) -> int | None:
    shown = [(number, one) for number, one in enumerate(moments, start=1) if one.look is not None]
    chosen = choose_cover([(one.end - one.start, one.look.look()) for _, one in shown if one.look is not None])
    return None if chosen is None else shown[chosen][0]


def _keyframe(moment: SeenMoment | None) -> tuple[float | None, float | None]:
    """When a moment's keyframe is shown, and its quality."""
    if moment is None or moment.look is None:
        return None, None
    return moment.look.time, quality_of(moment.look.look())


def _events(pages: Sequence[Page], moments: Sequence[SeenMoment]) -> dict[str, tuple[Event, ...]]:
    acting = {name for page in pages for name in page.actions}
    looks = looks_of((moment.start, moment.end) for moment in moments)
    events = {name: joined([one for page in pages for one in page.actions.get(name, ())], looks) for name in acting}
    for name in {name for page in pages for name in page.sampled}:
        shots: dict[int, list[tuple[float, tuple[Detection, ...]]]] = {}
        for at, found in (one for page in pages for one in page.sampled.get(name, ())):
            shots.setdefault(_shot_at(at, moments), []).append((at, found))
        events[name] = tuple(track for seen in shots.values() for track in follow(seen))
    return events


def _shot_at(at: float, moments: Sequence[SeenMoment]) -> int:
    """Which shot shows at a time: beyond a cut everything is elsewhere."""
    return moments[max(0, bisect.bisect_right(moments, at, key=lambda moment: moment.start) - 1)].shot
