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
    VIDEO = "video"
    AUDIO = "audio"
    """Sound alone: a voice memo, music."""


class Stage(StrEnum):
    """The analyses that are always there. Those of a model are named "task:model", those of a plug-in as it says."""

    METADATA = "metadata"
    """What the file and its sidecars say: date, place, camera, words, people. Reads no pixels."""
    DESCRIBE = "describe"
    """Format, dimensions, length, the moments of a video, and the thumbnail."""
    PIXELS = "pixels"
    """Colours, light, quality and the perceptual hash: what pixels tell without a network."""
    CONCEPTS = "concepts"
    """The image network of the builtin profile: tags and the embedding."""
    SOUND = "sound"
    """Where a sound is speech, music or silence."""


AUTHORED = "authored"
"""The stage and the source of tags that people gave."""


def stage_order(stage: str) -> tuple[int, str]:
    """Sorts stage names: ours in their order, then those of models and plug-ins by name."""
    ours = list(Stage)
    return (ours.index(Stage(stage)) if stage in ours else len(ours), stage)


@dataclass(frozen=True, slots=True)
class Note:
    """Words in a file that are neither its title nor its description, and what they are."""

    label: str
    """Lower case, for people: "comment", "headline", "city", "artist", "album"."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What a file says about itself. Unknown is None (or empty), never a guess.

    Stage "describe" tells `format`, `width`, `height` and what follows `live_id`; stage "metadata" tells the rest.
    """

    kind: Kind
    format: str
    """The decoder's name for the content: "JPEG", "HEIF", "RAW", ...; of a video or sound, its container: "MP4"."""
    width: int | None
    """Pixels, of the full image, upright. None: it has no picture."""
    height: int | None
    taken_at: str | None = None
    """Wall-clock time at the place of taking, "YYYY-MM-DDTHH:MM:SS"; of a partial date, its beginning."""
    taken_precision: str | None = None
    """How much of `taken_at` is known: "year", "month", "day", "minute" or "second"."""
    taken_source: str | None = None
    """What gave the date, for people: "EXIF DateTimeOriginal", "the file's name"."""
    utc_offset_minutes: int | None = None
    zone_source: str | None = None
    """What gave the offset, for people, where that is not what gave the date."""
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
    notes: tuple[Note, ...] = ()
    sidecar_orientation: int | None = None
    """How a sidecar turns the picture, as EXIF counts it (1 to 8)."""
    live_id: str | None = None
    """What the photo and the video of one Live Photo have in common (Apple's content identifier)."""
    duration: float | None = None
    """Seconds that can be played. None, as all that follows: a photo."""
    fps: float | None = None
    """Frames a second, on average."""
    variable_rate: bool | None = None
    """Whether frames are unevenly spaced."""
    video_codec: str | None = None
    """"h264", "hevc", "av1"."""
    audio_codec: str | None = None
    """"aac", "opus"; None: no sound."""
    bit_rate: int | None = None
    """Bits a second, of picture and sound."""
    hdr: bool | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a media file. Ordinal 0 is the whole; a photo has no other.

    Those of a video, from 1 on, are its moments in order: a shot, or a part of one that looks different.
    """

    ordinal: int
    start: float | None = None
    """Seconds from the beginning; None: a photo."""
    end: float | None = None
    keyframe: float | None = None
    """When the frame is shown that stands for it; of the whole, the cover. None: a photo, or nothing can be seen."""
    quality: float | None = None
    """Of the keyframe, 0 to 1."""
    shot: int | None = None
    """Which shot of the video, from 1 on, it is or is a part of."""


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
    count: int | None = None
    """How many of them were seen; None: it was not counted."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing that a detector found in a segment."""

    label: str
    """Lower case: "traffic light"."""
    score: float
    """0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom, as shares (0 to 1) of the upright picture's width and height."""
    segment: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was at one time."""

    time: float
    """Seconds from the beginning."""
    box: tuple[float, float, float, float]
    """As of a `Detection`."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something with a span of its own, which no shot bounds."""

    kind: str
    """"action", "sound", "track" (one thing that was followed), "speech" (that was not understood) or "chapter"."""
    label: str
    """Lower case: "playing guitar", "speech", "dog"."""
    start: float
    """Seconds from the beginning."""
    end: float
    confidence: float
    """0 to 1."""
    path: tuple[Place, ...] = ()
    """Where it went; a track has it."""


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
    """0 for a photo; a video has vectors of its moments only."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What every media file goes through under one profile, and the space in which it is searched."""

    profile: str
    space: Space
    stages: dict[str, int]
    """Stage name to revision."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A faster way to run a network that is not in use, and why."""

    runtime: str
    """"TensorRT 11 fp16"."""
    reason: str
    remedy: str
    """What a person can do about it; empty if nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeReport:
    """How one network is run."""

    stage: str
    model: str
    device: str
    """"CPU", "NVIDIA GeForce RTX 2080 Ti"."""
    runtime: str
    """"ONNX Runtime 1.32.0"."""
    precision: str
    """"fp32", "fp16", "bf16", "int8"."""
    batch_size: int
    """Photos at a time; 0: as many as there are."""
    refused: tuple[Refusal, ...] = ()
    building: bool = False
    """Whether a faster engine is being built meanwhile."""


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


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word, and when."""

    text: str
    """As it was heard, with its punctuation: "beach,"."""
    start: float
    """Seconds from the beginning of the sound."""
    end: float
    confidence: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech, about a sentence."""

    text: str
    start: float
    """Seconds from the beginning of the sound."""
    end: float
    confidence: float
    """0 to 1: the geometric mean over its words."""
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, in order."""

    language: str | None
    """ISO 639-1 ("en"); None where nobody speaks."""
    language_confidence: float
    """0 to 1; 1 for a model of one language."""
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The result of some stages on one media file. A stage not in `stages` says nothing: its rows stay."""

    media_id: int
    stages: dict[str, int]
    """Stage to the revision that ran."""
    info: MediaInfo | None = None
    pixels: PixelStats | None = None
    segments: tuple[Segment, ...] = (WHOLE,)
    """All that there are, if "describe" ran; else they are known, and what is said here about them is passed over."""
    tags: dict[str, tuple[Tag, ...]] = dataclasses.field(default_factory=dict)
    """By the stage that found them; what a moment has, the whole has too, said or not."""
    detections: dict[str, tuple[Detection, ...]] = dataclasses.field(default_factory=dict)
    aesthetic: dict[str, float] = dataclasses.field(default_factory=dict)
    """How pleasing a picture it is, 0 to 1, by the stage that judged: two do while a profile is changed."""
    embeddings: tuple[Embedding, ...] = ()
    events: dict[str, tuple[Event, ...]] = dataclasses.field(default_factory=dict)
    """By the stage that found them, in order of their start."""
    transcripts: dict[str, Transcript] = dataclasses.field(default_factory=dict)
    """By the stage that listened."""
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    """Time spent per step (read, decode, describe, pixels, resize, frames, listen, and each further stage by its name),
    summed over threads."""
    frames: int = 1
    """How many pictures went through the networks of pictures; of a photo, one."""
    failed: tuple[Failure, ...] = ()
    """Stages that failed on this file while those in `stages` did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one media file could not be analysed."""

    media_id: int
    stages: tuple[str, ...]
    title: str
    remedy: str
    permanent: bool
    """True: the same bytes will fail again. False: worth another try."""
    vanished: bool = False
    """True: the file is not what it was when it was identified; look at it afresh."""
    refused: bool = False
    """True: the system would not let the file be read, which says nothing about its content."""
