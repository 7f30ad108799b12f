"""Whatever a client types, the answer is results or one clear refusal: never an error of ours, never a standstill."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import QueryError
from search.query import MAX_CHARACTERS, parse
from tests.search.films import FilmLibrary, action, transcript

TODAY = date(2026, 7, 15)
A = "a" * 110


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilmLibrary]:
    made = FilmLibrary(tmp_path_factory.mktemp("library"))
    made.add("cat.jpg", "cat", tags={A: 1.0, "cat": 0.9})
    made.film(
        "talk.mp4", [("boat", 0, 4)], said=transcript(("one two three", 1.0)), events=[action(f"playing {A}", 0, 4)]
    )
    made.catalog.set_authored_tags(2, [A])
    yield made
    made.catalog.close()


def numbered(count: int, form: str, between: str) -> str:
    return between.join(form.format(number) for number in range(count))


@pytest.mark.parametrize(
    "text",
    [
        "tag:*a*a*a*a*a*b OR type:video",
        f"tag:{'*a' * 1500}*b OR action:{'*a' * 400}*b OR type:video",
        f"path:{'*a' * 2000}*b",
        f"-tag:{'a*' * 2000}",
        *(
            f"{name}:{numbered(count, '{}', ',')}"
            for name in ("camera", "lens", "tag", "said")
            for count in (350, 1000)
        ),
        *(f"{name}:{numbered(400, '*{}*', ',')}" for name in ("camera", "lens", "tag", "action")),
        f"type:{'photo,' * 600}video",
        f"has:{'speech,audio,place,' * 200}speech",
        numbered(32, "tag:{}", " OR "),
        numbered(64, "-path:{}", " "),
        numbered(32, "NOT tag:{}", " "),
        numbered(2000, "{}", " "),
        numbered(1000, "{}", " OR "),
        numbered(64, "two", " "),
        f'"{numbered(200, "{}", " ")}"',
        f'"{numbered(800, "{}", " ")}"',
        numbered(800, "{}", "."),
        "a" * MAX_CHARACTERS,
        "(" * MAX_CHARACTERS,
        "-" * MAX_CHARACTERS,
        "NOT " * 64,
        f"tag:{'(' * 2000}",
        f"said:{'(' * 1000}a{')' * 1000}",
        f"date:{'.' * 4000}",
        f"date:{'2019..' * 600}2020",
        f"after:{'9' * 4000}",
        f"duration:{'9' * 4000}h",
        f"duration:{'1m' * 1000}",
        f"limit:{'0' * 4000}1",
        f"limit:{'9' * 4000}",
        "limit:٣ rating:٣ duration:٣ after:٢٠١٩",
        "rating:1e999 duration:nan",
        "duration:1e999",
        "duration:inf",
        'tag:"999 cats" tag:"99999999999999999999 cats"',
        f'tag:"{"9" * 4000} cats"',
        f"{'9' * 4000} cats",
        'cat" OR fulltext MATCH "x',
        'NEAR("a" "b", 99999999999999999999)',
        "{title path}: ^cat* - + :",
        "said:\"a\x00b\" tag:'\x00' cat\x00dog",
        "similar:\x00",
        f"similar:{'/a' * 2000}",
    ],
    ids=lambda text: f"{text[:24]}… {len(text)}",
)
def test_no_number_list_or_depth_is_an_error_of_ours(library: FilmLibrary, text: str) -> None:
    answered(library, text)


VALUES = st.sampled_from(["*", "*a", "a*", "?", "%", "_", "\\", "1", "0", "-1", "9" * 30, "1e999", "nan", "..", "2019"])
VALUES |= st.text(max_size=6)
FILTERS = st.sampled_from(
    [
        "tag",
        "path",
        "camera",
        "lens",
        "said",
        "action",
        "type",
        "has",
        "date",
        "after",
        "before",
        "duration",
        "rating",
        "similar",
        "sort",
        "limit",
    ]
)
TERMS = st.builds("{}{}:{}".format, st.sampled_from(["", "-", "NOT "]), FILTERS, VALUES | VALUES.map('"{}"'.format))
TERMS |= st.builds("{}:{}".format, FILTERS, st.lists(VALUES, max_size=40).map(",".join)) | VALUES
TERMS |= st.sampled_from(["OR", "NOT", "AND", "cat", '"cat', "(", ")", "東京", "\uff41", "\ud800", "\x00", "e\u0301"])


@settings(max_examples=150, deadline=None)
@given(st.lists(TERMS, max_size=40).map(" ".join))
def test_no_mixture_of_them_is_an_error_of_ours(library: FilmLibrary, text: str) -> None:
    answered(library, text)


def answered(library: FilmLibrary, text: str) -> None:
    with contextlib.suppress(QueryError):
        library.engine.search(parse(text, today=TODAY))
