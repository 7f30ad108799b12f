"""The vocabulary that passes between the rooms: what is known about one media file.

Plain frozen data with no heavy imports, so that the catalog, the engine and the worker's pipe can all use it.
A *stage* is one analysis of a media file, with a revision that grows when its output changes meaning;
every derived row in the catalog names the stage that made it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a media file is."""

    PHOTO = "photo"


class Stage(StrEnum):
    """The analyses of a photo, in the order they run."""

    DESCRIBE = "describe"
    """Dimensions, EXIF, XMP and the thumbnail."""
    PIXELS = "pixels"
    """Colours, light, quality and the perceptual hash: what pixels tell without a network."""
    CONCEPTS = "concepts"
    """The image network: tags and the embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What a file says about itself. Unknown is None (or empty), never a guess."""

    kind: Kind
    format: str
    """The decoder's name for the content: "JPEG", "HEIF", "RAW", ..."""
    width: int
    """Pixels, of the full image, upright."""
    height: int
    taken_at: str | None = None
    """Wall-clock time at the place of taking, "YYYY-MM-DDTHH:MM:SS"."""
    utc_offset_minutes: int | None = None
    latitude: float | None = None
    """Degrees, north and east positive (WGS 84)."""
    longitude: float | None = None
    altitude: float | None = None
    """Metres above sea level."""
    camera: str | None = None
    """Make and model, the make not repeated: "Canon EOS 5D"."""
    lens: str | None = None
    exposure_seconds: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_length_mm: float | None = None
    title: str | None = None
    description: str | None = None
    keywords: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    rating: int | None = None
    """0 to 5 stars; -1 is "rejected" (XMP xmp:Rating)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a media file. A photo is one segment, ordinal 0, without times."""

    ordinal: int
    start: float | None = None
    """Seconds from the beginning."""
    end: float | None = None


WHOLE = Segment(0)


@dataclass(frozen=True, slots=True)
class Tag:
    """A word for what a segment shows, and how sure its maker is."""

    name: str
    """Lower case, as a person would type it: "tabby cat"."""
    confidence: float
    """0 to 1."""
    source: str
    """Who says so: "imagenet", "colour", "light", "form", "authored"."""
    segment: int = 0


@dataclass(frozen=True, slots=True)
class Space:
    """A vector space: vectors of two spaces are never compared.

    `name` holds everything that makes vectors comparable: model, revision and preprocessing.
    """

    name: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Embedding:
    """A unit vector of one segment in one space."""

    space: Space
    vector: bytes
    """Little-endian float16, `space.dimension` values, L2 norm 1."""
    segment: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelStats:
    """What the pixels tell directly."""

    sharpness: float
    """0 (blurred) to 1 (sharp)."""
    exposure: float
    """0 (far too dark or far too bright) to 1 (well exposed)."""
    contrast: float
    """0 (flat) to 1."""
    quality: float
    """0 to 1, the three above in one figure."""
    brightness: float
    """Mean luma, 0 (black) to 1 (white)."""
    perceptual_hash: int
    """64-bit difference hash as a signed integer (SQLite's range)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The result of some stages on one media file. A stage not in `stages` says nothing: its rows stay."""

    media_id: int
    stages: dict[Stage, int]
    """Stage to the revision that ran."""
    info: MediaInfo | None = None
    pixels: PixelStats | None = None
    segments: tuple[Segment, ...] = (WHOLE,)
    tags: dict[Stage, tuple[Tag, ...]] = dataclasses.field(default_factory=dict)
    embeddings: tuple[Embedding, ...] = ()
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    """Time spent per step (read, decode, describe, pixels, concepts), summed over threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one media file could not be analysed."""

    media_id: int
    stages: tuple[Stage, ...]
    title: str
    remedy: str
    permanent: bool
    """True: the same bytes will fail again. False: worth another try."""
    vanished: bool = False
    """True: the file is not what it was when it was identified; look at it afresh."""
