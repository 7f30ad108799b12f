"""The stages of one photo, and the batches that many pictures share.

Decode threads turn photos into arrays; a thread of its own goes through videos and sounds, one at a time, and sends
their frames. Whatever is ready goes through each network together. Order is not kept: a slow file delays nobody, a bad
file becomes a `Failure` of its own, and a stage that fails on a file costs it that stage.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from config.errors import FileVanished, MediaError, ReverieError, UnreadableFile
from indexer.frame_lane import FrameLane, FrameWork
from indexer.long_work import LongFiles, LongWork
from indexer.media.files import read_file
from indexer.media.limits import Limits
from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.metadata.info import says_something
from indexer.media.metadata.sidecars import Beside, facts_beside
from indexer.media.photo import MIN_SHORT_SIDE, decode_photo, shape_of
from indexer.media.thumbnail import encode_thumbnail
from indexer.models import pixels
from indexer.photo_work import (
    Looked,
    PhotoWork,
    Task,
    analyse_batch,
    cut_outs,
    on_rows,
    prepare_stages,
    result_of,
    vector_for,
)
from indexer.pictures import Pictures
from indexer.records import Analysis, Failure, Kind, Stage, stage_order
from indexer.stage import LoadedStage, View
from indexer.stage_set import StageSet

__all__ = ["Pipeline", "Task"]

logger = logging.getLogger(__name__)

_OF_PIXELS = frozenset({Stage.DESCRIBE, Stage.PIXELS})

LEAST_BATCH = 16
"""Photos collected for a batch where no network has asked for more."""


class Pipeline:
    """Runs tasks as they come and hands each result to `deliver`, from the thread that calls `run`.

    `load_stage` is called once for each stage, when the first photo needs it, from a decode thread, for one stage at a
    time. Its StageFailed costs photos that stage only; any other error ends the run, and no photo is blamed.

    `batch_size` is how many photos are collected for the networks; None: as many as the largest of theirs takes.
    """

    def __init__(
        self,
        *,
        load_stage: Callable[[str], LoadedStage],
        thumbnails: Path,
        limits: Limits,
        decode_threads: int,
        batch_size: int | None,
        max_wait: float,
        long_files: LongFiles,
    ) -> None:
        self._stages = StageSet(load_stage)
        self._pictures = Pictures(thumbnails)
        self._limits = limits
        self._decode_threads = decode_threads
        self._batch_size = batch_size
        self._max_wait = max_wait
        self._long_files = long_files
        self._cancelled: set[int] = set()

    def cancel(self, media_id: int) -> None:
        """Break a long file off that was given as a task, or is not yet begun: its result is that it has vanished. From
        any thread."""
        self._cancelled.add(media_id)

    def run(
        self,
        tasks: Iterator[Task],
        *,
        began: Callable[[int], None],
        deliver: Callable[[Analysis | Failure], None],
        tell: Callable[[int, float], None] = lambda media_id, share: None,
    ) -> None:
        """Analyse every task; return when `tasks` ends and all its results are delivered.

        `began` is called with a media id, from a decode thread, before anything of that file is read: should the
        process die, these are the files that may have done it.

        `tell` is called now and then with the media id of a long file and how far it is, 0 to 1, from its thread.

        How many decoded photos wait in memory is bounded by how many tasks the sender keeps in flight.
        """
        ready: _Ready = queue.SimpleQueue()
        pending = _Counter()
        long_tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()

        def waits() -> None:
            pending.add(-1)
            ready.put(_FLUSH)

        frames = FrameLane(ready.put, waits=waits, goes_on=lambda: pending.add(1))
        long_work = LongWork(
            self._long_files,
            stages=self._stages,
            pictures=self._pictures,
            sidecar_limits=self._limits,
            frames=frames,
            began=began,
            tell=tell,
            cancelled=self._cancelled,
        )

        def prepare(task: Task) -> None:
            ready.put(_outcome(task, lambda: self._prepare(task, began)))

        def go_through_long_files() -> None:
            while (task := long_tasks.get()) is not None:
                ready.put(_outcome(task, functools.partial(long_work.analyse, task)))

        def feed(pool: ThreadPoolExecutor) -> None:
            try:
                for task in tasks:
                    pending.add(1)
                    if task.kind is Kind.PHOTO:
                        pool.submit(prepare, task)
                    else:
                        self._cancelled.discard(task.media_id)
                        long_tasks.put(task)
                long_tasks.put(None)
                pool.shutdown(wait=True)
                long_thread.join()
                ready.put(None)
            except Exception as error:  # noqa: BLE001 - raised again where somebody listens, in `run`
                ready.put(error)

        pool = ThreadPoolExecutor(self._decode_threads, thread_name_prefix="decode")
        long_thread = threading.Thread(target=go_through_long_files, name="long files", daemon=True)
        long_thread.start()
        feeder = threading.Thread(target=feed, args=(pool,), name="feed", daemon=True)
        feeder.start()
        try:
            for batch in self._batches(ready, pending):
                for result in self._finish(batch, frames):
                    deliver(result)
        except BaseException:
            frames.end()
            raise
        feeder.join()

    def _batches(self, ready: _Ready, pending: _Counter) -> Iterator[list[_Item]]:
        """Whole batches; or what there is, once nothing more is being decoded or the oldest has waited long enough."""
        batch: list[_Item] = []
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
            if not isinstance(item, _Flush):
                if not batch:
                    deadline = time.monotonic() + self._max_wait
                batch.append(item)
            counted = not isinstance(item, FrameWork | _Flush)
            nothing_comes = pending.add(-1 if counted else 0) == 0 and not isinstance(item, FrameWork)
            if batch and (nothing_comes or len(batch) >= (self._batch_size or self._stages.batch_size(LEAST_BATCH))):
                yield batch
                batch = []
        if batch:
            yield batch

    def _prepare(self, task: Task, began: Callable[[int], None]) -> PhotoWork:
        """All that comes before the networks, in a decode thread. Raises ReverieError."""
        vector = task.vectors[0][1] if task.vectors else None
        owed = self._stages.owed(task.stages, vector)  # loading is not on this file's time nor account
        began(task.media_id)
        prepared = PhotoWork(task=task, owed=owed, failed=dict(owed.failed))
        if owed.photo or not _OF_PIXELS.isdisjoint(task.stages):
            self._decode_and_describe(prepared)
        elif Stage.METADATA in task.stages:
            data = read_file(task.path, task.identity, self._limits)
            prepared.described(describe_photo(data, shape_of(data), self._beside(task)))
        return prepared

    def _decode_and_describe(self, prepared: PhotoWork) -> None:
        task = prepared.task
        clock = time.perf_counter()
        data = read_file(task.path, task.identity, self._limits)
        clock = prepared.timed("read", clock)
        wanted = max([MIN_SHORT_SIDE, *(stage.short_side for stage in prepared.owed.photo.values())])
        beside = self._beside(task)
        try:
            photo = decode_photo(data, limits=self._limits, short_side=wanted, orientation=beside.stronger.orientation)
        except MediaError as error:
            # A photo that nothing here can decode, as of a new camera, is still found by what it says.
            info = describe_photo(data, shape_of(data), beside)
            if Stage.METADATA not in task.stages or not says_something(info):
                raise
            prepared.described(info)
            prepared.refused = error
            return
        clock = prepared.timed("decode", clock)
        info = describe_photo(data, photo.shape, beside)
        prepared.described(info)
        if Stage.DESCRIBE in task.stages:
            self._pictures.keep_thumbnail(task.content_hash, encode_thumbnail(photo.pixels))
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
        if prepared.owed.photo:
            prepare_stages(prepared, View(photo.pixels, photo.width, photo.height, info))
            prepared.timed("resize", clock)

    def _finish(self, batch: list[_Item], frames: FrameLane) -> Iterator[Analysis | Failure]:
        """Run each network over the part of a batch that wants it, and give each file its result."""
        pictures = [item for item in batch if isinstance(item, Looked)]
        for name in sorted({name for item in pictures for name in item.inputs}, key=stage_order):
            wanting = [item for item in pictures if name in item.inputs]
            inputs = [item.inputs.pop(name) for item in wanting]
            analyse_batch(name, wanting, wanting[0].owed.photo[name].analyse, inputs)
        for name in sorted({name for item in pictures for name in item.owed.vector}, key=stage_order):
            rows = [(item, vector) for item in pictures if (vector := vector_for(name, item)) is not None]
            if rows:
                stage = rows[0][0].owed.vector[name]
                analyse_batch(name, [item for item, _ in rows], on_rows(stage), [vector for _, vector in rows])
        for item in batch:
            if isinstance(item, FrameWork):
                frames.finish(item)
            elif isinstance(item, PhotoWork):
                if (found := cut_outs(item)) is not None:
                    self._pictures.keep_cut_out(item.task.content_hash, found[0] if found else None)
                yield result_of(item)
            else:
                yield item

    def _beside(self, task: Task) -> Beside:
        return facts_beside(task.path, task.sidecars, self._limits)


class _Flush:
    """Says that no picture comes until those that wait have been through the networks."""


_FLUSH = _Flush()
_Item = PhotoWork | FrameWork | Analysis | Failure
_Ready = queue.SimpleQueue[_Item | _Flush | Exception | None]
"""Decoded pictures, files that are done, files that failed, the worker's own failure; None is the end."""


def _outcome(task: Task, work: Callable[[], PhotoWork | Analysis]) -> PhotoWork | Analysis | Failure | ReverieError:
    """What comes of one file. A `ReverieError` is the worker's own fault."""
    try:
        return work()
    except MediaError as error:
        return Failure(
            media_id=task.media_id,
            stages=task.stages,
            title=error.title,
            remedy=error.remedy,
            permanent=error.permanent,
            vanished=isinstance(error, FileVanished),
            refused=isinstance(error, UnreadableFile),
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


class _Counter:
    """How many tasks are being decoded."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = threading.Lock()

    def add(self, amount: int) -> int:
        with self._lock:
            self._value += amount
            return self._value
