"""The JSON that goes over the socket and out of `--json`: one type for each object.

The service fills these, the command line prints them, and the OpenAPI document is made from them.
Paths are strings with the file system's odd bytes as lone surrogates ("\\udce9"), as Python and JSON both can carry.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from search.model_messages import ChangeMessage, DeviceMessage, ModelMessage, StageMessage

MAX_RESULTS = 10_000
"""How many results an answer may be asked for."""


class SpanMessage(TypedDict):
    """A part of a video or sound, in seconds from its beginning."""

    start: float
    end: float


class MomentMessage(SpanMessage):
    """A part of a video or sound that answers a question."""

    score: float
    """As of the result; that of the best moment is the result's."""
    reasons: list[str]
    ordinal: int | None
    """Which of the video's moments it is (see `SegmentMessage`), or begins in; null: there is nothing to see."""
    thumbnail: str | None
    """Path of a small JPEG of its keyframe."""


class ResultMessage(TypedDict):
    """One answer to a question."""

    path: str
    kind: str
    """"photo", "video" or "audio"."""
    score: float
    """Greater is better; comparable within one answer only."""
    reasons: list[str]
    taken_at: str | None
    collapsed: int
    """How many near-identical photos stand behind this one."""
    content_hash: str
    thumbnail: str
    """Path of a small JPEG; it may be absent."""
    moments: list[MomentMessage]
    """Of a video or sound, the parts that answer, best first; empty where the whole of it does."""


class SearchMessage(TypedDict):
    """The answer to a question."""

    results: list[ResultMessage]
    confident: bool
    """False: nothing matches well, whatever `results` holds."""
    note: str | None
    seconds: float


class TagMessage(TypedDict):
    """A word for what a photo shows."""

    name: str
    confidence: float
    source: str
    count: int | None
    """How many were seen; null: they were not counted."""


class DetectionMessage(TypedDict):
    """One thing that a detector found in a picture, and how sure it is (0 to 1)."""

    label: str
    score: float
    box: list[float]
    """Left, top, right, bottom, as shares (0 to 1) of the upright picture's width and height."""
    segment: int
    """The video's moment whose keyframe shows it; 0: the photo."""


class SegmentMessage(SpanMessage):
    """A moment of a video: a shot, or a part of one that looks different."""

    ordinal: int
    """From 1 on."""
    shot: int | None
    """From 1 on."""
    keyframe: float | None
    """When its picture is shown, in seconds; null: there is nothing to see."""
    quality: float | None
    """Of that picture, 0 to 1."""
    tags: list[TagMessage]
    """Surest first."""
    thumbnail: str | None
    """Path of a small JPEG of that picture."""


class PlaceMessage(TypedDict):
    """Where something was at one time."""

    time: float
    """Seconds from the beginning."""
    box: list[float]
    """As of a `DetectionMessage`."""


class EventMessage(SpanMessage):
    """Something that happens, can be heard, or was followed through the pictures."""

    kind: str
    """"action", "sound", "track", "speech" (that was not understood) or "chapter"."""
    label: str
    confidence: float
    path: list[PlaceMessage]
    """Where it went; a track has it."""


class WordMessage(SpanMessage):
    """One spoken word."""

    text: str
    confidence: float


class UtteranceMessage(SpanMessage):
    """A stretch of speech, about a sentence."""

    text: str
    confidence: float
    words: list[WordMessage]


class TranscriptMessage(TypedDict):
    """What was said, in order."""

    language: str | None
    """ISO 639-1; null where nobody speaks."""
    language_confidence: float
    utterances: list[UtteranceMessage]
    note: str | None
    """For people: which text this is, where there are subtitles and something heard."""


class HighlightsMessage(TypedDict):
    """The parts of a video or sound that are worth watching, in order."""

    path: str
    kind: str
    duration: float
    """Seconds, of the whole."""
    spans: list[SpanMessage]


class JobMessage(TypedDict):
    """How far one stage of one photo is."""

    stage: str
    revision: int
    state: str
    attempts: int
    problem: str | None


