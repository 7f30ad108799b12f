"""What was found, and what is known about one file, as messages."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from pathlib import Path

from config.errors import ReverieError
from config.paths import keyframe_path, thumbnail_path
from indexer.pictures import Pictures
from indexer.records import Event, Segment, Tag, Transcript
from search.catalog import PhotoRow
from search.engine import Result
from search.messages import (
    EventMessage,
    PhotoMessage,
    ResultMessage,
    SegmentMessage,
    SpanMessage,
    TagMessage,
    TranscriptMessage,
)
from search.summary import summary


class NothingThere(ReverieError):
    """A file does not have what was asked for, or not yet."""

    exit_status = 1


def result_message(result: Result, thumbnails: Path) -> ResultMessage:
    """One answer."""
    return {
        "path": result.path,
        "kind": result.kind,
        "score": round(result.score, 4),
        "reasons": list(result.reasons),
        "taken_at": result.taken_at,
        "collapsed": result.collapsed,
        "content_hash": result.content_hash,
        "thumbnail": str(thumbnail_path(thumbnails, result.content_hash)),
        "moments": [
            {
                "start": moment.start,
                "end": moment.end,
                "score": round(moment.score, 4),
                "reasons": list(moment.reasons),
                "ordinal": moment.ordinal,
                "thumbnail": keyframe(thumbnails, result.content_hash, moment.ordinal or 0, seen=moment.keyframe),
            }
            for moment in result.moments
        ],
    }


def photo_message(
    row: PhotoRow, thumbnails: Path, *, label: str | None, cut_out: str | None, highlights: list[SpanMessage]
) -> PhotoMessage:
    """Everything known about one file."""
    preview = Pictures(thumbnails).preview(row.content_hash)
    return {
        "paths": list(row.paths),
        "content_hash": row.content_hash,
        "kind": row.kind,
        "size": row.size,
        "info": None if row.info is None else dataclasses.asdict(row.info),
        "pixels": None if row.pixels is None else dataclasses.asdict(row.pixels),
        "tags": [tag_message(tag) for tag in row.tags if tag.segment == 0],
        "detections": [
            {"label": one.label, "score": one.score, "box": list(one.box), "segment": one.segment}
            for one in row.detections
        ],
        "aesthetic": row.aesthetic,
        "label": label,
        "jobs": [
            {
                "stage": job.stage,
                "revision": job.revision,
                "state": job.state,
                "attempts": job.attempts,
                "problem": job.problem_title,
            }
            for job in row.jobs
        ],
        "thumbnail": str(thumbnail_path(thumbnails, row.content_hash)),
        "cut_out": cut_out,
        "segments": segment_messages(row, thumbnails),
        "events": event_messages(row),
        "transcript": None if row.transcript is None else transcript_message(row.transcript),
        "highlights": highlights,
        "summary": summary(row),
        "preview": None if preview is None else str(preview),
        "live": row.live,
    }


def check_done(row: PhotoRow, path: str, task: str, share: float | None) -> None:
    """Raises NothingThere where the stages of a task ("" for all) have not run yet, or cannot.

    `share` is how far the analysis of the file is, 0 to 1; None: it is not under way.
    """
    jobs = [job for job in row.jobs if job.stage.partition(":")[0] == task or not task]
    if any(job.state in {"pending", "running"} for job in jobs):
        far = "it is waiting" if share is None else f"{share:.0%} of it are done"
        raise NothingThere(
            f"{path} is still to be analysed: {far}.", "Ask again later; `reverie status` says how far all is."
        )
    for job in jobs:
        if job.state == "quarantined":
            raise NothingThere(
                f"{path} could not be analysed: {job.problem_title}",
                job.problem_remedy or "`reverie retry` tries again.",
            )


def tag_message(tag: Tag) -> TagMessage:
    """A tag, without saying which segment has it."""
    return {"name": tag.name, "confidence": tag.confidence, "source": tag.source, "count": tag.count}


def segment_messages(row: PhotoRow, thumbnails: Path) -> list[SegmentMessage]:
    """The moments of a video, each with its tags; none of a photo."""
    tags: defaultdict[int, list[TagMessage]] = defaultdict(list)
    for tag in row.tags:
        tags[tag.segment].append(tag_message(tag))
    return [_segment(one, tags[one.ordinal], row.content_hash, thumbnails) for one in row.segments if one.ordinal]


def event_messages(row: PhotoRow) -> list[EventMessage]:
    """What happens in it, in order."""
    return [_event(one) for one in row.events]


def transcript_message(transcript: Transcript, note: str | None = None) -> TranscriptMessage:
    """What was said."""
    return {
        "language": transcript.language,
        "language_confidence": transcript.language_confidence,
        "utterances": [
            {
                "text": one.text,
                "start": one.start,
                "end": one.end,
                "confidence": one.confidence,
                "words": [
                    {"text": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
                    for word in one.words
                ],
            }
            for one in transcript.utterances
        ],
        "note": note,
    }


def keyframe(thumbnails: Path, content_hash: str, ordinal: int, *, seen: bool) -> str | None:
    """Where the picture of a moment is, if there is anything to see."""
    return str(keyframe_path(thumbnails, content_hash, ordinal)) if seen else None


def _segment(one: Segment, tags: list[TagMessage], content_hash: str, thumbnails: Path) -> SegmentMessage:
    return {
        "ordinal": one.ordinal,
        "start": one.start or 0.0,
        "end": one.end or 0.0,
        "shot": one.shot,
        "keyframe": one.keyframe,
        "quality": one.quality,
        "tags": tags,
        "thumbnail": keyframe(thumbnails, content_hash, one.ordinal, seen=one.keyframe is not None),
    }


def _event(one: Event) -> EventMessage:
    return {
        "kind": one.kind,
        "label": one.label,
        "start": one.start,
        "end": one.end,
        "confidence": one.confidence,
        "path": [{"time": place.time, "box": list(place.box)} for place in one.path],
    }
