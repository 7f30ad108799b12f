"""Chapters: titles with their spans, from what programs write into containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from indexer.media.container import VideoLimits
from indexer.media.metadata.chapters import chapter_facts, chapters_in
from indexer.media.video import open_video
from indexer.records import Event
from tests.indexer.media.clips import counting


def film(path: Path, *chapters: tuple[float, float, str]) -> Path:
    """Two seconds with chapters, each (start, end, title)."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.height, stream.width = counting(0).shape[:2]
        stream.pix_fmt = "yuv420p"
        output.set_chapters(
            [
                {
                    "id": number,
                    "start": round(start * 1000),
                    "end": round(end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, (start, end, title) in enumerate(chapters)
            ]
        )
        for number in range(20):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(counting(number), "rgb24")))
        output.mux(stream.encode())
    return path


def read(path: Path) -> tuple[Event, ...]:
    with open_video(str(path), VideoLimits()) as video:
        return chapters_in(video.source, video.info.duration)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_titles_come_with_their_spans(tmp_path: Path, suffix: str) -> None:
    chapters = read(film(tmp_path / f"film.{suffix}", (0.0, 0.8, "The  church"), (0.8, 2.0, "First dance")))
    assert [one.label for one in chapters] == ["The church", "First dance"]
    assert [at for one in chapters for at in (one.start, one.end)] == pytest.approx([0.0, 0.8, 0.8, 2.0], abs=0.01)
    assert chapter_facts(chapters).notes[0].text == "The church; First dance"


@pytest.mark.parametrize(
    "title",
    [
        "Chapter 1", "Kapitel 03", "00:05:00.000", "17", "", "Chapter_12",
        "Глава 3", "第1章", "チャプター 2", "1. fejezet", "[00:01:02.000]", "Chapter IV", "Disc 1 Track 2",
    ],
)  # fmt: skip
def test_a_number_is_no_title(tmp_path: Path, title: str) -> None:
    path = film(tmp_path / "film.mkv", (0.0, 1.0, title), (1.0, 2.0, "Chapter 2: the harbour"))
    assert [one.label for one in read(path)] == ["Chapter 2: the harbour"]


@pytest.mark.parametrize("title", ["Apollo 11", "2001: A Space Odyssey", "Vic", "Track day"])
def test_a_name_with_a_number_is_a_title(tmp_path: Path, title: str) -> None:
    assert read(film(tmp_path / "film.mkv", (0.0, 1.0, title), (1.0, 2.0, "2")))[0].label == title


def test_one_chapter_for_the_whole_file_is_none(tmp_path: Path) -> None:
    assert read(film(tmp_path / "film.mp4", (0.0, 2.0, "The whole film"))) == ()
    [marked] = read(film(tmp_path / "marked.mkv", (1.5, 2.0, "First dance")))
    assert (marked.label, marked.start) == ("First dance", 1.5)


def test_a_chapter_lies_within_the_film(tmp_path: Path) -> None:
    chapters = read(
        film(tmp_path / "film.mkv", (0.2, 0.2, "No length"), (0.5, 900.0, "No end"), (100.0, 200.0, "Never"))
    )
    assert [one.label for one in chapters] == ["No length", "No end"]
    assert [at for one in chapters for at in (one.start, one.end)] == pytest.approx([0.2, 0.5, 0.5, 2.0], abs=0.01)


def test_a_title_gives_no_orders_to_a_terminal(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", (0.0, 1.0, "a\x1b[2Jred\x07\u202e bell"), (1.0, 2.0, "b"))
    assert read(path)[0].label == "a [2Jred bell"


def test_a_senseless_list_is_cut_short(tmp_path: Path) -> None:
    senseless = [(number / 1000, (number + 1) / 1000, "a" * 5_000) for number in range(2_500)]
    chapters = read(film(tmp_path / "film.mkv", *senseless))
    assert len(chapters) == 2_000
    assert {one.label for one in chapters} == {"a" * 200}
