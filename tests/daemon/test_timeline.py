"""What is told of the inside of a video, as a person reads it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon.render import render_results, time_left
from daemon.timeline import MOST_LINES, length_facts, moments_line, render_timeline
from search.clock import clock, length, seconds_of, span


def moment(start: float, end: float, **changes: Any) -> Any:
    return {
        "start": start, "end": end, "score": 0.5, "reasons": ["said: “hello”"], "ordinal": 1, "thumbnail": None,
    } | changes  # fmt: skip


def message(**changes: Any) -> Any:
    """As much of a file's message as its timeline needs."""
    return {"segments": [], "events": [], "transcript": None} | changes


def timeline(told: Any) -> list[str]:
    out = io.StringIO()
    render_timeline(out, told)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (42.9, "0:42"), (62, "1:02"), (3599.99, "59:59"), (3723.5, "1:02:03")]
)
def test_times_are_as_players_show_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text
    assert seconds_of(text) == int(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.7, "less than a second"),
        (1.9, "1 second"),
        (5.6, "5 seconds"),
        (119.99, "1 minute 59 seconds"),
        (3599.99, "59 minutes 59 seconds"),
        (3723.5, "1 hour 2 minutes"),
    ],
)
def test_a_length_in_words_is_the_one_that_players_show(seconds: float, text: str) -> None:
    assert length(seconds) == text
    assert int(clock(seconds)[-1]) == int(seconds) % 10


@pytest.mark.parametrize("text", ["", "x", "1:", ":1", "-3", "1:2:3:4", "1e3", "nan", "٣"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert seconds_of(text) is None


def test_a_span_within_one_second_is_one_time() -> None:
    assert (span(42.1, 42.8), span(42.1, 51)) == ("0:42", "0:42-0:51")


def test_a_result_says_where_in_the_video_it_is_and_shows_that_moment(tmp_path: Path) -> None:
    keyframe, cover = tmp_path / "keyframe.jpg", tmp_path / "cover.jpg"
    Image.new("RGB", (8, 8), "red").save(keyframe)
    Image.new("RGB", (64, 64), "blue").save(cover)
    found: Any = {
        "path": "/clip.mp4", "kind": "video", "score": 0.5, "reasons": ["said: “hello”", "2020"], "taken_at": None,
        "collapsed": 0, "content_hash": "ab" * 32, "thumbnail": str(cover),
        "moments": [moment(42, 51, thumbnail=str(keyframe)), moment(70, 74)],
    }  # fmt: skip
    answer: Any = {"results": [found], "confident": True, "note": None, "seconds": 0.1}
    out = io.StringIO()
    render_results(out, answer, thumbnails=False, environ={})
    assert out.getvalue() == ("  1  /clip.mp4  at 0:42-0:51 (also 1:10-1:14)\n     said: “hello” · 2020\n")
    pictures = []
    for thumbnail in (str(keyframe), str(cover)):
        found["moments"][0]["thumbnail"] = thumbnail
        out = io.StringIO()
        render_results(out, answer, thumbnails=True, environ={"KITTY_WINDOW_ID": "1"})
        pictures.append(out.getvalue())
    assert pictures[0] != pictures[1]
    assert moments_line([]) == ""


def test_lines_are_in_order_of_time_and_in_columns() -> None:
    tag = {"name": "beach", "confidence": 0.62, "source": "imagenet", "count": None}
    told = message(
        segments=[
            {"start": 0, "end": 75, "ordinal": 1, "shot": 1, "keyframe": 3, "quality": 1, "tags": [tag],
             "thumbnail": None},
            {"start": 75, "end": 90, "ordinal": 2, "shot": None, "keyframe": 3, "quality": 1, "tags": [],
             "thumbnail": None},
        ],
        events=[{"start": 70, "end": 80, "kind": "action", "label": "surfing", "confidence": 0.8, "path": []}],
        transcript={
            "language": "en", "language_confidence": 1,
            "utterances": [{"start": 5, "end": 7, "text": "word " * 40, "confidence": 1, "words": []}],
        },
    )  # fmt: skip
    assert timeline(told) == [
        "",
        "Timeline:",
        "  0:00-1:15  shot 1  beach 0.62",
        f"  0:05-0:07  said    “{'word ' * 19}word…”",
        "  1:10-1:20  action  surfing 0.80",
        "  1:15-1:30  moment",
    ]
    assert timeline(message()) == []


def test_of_a_long_video_some_lines_from_everywhere_are_shown() -> None:
    events = [
        {"start": n, "end": n + 1, "kind": "sound", "label": f"number {n}", "confidence": 1, "path": []}
        for n in range(1000)
    ]
    lines = timeline(message(events=events))
    assert len(lines) == MOST_LINES + 3
    assert "number 0 " in lines[2]
    assert "number 975 " in lines[-2]
    assert lines[-1] == "  ... and 960 lines more in between: --json has all"


def test_a_long_film_still_lists_all_its_chapters() -> None:
    def event(kind: str, label: str, at: float) -> dict[str, Any]:
        return {"kind": kind, "label": label, "start": at, "end": at + 1, "confidence": 1.0, "path": []}

    words = [event("sound", f"number {n}", n) for n in range(1000)]
    chapters = [event("chapter", f"Day {n}", 40 * n) for n in range(20)]
    lines = timeline(message(events=[*words, *chapters]))
    assert [line.split()[-1] for line in lines if " chapter " in line] == [str(n) for n in range(20)]
    assert lines[-1] == "  ... and 960 lines more in between: --json has all"


def test_what_a_video_is_made_of_is_one_line() -> None:
    film = {"duration": 62.0, "fps": 23.976, "variable_rate": True, "video_codec": "hevc", "hdr": True}
    assert list(length_facts(film)) == [("length", "1:02, 23.98 frames/s, unevenly, hevc, no sound, HDR")]
    memo = {"duration": 3.0, "fps": None, "audio_codec": "opus", "bit_rate": 32_000}
    assert list(length_facts(memo)) == [("length", "0:03, opus, 32 kbit/s")]
    assert list(length_facts({"duration": None})) == []


@pytest.mark.parametrize(
    ("eta", "long", "text"),
    [
        (None, 0, ""),
        (None, 4, ""),
        (120.0, 0, ", 2 min left"),
        (120.0, 1, ", 2 min left for photos, then one video or sound"),
        (120.0, 4, ", 2 min left for photos, then 4 videos and sounds"),
    ],
)
def test_the_time_that_is_left_is_that_of_photos_and_only_that(eta: float | None, long: int, text: str) -> None:
    assert time_left(eta, long) == text