class PhotoMessage(TypedDict):
    """Everything known about one file."""

    paths: list[str]
    content_hash: str
    kind: str
    size: int
    info: dict[str, Any] | None
    pixels: dict[str, float] | None
    tags: list[TagMessage]
    detections: list[DetectionMessage]
    """Surest first."""
    aesthetic: float | None
    """How pleasing a picture it is, 0 to 1; null: the profile does not judge."""
    label: str | None
    jobs: list[JobMessage]
    thumbnail: str
    cut_out: str | None
    """Path of a small PNG of the subject alone; null: nothing was cut out."""
    segments: list[SegmentMessage]
    """The moments of a video, in order. This and all that follows: empty or null for a photo."""
    events: list[EventMessage]
    """In order of their start."""
    transcript: TranscriptMessage | None
    """Null: it was not listened to."""
    highlights: list[SpanMessage]
    summary: str
    preview: str | None
    """Path of a small animated WebP."""
    live: str | None
    """Of a Live Photo, the path of the other half."""


class ProblemMessage(TypedDict):
    """A file that is not searchable, or not as it should be, and why."""

    path: str
    title: str
    remedy: str
    attempts: int


class FolderMessage(TypedDict):
    """How one watched folder is kept up to date."""

    path: str
    mode: str
    """"inotify", "polling" or "missing"."""
    reason: str | None
    remedy: str | None


class PaceMessage(TypedDict):
    """How fast indexing goes. Videos and sounds, which may be of any length, are counted but are no measure."""

    photos_per_second: float
    eta_seconds: float | None
    """Until the photos are done; null: nobody knows."""
    bottleneck: str | None
    seconds_per_step: dict[str, float]
    """For a picture: a photo, or a frame of a video."""
    finished: int
    failed: int
    long_left: int
    """Videos and sounds that are not done."""


class LongFileMessage(TypedDict):
    """A video or sound that is being gone through."""

    path: str
    share: float
    """How far it is, 0 to 1."""


class ServiceMessage(TypedDict):
    """The running service."""

    pid: int
    version: str
    uptime_seconds: float
    state: str
    """What it is doing, for a person."""
    trouble: str | None
    """Why it cannot work, when it cannot."""
    settling: int
    """Files that are still being written."""
    paused: str | None
    """Why nothing is handed to the networks for now, when that is so on purpose."""
    worker_pid: int | None
    pace: PaceMessage
    long_files: list[LongFileMessage]
    folders: list[FolderMessage]


class NoteMessage(TypedDict):
    """Something about the profile, the plug-ins or the folders that a person should know."""

    title: str
    remedy: str


class StatusMessage(TypedDict):
    """The state of a library, and of its service when one runs."""

    library: str
    service: ServiceMessage | None
    counts: dict[str, int]
    kinds: dict[str, int]
    """How many of the contents are "photo", "video" and "audio"."""
    passed_over: dict[str, int]
    """How many files of no known kind the last scans passed over, by suffix (".pdf", or empty for none)."""
    vectors: dict[str, int]
    profile: str
    change: ChangeMessage | None
    models: list[ModelMessage]
    stages: list[StageMessage]
    """Of the worker that runs, or ran last; empty before the first one."""
    devices: list[DeviceMessage]
    """Graphics cards, while they work."""
    notes: list[NoteMessage]
    problems: list[ProblemMessage]
    problems_total: int


class ProgressMessage(TypedDict):
    """One line of the stream of an indexing or of a change of profile."""

    state: str
    """"scanning", "indexing", "preparing" (a new profile is about to be taken into use) or "done"."""
    done: int
    total: int
    failed: int
    photos_per_second: float
    eta_seconds: float | None
    """Until the photos among it are done; null: nobody knows."""
    long_left: int
    """Videos and sounds that are not done."""
    folder: NotRequired[str]
    notes: NotRequired[list[str]]
    """In the last line: what was found out about paths that are not there, or are not asked for any more."""


class ForgottenMessage(TypedDict):
    """What was forgotten; or would be, of a dry run."""

    files: int
    """Paths, those included that were gone already."""
    contents: int
    """Distinct contents among them that no other path holds: everything about them is dropped."""
    shared: int
    """Contents that stay, because another path holds them."""
    authored: int
    """Of `contents`, how many have tags or captions of your own, which are kept."""
    again: list[str]
    """Of the paths, those that are still there in a watched folder: what they hold will be indexed again."""


class ErrorMessage(TypedDict):
    """What happened and what to do about it."""

    title: str
    remedy: str
    exit_status: int
