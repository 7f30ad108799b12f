"""What the service and its worker process say to each other, as msgpack frames over a pipe.

Not pickle: the worker decodes untrusted media, and a hijacked worker must not be able to run code in the service.
"""

from __future__ import annotations

import msgspec

from indexer.records import Analysis, Failure


class Setup(msgspec.Struct, frozen=True):
    """The first frame to a worker: everything it needs to know."""

    thumbnails: bytes
    model_cache: bytes
    decode_threads: int
    network_threads: int
    batch_size: int
    max_wait: float
    """Seconds a part-filled batch waits for more."""
    max_pixels: int
    max_bytes: int


class Assignment(msgspec.Struct, frozen=True):
    """Every later frame to a worker: one file to analyse. Paths are bytes, as the file system has them."""

    media_id: int
    content_hash: str
    path: bytes
    size: int
    mtime_ns: int
    inode: int
    sidecar: bytes | None
    stages: tuple[str, ...]


class Done(msgspec.Struct, frozen=True, tag=True):
    """A file that was analysed."""

    analysis: Analysis


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A file that could not be analysed, and why."""

    failure: Failure


class Preparing(msgspec.Struct, frozen=True, tag=True):
    """The network is being loaded, and built first where that has never been done: it takes as long as it takes."""


class Began(msgspec.Struct, frozen=True, tag=True):
    """A file is about to be read: from here on it may be to blame."""

    media_id: int


class Equipped(msgspec.Struct, frozen=True, tag=True):
    """The network is loaded: what it runs on."""

    runtime: str


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The worker itself cannot work, whatever the file: say so and stop sending."""

    title: str
    remedy: str


Reply = Preparing | Equipped | Began | Done | Refused | Broken
