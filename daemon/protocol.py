"""What the service and its worker process say to each other, as msgpack frames over a pipe.

Not pickle: the worker decodes untrusted media, and a hijacked worker must not be able to run code in the service.
"""

from __future__ import annotations

import msgspec

from config.errors import CatalogError, ModelError, ReverieError, StageBroken
from indexer.records import Analysis, Failure, Kind, RuntimeReport


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame to a worker: everything it needs to know. Folders are bytes, as the file system has them."""

    thumbnails: bytes
    models: bytes
    """Pulled weights."""
    model_cache: bytes
    config_folders: tuple[bytes, ...]
    """Where further models and label lists may be, the strongest last."""
    decode_threads: int
    network_threads: int
    batch_size: int | None
    """None: found by measurement."""
    max_wait: float
    """Seconds a part-filled batch waits for more."""
    max_pixels: int
    max_bytes: int
    notes: bytes
    """Where it is kept what was found so far in long files."""
    extraction_strategy: str
    extract_fps: float
    max_video_seconds: float
    max_video_pixels: int
    """Of one frame."""
    device: str
    """"auto", "cpu", "cuda" or "cuda:1"."""
    use_tensorrt: bool
    tensorrt_precision: str
    enable_amp: bool
    cudnn_benchmark: bool
    allow_tf32: bool = False
    memory_megabytes: int | None = None
    """Of each GPU, what the worker may take; None: what is free."""
    avoid: tuple[str, ...] = ()
    """Runtimes that brought a device into a state from which only a new process recovers: not to be tried again."""


class Assignment(msgspec.Struct, frozen=True, tag=True):
    """One file to analyse. Paths are bytes, as the file system has them."""

    media_id: int
    content_hash: str
    path: bytes
    size: int
    mtime_ns: int
    inode: int
    sidecars: tuple[bytes, ...]
    stages: tuple[str, ...]
    kind: Kind = Kind.PHOTO
    """What the file is taken for."""
    vectors: tuple[tuple[int, bytes], ...] = ()
    """Ordinal of the segment and its stored vector (little-endian float16), where what is owed needs no more."""


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Nobody wants to know any more what is in a long file: it was deleted, or moved out of sight."""

    media_id: int


Order = Assignment | Cancel
"""Every later frame to a worker."""


class Done(msgspec.Struct, frozen=True, tag=True):
    """A file that was analysed, by all of its stages or by those that did not fail (`Analysis.failed`)."""

    analysis: Analysis


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A file that could not be analysed, and why."""

    failure: Failure


class Preparing(msgspec.Struct, frozen=True, tag=True):
    """A stage is being loaded, and built first where that has never been done: it takes as long as it takes."""

    stage: str


class Began(msgspec.Struct, frozen=True, tag=True):
    """A file is about to be read: from here on it may be to blame."""

    media_id: int


class Working(msgspec.Struct, frozen=True, tag=True):
    """A long file is being gone through: a sign of life."""

    media_id: int
    share: float
    """How far it is, 0 to 1."""


class Equipped(msgspec.Struct, frozen=True, tag=True):
    """A stage is loaded, or runs in another way than before."""

    report: RuntimeReport | None
    """How its network runs; None for a stage without one."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The worker itself cannot work, whatever the file: say so and stop sending."""

    title: str
    remedy: str
    stage: str | None = None
    """Of which stage the model cannot work; None: no single one."""
    disk: bool = False
    """Whether what the worker writes cannot be written."""

    @classmethod
    def by(cls, error: ReverieError) -> Broken:
        """What an error becomes on its way."""
        stage = error.stage if isinstance(error, StageBroken) else None
        return cls(error.title, error.remedy, stage, disk=isinstance(error, CatalogError))

    def error(self) -> ModelError | CatalogError:
        """The error again: StageBroken if it is one stage's."""
        if self.disk:
            return CatalogError(self.title, self.remedy)
        if self.stage is not None:
            return StageBroken(self.stage, self.title, self.remedy)
        return ModelError(self.title, self.remedy)


class Poisoned(msgspec.Struct, frozen=True, tag=True):
    """The device is in a state that only a new process can leave: the worker ends, and its files are not to blame."""

    title: str


Reply = Preparing | Equipped | Began | Working | Done | Refused | Broken | Poisoned
