"""What a video shows: its moments in order, each seen by the networks through its best frames.

Chunk by chunk: what is known of finished moments is a page of `Notes`, so that a kill repeats one chunk at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec
import numpy as np
from PIL import Image

from config.errors import StageFailed
from indexer.acting import act
from indexer.findings import blamed_on
from indexer.frame_lane import FrameLane
from indexer.media.frames import Frame, Strategy, frames_at
from indexer.media.moments import BEGINNING, Mark, Moment, moments
from indexer.media.preview import FRAMES, animated_preview
from indexer.media.thumbnail import encode_thumbnail
from indexer.media.video import Video
from indexer.models import pixels
from indexer.notes import Notes
from indexer.photo_work import Looked
from indexer.pictures import Pictures
from indexer.records import Event, MediaInfo, Stage
from indexer.seen import Page, Seen, SeenMoment, added, summed_up
from indexer.stage import View
from indexer.stage_set import Owed
from indexer.stages import source_of

CHUNK_SECONDS = 30.0
"""Of video, at least, between two pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How frames are chosen from videos."""

    strategy: Strategy
    fps: float
    """Frames a second that are looked at, at most."""
    threads: int
    """That decode."""


@dataclass(slots=True)
class _Chunk:
    """A chunk whose frames are on their way."""

    began: float
    moments: list[tuple[Moment, list[Future[Looked]]]] = field(default_factory=list)
    sampled: dict[float, Future[Looked]] = field(default_factory=dict)
    """By the time of the frame, those that detect."""

    @property
    def seconds(self) -> float:
        """Of video."""
        return self.moments[-1][0].end - self.moments[0][0].start if self.moments else 0.0


class Seer:
    """One pass over one video. One thread drives it."""

    def __init__(
        self,
        video: Video,
        info: MediaInfo,
        owed: Owed,
        *,
        content_hash: str,
        sampling: Sampling,
        frames: FrameLane,
        pictures: Pictures,
        tell: Callable[[float], None],
    ) -> None:
        """`tell` is called now and then with the time, in seconds of the video, up to which it was seen."""
        self._video = video
        self._info = info
        self._owed = owed
        self._content_hash = content_hash
        self._sampling = sampling
        self._frames = frames
        self._pictures = pictures
        self._tell = tell
        # Every sampled frame goes through the detectors, so that things can be followed; a moment's own are among them.
        self._detecting = {name: stage for name, stage in owed.photo.items() if name.startswith("detection:")}
        self._given_up: set[str] = set()
        """Stages that failed on this video."""
        self._looking = {name: stage for name, stage in owed.photo.items() if name not in self._detecting}

    def see(self, notes: Notes) -> Seen:
        """See all of it, from where `notes` end; keep its keyframes, its cover and its preview.

        Raises:
            MediaError: the file can no longer be read.
            ReverieError: the worker cannot go on.
        """
        pages = notes.pages(Page)
        start = mark = pages[-1].mark if pages else BEGINNING
        ordinal = sum(len(page.moments) for page in pages)
        self._given_up = {name for page in pages for name in page.failed}
        self._draw_missing(pages)
        chunk = _Chunk(time.perf_counter())

        def sampled(frame: Frame) -> None:
            self._tell(frame.time)
            if self._detecting:
                chunk.sampled[frame.time] = self._frames.look(self._view(frame), self._detecting)

        for moment, mark in moments(
            self._video,
            start=start,
            strategy=self._sampling.strategy,
            every=1 / self._sampling.fps,
            threads=self._sampling.threads,
            sampled=sampled,
        ):
            ordinal += 1
            self._begin(moment, ordinal, chunk)
            if chunk.seconds >= CHUNK_SECONDS:
                page = self._finish(chunk, mark)
                notes.add(len(pages), page)
                pages.append(page)
                chunk = _Chunk(time.perf_counter())
        pages.append(self._finish(chunk, mark))
        seen = summed_up(pages)
        self._keep_pictures(seen)
        return seen

    def _draw_missing(self, pages: Sequence[Page]) -> None:
        """The keyframes of a recording that went on have the name of what it was."""
        looks = enumerate((seen.look for page in pages for seen in page.moments), 1)
        missing = [
            (number, look.time)
            for number, look in looks
            if look is not None and self._pictures.keyframe(self._content_hash, number) is None
        ]
        frames = frames_at(self._video, [when for _, when in missing], threads=self._sampling.threads)
        for (number, _), frame in zip(missing, frames, strict=False):
            self._tell(frame.time)
            self._pictures.keep_keyframe(self._content_hash, number, encode_thumbnail(frame.pixels))

    def _begin(self, moment: Moment, ordinal: int, chunk: _Chunk) -> None:
        """Send a moment's frames on their way."""
        if moment.frames:
            self._pictures.keep_keyframe(self._content_hash, ordinal, encode_thumbnail(moment.frames[0].pixels))
        looking = [self._frames.look(self._view(frame), self._looking) for frame in moment.frames]
        chunk.moments.append((moment, looking))

    def _view(self, frame: Frame) -> View:
        return View(frame.pixels, self._info.width or 0, self._info.height or 0, self._info)

    def _finish(self, chunk: _Chunk, mark: Mark) -> Page:
        """Wait for the networks, and say what is known of a chunk."""
        steps = [{"frames": time.perf_counter() - chunk.began}]
        failed: dict[str, StageFailed] = {}

        def noted(looked: list[Looked]) -> list[Looked]:
            steps.extend(one.seconds for one in looked)
            for one in looked:
                failed.update(one.failed)
            return looked

        sampled = dict(zip(chunk.sampled, noted(self._frames.results(list(chunk.sampled.values()))), strict=True))
        seen = [self._seen(moment, noted(self._frames.results(looking)), sampled) for moment, looking in chunk.moments]
        seen = self._with_vectors_read(seen, noted)
        actions: dict[str, tuple[Event, ...]] = {}
        for name, stage in self._owed.clip.items():
            if name in self._given_up:
                continue  # it says nothing about this video any more
            began = time.perf_counter()
            spans = [(moment.start, moment.end) for moment, _ in chunk.moments]
            try:
                with blamed_on(name):
                    actions[name] = act(self._video, spans, stage, threads=self._sampling.threads)
            except StageFailed as error:
                failed[name] = error
            steps.append({name: time.perf_counter() - began})
        self._given_up |= failed.keys()
        return Page(
            mark=mark,
            moments=tuple(seen),
            sampled={
                name: tuple(
                    (when, one.findings[name].detections) for when, one in sampled.items() if name in one.findings
                )
                for name in self._detecting
            },
            actions=actions,
            failed={name: (error.title, error.remedy) for name, error in failed.items()},
            frames=len(sampled.keys() | {frame.time for moment, _ in chunk.moments for frame in moment.frames}),
            seconds=added(steps),
        )

    def _seen(self, moment: Moment, looked: Sequence[Looked], sampled: Mapping[float, Looked]) -> SeenMoment:
        detected = [sampled[frame.time] for frame in moment.frames if frame.time in sampled]
        findings = {
            name: [one.findings[name] for one in found if name in one.findings]
            for names, found in ((self._looking, looked), (self._detecting, detected))
            for name in names
        }
        seen = SeenMoment.of(moment, findings)
        if not moment.frames:
            return seen
        stats, tags = pixels.measure(
            moment.frames[0].pixels,
            width=self._info.width or 0,
            height=self._info.height or 0,
            format=self._info.format,
            has_camera=True,  # a video of a screen's size is no screenshot
        )
        return msgspec.structs.replace(seen, stats=stats, tags={**seen.tags, Stage.PIXELS: tuple(tags)})

    def _with_vectors_read(
        self, seen: Sequence[SeenMoment], noted: Callable[[list[Looked]], list[Looked]]
    ) -> list[SeenMoment]:
        """What the stages that need no more than a moment's vector say about it."""
        result = list(seen)
        for source in {source_of(name) for name in self._owed.vector}:
            stages = {name: stage for name, stage in self._owed.vector.items() if source_of(name) == source}
            having = [number for number, one in enumerate(result) if source in one.embeddings]
            futures = [self._frames.read(result[number].embeddings[source].vector, stages) for number in having]
            for number, looked in zip(having, noted(self._frames.results(futures)), strict=True):
                found, one = looked.findings, result[number]
                result[number] = msgspec.structs.replace(
                    one,
                    tags=one.tags | {name: said.tags for name, said in found.items()},
                    aesthetic=one.aesthetic
                    | {name: said.aesthetic for name, said in found.items() if said.aesthetic is not None},
                )
        return result

    def _keep_pictures(self, seen: Seen) -> None:
        """The cover and the preview, made of the keyframes that are there already."""
        content, shown = self._content_hash, [one.ordinal for one in seen.segments[1:] if one.keyframe is not None]
        self._pictures.drop_keyframes(content, len(seen.segments) - 1)
        if seen.cover is None:
            return
        path = self._pictures.keyframe(content, seen.cover)
        if path is not None:
            self._pictures.keep_thumbnail(content, path.read_bytes())
        chosen = [shown[int(at)] for at in np.linspace(0, len(shown) - 1, min(FRAMES, len(shown)))]
        paths = [path for one in chosen if (path := self._pictures.keyframe(content, one)) is not None]
        frames = [np.asarray(Image.open(path)) for path in paths]
        if frames:  # somebody may have cleared the folder
            self._pictures.keep_preview(content, animated_preview(frames))
