"""What the catalog takes and gives: plain frozen rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexer.records import Detection, Event, Kind, MediaInfo, PixelStats, Plan, Segment, Tag, Transcript


@dataclass(frozen=True, slots=True)
class FileStat:
    """What one look at a path told, without reading the file."""

    path: str
    """As `os.fsdecode` gives it: bytes that are not UTF-8 are surrogate escapes."""
    size: int
    """Bytes."""
    mtime_ns: int
    inode: int
    """0 on a file system that gives a file another number at each mount."""
    device: int
    sidecars: tuple[str, ...] = ()
    """Paths of the files that speak about it, the most specific first."""
    sidecars_stamp: int | None = None
    """Changes when one of them does; None: there are none."""
    ctime_ns: int | None = field(default=None, kw_only=True)
    """When the inode last changed; None: not known, or meaningless because inodes do not last."""

    @property
    def signature(self) -> tuple[int, int, int]:
        """(size, mtime_ns, inode): while it stays the same, this is the same file.

        The device is not part of it: its number may change whenever a disk is mounted again.
        """
        return self.size, self.mtime_ns, self.inode

    def continues(self, old: FileStat) -> bool:
        """Whether this look at a path shows that its content is still what it was at an `old` look."""
        if self.size != old.size:
            return False
        if not self.inode:
            return _same_moment(self.mtime_ns, old.mtime_ns)
        return self.signature == old.signature and (
            self.ctime_ns is None or old.ctime_ns is None or self.ctime_ns == old.ctime_ns
        )

    def resembles(self, old: FileStat) -> bool:
        """Whether the content probably is what it was, though only reading it can tell."""
        return (self.size, self.mtime_ns) == (old.size, old.mtime_ns)


def _same_moment(one_ns: int, other_ns: int) -> bool:
    """Whether two modification times may be one, on a file system without lasting inodes.

    FAT stores local time in steps of two seconds: the same file seems an hour older or younger once the clocks have
    been changed for summer or winter.
    """
    apart = abs(one_ns - other_ns)
    return min(apart, abs(apart - 3600 * 10**9)) < 2 * 10**9


@dataclass(frozen=True, slots=True)
class KnownFile(FileStat):
    """A path the catalog remembers, as it was last seen."""

    media_id: int | None = None
    """None: not identified yet."""
    missing_since: float | None = None
    """Unix seconds; None: the path is there."""
    problem_title: str | None = None
    """Why the file could not be read."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Content that was read whole once, and a sample of it."""

    content_hash: bytes
    """SHA-256, 32 bytes."""
    kind: Kind
    sample: bytes


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that was given to index."""

    path: str
    origin: Literal["settings", "asked", "dropped"]
    """A folder of the settings, one that was named in a command, or one that was taken out of the settings."""
    identity: tuple[int, int] | None
    """Device and inode of the folder when files were last seen in it."""
    unsure: int
    """Files that are not there and are kept: they were deleted, or their disk is not mounted."""


@dataclass(frozen=True, slots=True)
class Forgettable:
    """What forgetting some paths drops, or has dropped."""

    files: int
    """Paths, those included that are gone already."""
    contents: tuple[bytes, ...]
    """Content hashes (32 bytes) that no other live path holds."""
    shared: int
    """Contents that stay, because another live path holds them."""


@dataclass(frozen=True, slots=True)
class Work:
    """A media file that needs analysis, and the path to read it from."""

    media_id: int
    content_hash: str
    """SHA-256, hexadecimal."""
    kind: Kind
    """What it is, or was taken for when it was identified."""
    path: str
    stat: FileStat
    stages: tuple[str, ...]
    """In the order they run."""
    attempts: int
    """Failures so far, the most of any of the stages."""
    vectors: tuple[tuple[int, bytes], ...] = ()
    """(segment ordinal, vector as little-endian float16) of all segments that have one, in order, if all of the stages
    need no more than those."""


@dataclass(frozen=True, slots=True)
class Building:
    """A plan that is built beside the one in use."""

    plan: Plan
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Plans:
    """What every media file goes through now."""

    active: Plan | None
    """The one in use; None in a library that was never told."""
    building: Building | None

    @property
    def stages(self) -> dict[str, int]:
        """The stages of both plans; where their revisions differ, that of the plan being built."""
        return {stage: revision for plan in self.all for stage, revision in plan.stages.items()}

    @property
    def all(self) -> tuple[Plan, ...]:
        """Those there are, the one in use first."""
        building = () if self.building is None else (self.building.plan,)
        return building if self.active is None else (self.active, *building)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is not searchable, and why."""

    path: str
    title: str
    remedy: str
    attempts: int
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Job:
    """How far one stage of one media file is."""

    stage: str
    revision: int
    state: str
    """"pending", "running", "done" or "quarantined"."""
    attempts: int
    problem_title: str | None
    problem_remedy: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """The library in numbers. Media that no live path holds are counted nowhere but in `missing`."""

    files: int
    """Live paths."""
    unidentified: int
    """Live paths that still have to be read once to learn what they hold."""
    media: int
    """Distinct contents."""
    pending: int
    """Media that wait for some stage, and for which none runs."""
    pending_long: int
    """How many of them are videos or sounds."""
    running: int
    done: int
    """Media whose every stage is done; stages that only the plan being built has do not count."""
    quarantined: int
    """Media that some stage gave up on."""
    problems: int
    """Live paths that cannot be read, or hold quarantined media."""
    missing: int
    """Paths that are gone and not yet forgotten."""
    vectors: Mapping[str, int]
    """Vectors per space name."""
    kinds: Mapping[str, int]
    """Of `media`, how many are "photo", "video" and "audio"; a kind that there is none of is left out."""


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """Everything known about one media file."""

    media_id: int
    content_hash: str
    """SHA-256, hexadecimal."""
    kind: str
    size: int
    """Bytes."""
    added_at: float
    """Unix seconds."""
    info: MediaInfo | None
    """None until stage "describe" or "metadata" has run."""
    pixels: PixelStats | None
    tags: tuple[Tag, ...]
    """Surest first; hand-made ones have the source "authored". First those of the whole, then those of moments."""
    detections: tuple[Detection, ...]
    """Surest first."""
    aesthetic: float | None
    """How pleasing a picture it is, 0 to 1; None: the plan in use does not judge."""
    paths: tuple[str, ...]
    """Every live path, in order; none: hidden from search."""
    jobs: tuple[Job, ...]
    segments: tuple[Segment, ...] = ()
    """In order; the first is the whole."""
    events: tuple[Event, ...] = ()
    """In order of their start, as the plan in use finds them."""
    transcript: Transcript | None = None
    """The subtitles, or what the plan in use has heard; None: there are none, and it has not listened."""
    live: str | None = None
    """The first live path of the other half of a Live Photo."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What ranking needs to know of a media file."""

    media_id: int
    taken_at: str | None
    quality: float | None
    aesthetic: float | None
    perceptual_hash: int | None
    kind: str
    duration: float | None
    """Seconds; None: a photo."""


