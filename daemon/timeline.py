"""The inside of a video or sound as text for a terminal: what is seen, done, heard and said in it, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TextIO

from indexer.vocabulary import CHAPTER_KIND, NOT_UNDERSTOOD, SPEECH_KIND
from search.clock import clock, span
from search.messages import MomentMessage, PhotoMessage

MOST_LINES = 40
MOST_TAGS = 4
LONGEST_QUOTE = 100

_Row = tuple[float, float, str, str]
"""Start, end, what kind of thing it is, and what to say about it."""


def moments_line(moments: list[MomentMessage]) -> str:
    """Where in a file the answer is: "at 0:42-0:51 (also 1:10-1:14)"."""
    if not moments:
        return ""
    best, *others = [span(one["start"], one["end"]) for one in moments]
    also = f" (also {', '.join(others)})" if others else ""
    return f"at {best}{also}"


def length_facts(info: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """How long it is, and what it is made of."""
    seconds = info.get("duration")
    if not isinstance(seconds, int | float):
        return
    facts = [clock(seconds)]
    if isinstance(fps := info.get("fps"), int | float):
        facts.append(f"{fps:.2f} frames/s{', unevenly' if info.get('variable_rate') else ''}")
    facts += [str(info[name]) for name in ("video_codec", "audio_codec") if info.get(name)]
    if not info.get("audio_codec"):
        facts.append("no sound")
    if info.get("hdr"):
        facts.append("HDR")
    if isinstance(rate := info.get("bit_rate"), int):
        facts.append(f"{rate / 1e6:.1f} Mbit/s" if rate >= 1_000_000 else f"{rate / 1e3:.0f} kbit/s")
    yield "length", ", ".join(facts)


def inside_facts(message: PhotoMessage) -> Iterator[tuple[str, str]]:
    """What is said of the whole of it."""
    if message["summary"]:
        yield "summary", message["summary"]
    if message["highlights"]:
        yield "highlights", ", ".join(span(one["start"], one["end"]) for one in message["highlights"])
    if message["preview"]:
        yield "preview", message["preview"]
    if message["live"]:
        yield "live photo", f"its other half is {message['live']}"


def render_timeline(out: TextIO, message: PhotoMessage) -> None:
    """One line for each moment, event and utterance, in order of time; of very many, some from everywhere.

    Chapters are counted apart: they are the table of contents, which shots and words must not crowd out.
    """
    rows = sorted(_rows(message))
    if not rows:
        return
    chapters = [row for row in rows if row[2] == CHAPTER_KIND]
    others = [row for row in rows if row[2] != CHAPTER_KIND]
    shown = sorted([*_some(chapters), *_some(others)])
    spans = [span(start, end) for start, end, _, _ in shown]
    width, kinds = max(map(len, spans)), max(len(kind) for _, _, kind, _ in shown)
    out.write("\nTimeline:\n")
    out.writelines(
        f"  {when:>{width}}  {kind:<{kinds}}  {what}".rstrip() + "\n"
        for when, (_, _, kind, what) in zip(spans, shown, strict=True)
    )
    if len(rows) > len(shown):
        out.write(f"  ... and {len(rows) - len(shown):,} lines more in between: --json has all\n")


def _some(rows: list[_Row]) -> list[_Row]:
    count = min(len(rows), MOST_LINES)
    return [rows[number * len(rows) // count] for number in range(count)]


def _rows(message: PhotoMessage) -> Iterator[_Row]:
    for moment in message["segments"]:
        tags = ", ".join(f"{tag['name']} {tag['confidence']:.2f}" for tag in moment["tags"][:MOST_TAGS])
        yield moment["start"], moment["end"], f"shot {moment['shot']}" if moment["shot"] else "moment", tags
    for event in message["events"]:
        what = event["label"] if event["kind"] == CHAPTER_KIND else f"{event['label']} {event['confidence']:.2f}"
        if (event["kind"], event["label"]) == (SPEECH_KIND, NOT_UNDERSTOOD):
            what = "speech in a language this model does not know, or too unclear"
        yield event["start"], event["end"], event["kind"], what
    transcript = message["transcript"]
    for one in transcript["utterances"] if transcript else ():
        text = " ".join(one["text"].split())
        if len(text) > LONGEST_QUOTE:
            text = f"{text[:LONGEST_QUOTE].rsplit(' ', 1)[0]}…"
        yield one["start"], one["end"], "said", f"“{text}”"
