"""The spans worth watching, and the sentences that sum a film up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.records import Event, Tag
from search.highlights import highlights
from search.summary import summary
from tests.search.films import FilmLibrary, Shot, action, transcript
from tests.search.test_engine import SPACE


@pytest.fixture
def library(tmp_path: Path) -> Iterator[FilmLibrary]:
    made = FilmLibrary(tmp_path)
    yield made
    made.catalog.close()


def best(library: FilmLibrary, path: str, seconds: float) -> list[tuple[float, float]]:
    row = library.row(path)
    vectors = library.catalog.vectors_of_media(SPACE, [row.media_id])
    return [(one.start, one.end) for one in highlights(row, vectors, seconds)]


EVERYDAY: list[Shot] = [("cat", 0, 20), ("cat", 20, 40), ("boat", 40, 60), ("lamp", 60, 80)]


def test_highlights_are_in_order_apart_from_each_other_and_no_longer_than_asked_for(library: FilmLibrary) -> None:
    path = library.film("a.mp4", EVERYDAY)
    for seconds in (2, 4, 10, 13, 30, 79):
        spans = best(library, path, seconds)
        assert sum(end - start for start, end in spans) <= seconds + 1e-9
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
        assert all(0 <= start < end <= 80 for start, end in spans)
    assert best(library, path, 80) == best(library, path, 500) == [(0, 80)]
    assert best(library, path, 0) == []


def test_a_highlight_is_where_something_happens(library: FilmLibrary) -> None:
    path = library.film("a.mp4", EVERYDAY, events=[action("clapping", 71, 75), Event("sound", "silence", 0, 20, 1.0)])
    assert best(library, path, 4) == [(71, 75)]


def test_what_was_shown_already_is_not_shown_again(library: FilmLibrary) -> None:
    path = library.film("a.mp4", EVERYDAY)
    shots = [int(start // 20) for start, _ in best(library, path, 12)]
    assert len(shots) == 3
    assert not {0, 1} <= set(shots), "the two that show the cat"


def test_a_blurred_moment_is_no_highlight(library: FilmLibrary) -> None:
    row = library.row(library.film("a.mp4", EVERYDAY))
    blurred = tuple(replace(one, quality=0.05 if one.ordinal != 3 else 0.9) for one in row.segments)
    vectors = library.catalog.vectors_of_media(SPACE, [row.media_id])
    [only] = highlights(replace(row, segments=blurred), vectors, 4)
    assert 40 <= only.start < only.end <= 60


def test_a_sound_has_highlights_where_somebody_speaks_and_a_photo_none(library: FilmLibrary) -> None:
    path = library.sound("a.mp3", 60, said=transcript(("Well then let us begin", 33)))
    [(start, end)] = best(library, path, 4)
    assert start < 35.4
    assert end > 33
    assert best(library, library.add("a.jpg", "cat"), 4) == []


def test_a_summary_says_what_it_is_shows_and_says(library: FilmLibrary) -> None:
    path = library.film(
        "a.mp4",
        [("cat", 0, 40), ("boat", 40, 72)],
        tags={1: [Tag("tabby cat", 0.9, "imagenet"), Tag("red", 0.9, "colour")], 2: [Tag("sloop", 0.6, "imagenet"),
              Tag("hot dog", 0.1, "imagenet")]},
        events=[action("sailing", 45, 60), Event("sound", "music", 0, 70, 0.9), Event("sound", "speech", 0, 5, 0.9)],
        said=transcript(("Hm.", 1), ("The boat is sailing to the island", 42), ("A boat, an island and us on it", 50)),
        taken_at="2021-06-05T10:00:00",
    )  # fmt: skip
    text = summary(library.row(path))
    assert text.startswith(
        "A video of 1 minute 12 seconds in 2 shots from 5 June 2021, showing tabby cat and sloop."
        " There is sailing (0:45-1:00) and music (0:00-1:10). "
    )
    assert text.endswith(("“The boat is sailing to the island”", "“A boat, an island and us on it”"))
    assert "Hm." not in text


def test_a_summary_makes_nothing_up(library: FilmLibrary) -> None:
    assert summary(library.row(library.film("a.mp4", [("cat", 0, 1.2)]))) == "A video of 1 second."
    assert summary(library.row(library.add("a.jpg", "cat"))) == ""
    memo = library.sound("a.mp3", 7300, said=transcript(("Buy milk", 20)))
    assert summary(library.row(memo)) == "A sound of 2 hours 1 minute. At 0:20 somebody says: “Buy milk”"


def test_what_people_tagged_comes_first_and_a_long_quotation_is_cut_at_a_word(library: FilmLibrary) -> None:
    path = library.film(
        "a.mp4", [("cat", 0, 90)], tags={1: [Tag("sofa", 0.9, "x")]}, said=transcript(("many words " * 60, 1))
    )
    library.catalog.set_authored_tags(library.row(path).media_id, ["felix"])
    text = summary(library.row(path))
    assert "showing felix and sofa." in text
    assert text.endswith("…”")
    assert len(text) < 280
