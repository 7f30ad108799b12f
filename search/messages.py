"""The JSON that goes over the socket and out of `--json`: one type for each object.

The service fills these, the command line prints them, and the OpenAPI document is made from them.
Paths are strings with the file system's odd bytes as lone surrogates ("\\udce9"), as Python and JSON both can carry.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class ResultMessage(TypedDict):
    """One answer to a question."""

    path: str
    kind: str
    """"photo"."""
    score: float
    """Greater is better; comparable within one answer only."""
    reasons: list[str]
    taken_at: str | None
    collapsed: int
    """How many near-identical photos stand behind this one."""
    content_hash: str
    thumbnail: str
    """Path of a small JPEG; it may be absent."""


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


class JobMessage(TypedDict):
    """How far one stage of one photo is."""

    stage: str
    revision: int
    state: str
    attempts: int
    problem: str | None


class PhotoMessage(TypedDict):
    """Everything known about one photo."""

    paths: list[str]
    content_hash: str
    kind: str
    size: int
    info: dict[str, Any] | None
    pixels: dict[str, float] | None
    tags: list[TagMessage]
    label: str | None
    jobs: list[JobMessage]
    thumbnail: str


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
    """How fast indexing goes."""

    photos_per_second: float
    eta_seconds: float | None
    bottleneck: str | None
    seconds_per_step: dict[str, float]
    finished: int
    failed: int


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
    worker_pid: int | None
    pace: PaceMessage
    folders: list[FolderMessage]


class ModelMessage(TypedDict):
    """One model in use."""

    name: str
    task: str
    package: str
    version: str
    licence: str


class StatusMessage(TypedDict):
    """The state of a library, and of its service when one runs."""

    library: str
    service: ServiceMessage | None
    counts: dict[str, int]
    vectors: dict[str, int]
    profile: str
    runtime: str
    device: str
    models: list[ModelMessage]
    problems: list[ProblemMessage]
    problems_total: int


class ProgressMessage(TypedDict):
    """One line of an indexing stream."""

    state: str
    """"scanning", "indexing" or "done"."""
    done: int
    total: int
    failed: int
    photos_per_second: float
    eta_seconds: float | None
    folder: NotRequired[str]


class ErrorMessage(TypedDict):
    """What happened and what to do about it."""

    title: str
    remedy: str
    exit_status: int