@dataclass(frozen=True, slots=True)
class TagMatch:
    """A media file that has a tag."""

    media_id: int
    name: str
    confidence: float
    """The highest of any stage."""
    count: int | None
    """The highest that any counted; None: nobody did."""
    segment: int = 0
    """The ordinal of the moment that has it; 0: the whole, which is as sure as its surest moment."""


@dataclass(frozen=True, slots=True)
class SpokenMatch:
    """An utterance whose words match."""

    media_id: int
    score: float
    """BM25; greater is better."""
    start: float
    """Seconds from the beginning: of the first matching word, or of the utterance if its words have no times."""
    end: float
    text: str
    """The whole utterance."""


@dataclass(frozen=True, slots=True)
class EventMatch:
    """A media file in which something happens."""

    media_id: int
    event: Event


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A media file whose words match."""

    media_id: int
    score: float
    """BM25 with column weights; greater is better."""
    columns: tuple[str, ...]
    """Where: some of "title", "description", "keywords", "people", "tags", "path", "camera", "notes"."""
    notes: tuple[tuple[str, str], ...] = ()
    """The notes in which they stand, each (label, text): ("comment", "the lighthouse keeper")."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of one space, row by row."""

    ids: NDArray[np.int64]
    """(n,) vector ids."""
    media_ids: NDArray[np.int64]
    """(n,)"""
    ordinals: NDArray[np.int64]
    """(n,) of the segments: 0 is a photo, from 1 on a moment of a video."""
    data: NDArray[np.float16]
    """(n, dimension), L2 norm 1."""

    def parts(self) -> Iterator[tuple[int, slice]]:
        """(media id, its rows) one media after the other, where the rows of each stand together."""
        starts = np.flatnonzero(np.diff(self.media_ids, prepend=-1)).tolist()
        for start, end in itertools.pairwise([*starts, len(self.media_ids)]):
            yield int(self.media_ids[start]), slice(start, end)
