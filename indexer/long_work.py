"""One video or sound from beginning to end: what it says about itself, what it shows, and what is heard in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from config.errors import FileVanished, StageFailed, UnsupportedFormat
from indexer.frame_lane import FrameLane
from indexer.heard import HeardAll
from indexer.hearing import hear
from indexer.media.container import Source, VideoLimits
from indexer.media.files import FileIdentity
from indexer.media.frames import settled
from indexer.media.limits import Limits
from indexer.media.metadata.describe_recording import describe_audio, describe_video
from indexer.media.metadata.embedded_text import embedded_subtitles, merged
from indexer.media.metadata.info import keyword_tags
from indexer.media.metadata.sidecars import facts_beside
from indexer.media.sound import Audio, open_audio
from indexer.media.video import Video, open_video
from indexer.notes import Notes
from indexer.passes import Aside, BrokenOff, Progress
from indexer.photo_work import Task, revision_of
from indexer.pictures import Pictures
from indexer.records import Analysis, Failure, Kind, MediaInfo, Segment, Stage, Tag, Transcript
from indexer.seeing import Sampling, Seer
from indexer.seen import Seen, added, most_sure
from indexer.stage import SoundStage
from indexer.stage_set import Owed, StageSet
from indexer.stages import STAGES, applies

CUT = frozenset({Stage.DESCRIBE, Stage.PIXELS})
"""Done whenever the frames of a video are gone through."""

_T = TypeVar("_T")
_Opener = Callable[[str, VideoLimits, FileIdentity | None, Callable[[], None]], AbstractContextManager[Video | Audio]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFiles:
    """How long files are read, and where what is made of them goes."""

    limits: VideoLimits
    sampling: Sampling
    notes: Path


class LongWork:
    """Analyses one long file at a time."""

    def __init__(
        self,
        settings: LongFiles,
        *,
        stages: StageSet,
        pictures: Pictures,
        sidecar_limits: Limits,
        frames: FrameLane,
        began: Callable[[int], None],
        tell: Callable[[int, float], None],
        cancelled: Container[int],
    ) -> None:
        """`began` is called before a file is read, `tell` now and then with its media id and how far it is, 0 to 1.
        `cancelled` are the media ids that nobody wants any more."""
        self._settings = settings
        self._stages = stages
        self._pictures = pictures
        self._sidecar_limits = sidecar_limits
        self._frames = frames
        self._began = began
        self._tell = tell
        self._cancelled = cancelled

    def analyse(self, task: Task) -> Analysis:
        """Go through the stages that a file owes, and those without which they could not.

        What the file turns out to be may differ from what it was taken for: then `Analysis.info` says so.

        Raises:
            MediaError: the file cannot be analysed.
            ReverieError: the worker cannot go on.
        """
        owed = self._stages.owed(task.stages, task.vectors[0][1] if task.vectors else None)
        self._began(task.media_id)
        progress = Progress(lambda share: self._tell(task.media_id, share), lambda: self._check(task))
        self._check(task)
        if owed.stored is not None:
            return self._reread(task, owed, progress)
        with _opened(task, self._settings.limits, self._reading(task, progress)) as media:
            beside = facts_beside(task.path, task.sidecars, self._sidecar_limits)
            said = describe_video(media, beside) if isinstance(media, Video) else describe_audio(media, beside)
            info = said.info
            progress.whole = info.duration or 0.0
            analysis = self._analysed(task, owed, media, info, progress)
            if Stage.METADATA not in analysis.stages:
                return analysis
            written = merged([*beside.subtitles, *embedded_subtitles(media.source)])
            subtitles = {} if written is None else {Stage.METADATA: Transcript(written.language, 1.0, written.said)}
            return replace(
                analysis,
                transcripts=analysis.transcripts | subtitles,
                events=analysis.events | {Stage.METADATA: said.chapters},
            )

    def _check(self, task: Task) -> None:
        self._frames.check()
        if task.media_id in self._cancelled:
            raise FileVanished("The file was moved away or deleted while it was analysed.", "Nothing to do.")

    def _reading(self, task: Task, progress: Progress) -> Callable[[], None]:
        """What every reading of the file calls: to be opened, a large one may be read as a whole."""
        is_over = False

        def got_on() -> None:
            nonlocal is_over
            if not is_over:  # FFmpeg may ask for more before it gives the error on
                is_over = True
                self._check(task)
                is_over = False
            progress.got_on()

        return got_on

    def _analysed(self, task: Task, owed: Owed, media: Video | Audio, info: MediaInfo, progress: Progress) -> Analysis:
        asked = [name for name in task.stages if name not in owed.failed]
        wanted = [name for name in asked if applies(name, info.kind)]
        listening = {name: stage for name, stage in owed.sound.items() if name in wanted}
        seeing = any(name not in owed.sound and name != Stage.METADATA for name in wanted)
        watched = _while_kept(media.source, progress) if isinstance(media, Video) and seeing else None
        listened = _while_kept(media.source, progress) if listening else None
        hearing = Aside(
            lambda: self._hear(task, media.source, listening, listened) if listened is not None else HeardAll({}, {}),
            on_error=progress.stop,
        )
        seen = None
        try:
            if isinstance(media, Video) and watched is not None:
                seen = self._see(task, owed, media, info, watched)
        except BaseException as error:
            progress.stop()  # the other pass ends soon, and before the file is closed
            hearing.join()
            if isinstance(error, BrokenOff):
                hearing.result()  # what broke it off
            raise
        heard = hearing.result()
        failed = owed.failed | heard.failed | (seen.failed if seen else {})
        done = {name: revision_of(name, owed) for name in asked if name not in failed}
        nothing_else = Analysis(
            media_id=task.media_id,
            stages=done,
            info=info if {Stage.METADATA, Stage.DESCRIBE} & done.keys() or info.kind is not task.kind else None,
            tags=_of(done, keyword_tags(info)),
            segments=(Segment(0, 0.0, info.duration),),
            events=_of(done, heard.events),
            transcripts=_of(done, heard.transcripts),
            seconds=heard.seconds,
            frames=0,
            failed=_failures(task, failed),
        )
        if seen is None:
            return nothing_else
        # What a video shows is cut into moments each time: whatever is said about them comes with them.
        done |= {name: STAGES[name] for name in CUT}
        return replace(
            nothing_else,
            stages=done,
            info=info,
            pixels=seen.pixels,
            segments=seen.segments,
            tags=nothing_else.tags | _of(done, seen.tags),
            detections=_of(done, seen.detections),
            aesthetic=_of(done, seen.aesthetic),
            embeddings=tuple(one for found in _of(done, seen.embeddings).values() for one in found),
            events=nothing_else.events | _of(done, seen.events),
            seconds=seen.seconds | nothing_else.seconds,
            frames=seen.frames,
        )

    def _see(self, task: Task, owed: Owed, video: Video, info: MediaInfo, tell: Callable[[float], None]) -> Seen:
        sampling = self._settings.sampling
        stages = [*owed.photo, *owed.vector, *owed.clip]
        about = [f"{name} {revision_of(name, owed)}" for name in sorted(stages)]
        about += [f"{name} {STAGES[name]}" for name in sorted(CUT)]
        # A recording may grow by a part with another keyframe spacing. Then these notes do not apply.
        about.append(f"{settled(video, sampling.strategy)} {sampling.fps}")
        seer = Seer(
            video,
            info,
            owed,
            content_hash=task.content_hash,
            sampling=sampling,
            frames=self._frames,
            pictures=self._pictures,
            tell=tell,
        )
        return seer.see(Notes(self._settings.notes, task.content_hash, "see\n" + "\n".join(about)))

    def _hear(
        self, task: Task, source: Source, stages: dict[str, SoundStage], tell: Callable[[float], None]
    ) -> HeardAll:
        about = "\n".join(f"{name} {stages[name].revision}" for name in sorted(stages))
        return hear(source, stages, Notes(self._settings.notes, task.content_hash, f"hear\n{about}"), tell=tell)

    def _reread(self, task: Task, owed: Owed, progress: Progress) -> Analysis:
        """All that is owed reads vectors, which are stored."""
        progress.whole, reached = len(task.vectors), progress.reporter()
        sent = []
        for number, (_, vector) in enumerate(task.vectors):
            reached(number)
            sent.append(self._frames.read(vector, owed.vector))
        looked = self._frames.results(sent)
        failed = owed.failed | {name: error for one in looked for name, error in one.failed.items()}
        done = [name for name in task.stages if name not in failed]
        tags: dict[str, tuple[Tag, ...]] = {}
        aesthetic: dict[str, float] = {}
        for name in done:
            found = [(ordinal, one.findings[name]) for (ordinal, _), one in zip(task.vectors, looked, strict=True)]
            tags[name] = most_sure([replace(tag, segment=ordinal) for ordinal, one in found for tag in one.tags])
            scores = [one.aesthetic for _, one in found if one.aesthetic is not None]
            aesthetic |= {name: max(scores)} if scores else {}
        return Analysis(
            media_id=task.media_id,
            stages={name: revision_of(name, owed) for name in done},
            tags=tags,
            aesthetic=aesthetic,
            seconds=added(one.seconds for one in looked),
            frames=len(looked),
            failed=_failures(task, failed),
        )


@contextmanager
def _opened(task: Task, limits: VideoLimits, got_on: Callable[[], None]) -> Iterator[Video | Audio]:
    """A file as what it is: one taken for a video that has no picture is a sound, and the other way round."""
    with contextlib.ExitStack() as stack:
        openers: tuple[_Opener, _Opener] = (open_video, open_audio)
        first, second = reversed(openers) if task.kind is Kind.AUDIO else openers
        try:
            media: Video | Audio = stack.enter_context(first(task.path, limits, task.identity, got_on))
        except UnsupportedFormat as error:
            try:
                media = stack.enter_context(second(task.path, limits, task.identity, got_on))
            except UnsupportedFormat:
                raise error from None
        yield media


def _while_kept(source: Source, progress: Progress) -> Callable[[float], None]:
    """A reporter of a pass that ends when the file is deleted."""
    report = progress.reporter()

    def reached(done: float) -> None:
        source.check_kept()
        report(done)

    return reached


def _failures(task: Task, failed: Mapping[str, StageFailed]) -> tuple[Failure, ...]:
    return tuple(
        Failure(media_id=task.media_id, stages=(name,), title=error.title, remedy=error.remedy, permanent=False)
        for name, error in failed.items()
        if name in task.stages
    )


def _of(stages: Mapping[str, int], found: Mapping[str, _T]) -> dict[str, _T]:
    """What these stages found."""
    return {name: one for name, one in found.items() if name in stages}
