"""The stages of one photo, and the batches that many photos share.

Decode threads turn files into arrays; whatever is ready goes through the network together. Order is not kept: a slow
file delays nobody, and a bad file becomes a `Failure` of its own.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.errors import CatalogError, FileVanished, MediaError, ReverieError
from config.paths import thumbnail_path
from indexer.media.describe import describe_photo
from indexer.media.files import FileIdentity, read_file
from indexer.media.limits import Limits
from indexer.media.photo import decode_photo
from indexer.media.thumbnail import encode_thumbnail
from indexer.models import pixels
from indexer.models.concepts import ConceptModel
from indexer.records import Analysis, Failure, MediaInfo, PixelStats, Stage, Tag
from indexer.stages import STAGES

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to analyse, and which of its stages are owed."""

    media_id: int
    content_hash: str
    path: str
    identity: FileIdentity
    sidecar: str | None
    stages: tuple[str, ...]


@dataclass(slots=True)
class _Prepared:
    """A decoded photo on its way to the network."""

    task: Task
    info: MediaInfo | None = None
    stats: PixelStats | None = None
    tags: dict[str, tuple[Tag, ...]] = field(default_factory=dict)
    views: NDArray[np.float32] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, step: str, began: float) -> float:
        """Add the time since `began` to a step; return now, the next step's beginning."""
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - began
        return now


class Pipeline:
    """Runs tasks as they come and hands each result to `deliver`, from the thread that calls `run`.

    `load_concepts` is called once, when the first batch needs the network, so that a worker which only re-reads
    captions never loads it.
    """

    def __init__(
        self,
        *,
        load_concepts: Callable[[], ConceptModel],
        thumbnails: Path,
        limits: Limits,
        decode_threads: int,
        batch_size: int,
        max_wait: float,
    ) -> None:
        self._load_concepts = load_concepts
        self._concepts: ConceptModel | None = None
        self._loading = threading.Lock()
        self._thumbnails = thumbnails
        self._limits = limits
        self._decode_threads = decode_threads
        self._batch_size = batch_size
        self._max_wait = max_wait

    def run(
        self, tasks: Iterator[Task], *, began: Callable[[int], None], deliver: Callable[[Analysis | Failure], None]
    ) -> None:
        """Analyse every task; return when `tasks` ends and all its results are delivered.

        `began` is called with a media id, from a decode thread, before anything of that file is read: should the
        process die, these are the files that may have done it.

        How many decoded photos wait in memory is bounded by how many tasks the sender keeps in flight.
        """
        ready: _Ready = queue.SimpleQueue()
        pending = _Counter()

        def prepare(task: Task) -> None:
            ready.put(self._prepare(task, began))

        def feed(pool: ThreadPoolExecutor) -> None:
            try:
                for task in tasks:
                    pending.add(1)
                    pool.submit(prepare, task)
                pool.shutdown(wait=True)
                ready.put(None)
            except Exception as error:  # noqa: BLE001 - raised again where somebody listens, in `run`
                ready.put(error)

        pool = ThreadPoolExecutor(self._decode_threads, thread_name_prefix="decode")
        feeder = threading.Thread(target=feed, args=(pool,), name="feed", daemon=True)
        feeder.start()
        for batch in self._batches(ready, pending):
            for result in self._finish(batch):
                deliver(result)
        feeder.join()

    def _batches(self, ready: _Ready, pending: _Counter) -> Iterator[list[_Prepared | Failure]]:
        """Full batches; or what there is, once nothing more is being decoded or the oldest has waited long enough."""
        batch: list[_Prepared | Failure] = []
        deadline = 0.0
        while True:
            try:
                item = ready.get(timeout=max(0.0, deadline - time.monotonic()) if batch else None)
            except queue.Empty:
                yield batch
                batch = []
                continue
            if item is None:
                break
            if isinstance(item, Exception):
                raise item
            if not batch:
                deadline = time.monotonic() + self._max_wait
            batch.append(item)
            if pending.add(-1) == 0 or len(batch) >= self._batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _prepare(self, task: Task, began: Callable[[int], None]) -> _Prepared | Failure | ReverieError:
        """All that comes before the network, in a decode thread. A `ReverieError` is the worker's own fault."""
        try:
            if Stage.CONCEPTS in task.stages:
                self._network()  # not on this file's time, nor on its account
            began(task.media_id)
            return self._decode_and_describe(task)
        except MediaError as error:
            return Failure(
                media_id=task.media_id,
                stages=task.stages,
                title=error.title,
                remedy=error.remedy,
                permanent=error.permanent,
                vanished=isinstance(error, FileVanished),
            )
        except ReverieError as error:
            return error
        except Exception as error:
            # A file that does what we did not foresee must cost itself only, and be named, not stop the line.
            logger.warning("unforeseen error on media %d", task.media_id, exc_info=True)
            return Failure(
                media_id=task.media_id,
                stages=task.stages,
                title=f"The analysis failed unexpectedly ({type(error).__name__}: {error}).",
                remedy="Please report this with the file, if you can share it; `reverie retry` tries again.",
                permanent=False,
            )

    def _decode_and_describe(self, task: Task) -> _Prepared:
        prepared = _Prepared(task)
        clock = time.perf_counter()
        data = read_file(task.path, task.identity, self._limits)
        clock = prepared.timed("read", clock)
        photo = decode_photo(data, limits=self._limits)
        clock = prepared.timed("decode", clock)
        info = describe_photo(data, photo, self._read_sidecar(task.sidecar))
        if Stage.DESCRIBE in task.stages:
            prepared.info = info
            self._write_thumbnail(task.content_hash, photo.pixels)
        clock = prepared.timed("describe", clock)
        if Stage.PIXELS in task.stages:
            prepared.stats, prepared.tags[Stage.PIXELS] = pixels.measure(
                photo.pixels,
                width=photo.width,
                height=photo.height,
                format=photo.format,
                has_camera=info.camera is not None,
            )
            clock = prepared.timed("pixels", clock)
        if Stage.CONCEPTS in task.stages:
            prepared.views = self._network().prepare(photo.pixels)
            prepared.timed("resize", clock)
        return prepared

    def _finish(self, batch: list[_Prepared | Failure]) -> Iterator[Analysis | Failure]:
        """Run the network over the part of a batch that wants it, and give each photo its result."""
        wanting = [item for item in batch if isinstance(item, _Prepared) and item.views is not None]
        outcomes = {}
        share = 0.0
        if wanting:
            began = time.perf_counter()
            concepts = self._network().infer(np.stack([item.views for item in wanting if item.views is not None]))
            share = (time.perf_counter() - began) / len(wanting)
            outcomes = {item.task.media_id: concept for item, concept in zip(wanting, concepts, strict=True)}
        for item in batch:
            if isinstance(item, Failure):
                yield item
                continue
            outcome = outcomes.get(item.task.media_id)
            if outcome is not None:
                item.tags[Stage.CONCEPTS] = outcome.tags
                item.seconds["concepts"] = share
            yield Analysis(
                media_id=item.task.media_id,
                stages={stage: STAGES[stage] for stage in item.task.stages},
                info=item.info,
                pixels=item.stats,
                tags=item.tags,
                embeddings=() if outcome is None else (outcome.embedding,),
                seconds=item.seconds,
            )

    def _network(self) -> ConceptModel:
        with self._loading:
            if self._concepts is None:
                self._concepts = self._load_concepts()
            return self._concepts

    def _read_sidecar(self, path: str | None) -> bytes | None:
        """A sidecar that cannot be read must not cost us the photo it belongs to."""
        if path is None:
            return None
        try:
            return read_file(path, None, self._limits)
        except MediaError:
            return None

    def _write_thumbnail(self, content_hash: str, image: NDArray[np.uint8]) -> None:
        """Named by content and replaced whole, so that a kill leaves an old one, a new one or none."""
        path = thumbnail_path(self._thumbnails, content_hash)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")  # two copies may be decoded at once
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(encode_thumbnail(image))
            partial.replace(path)
        except OSError as error:
            # Not the photo's fault: the worker stops, and the photo is tried again.
            raise CatalogError(
                f"Thumbnails cannot be written to {self._thumbnails}: {error.strerror}.",
                "Free some space on that disk, or mend its permissions. Nothing is lost.",
            ) from error


_Ready = queue.SimpleQueue[_Prepared | Failure | Exception | None]
"""Decoded photos, files that failed, the worker's own failure; None is the end."""


class _Counter:
    """How many tasks are being decoded."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = threading.Lock()

    def add(self, amount: int) -> int:
        with self._lock:
            self._value += amount
            return self._value
