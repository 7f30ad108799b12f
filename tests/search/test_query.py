"""The query language, as typed. Today is 15 July 2026."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import QueryError
from search.conditions import AnyOf, Seconds, Stars, Words
from search.dates import Span
from search.query import FreeText, Query, parse

TODAY = date(2026, 7, 15)


def ask(text: str) -> Query:
    return parse(text, today=TODAY)


def texts(text: str) -> list[str]:
    return [one.words for one in ask(text).texts]


def conditions(text: str) -> list[list[str]]:
    """Each group as "[-]typed" strings."""
    return [[f"{'-' * one.negated}{one.typed}" for one in group] for group in ask(text).groups]


def refused(text: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        ask(text)
    assert caught.value.title
    assert caught.value.remedy
    return caught.value


def test_free_text_is_one_text_wherever_the_filters_stand() -> None:
    assert texts("black cat after:2019 at night") == ["black cat at night"]
    assert conditions("black cat after:2019 at night") == [["after:2019"]]


def test_the_example_everybody_starts_with() -> None:
    query = ask("boat after:2019 camera:canon")
    assert query.texts == (FreeText("boat"),)
    assert [group[0].value for group in query.groups] == [Span(date(2019, 1, 1), date(2020, 1, 1)), AnyOf(("canon",))]


@pytest.mark.parametrize("text", ["TAG:Cat", "tag:cat", 'Tag:"cat"', "tag:'cat'", "tag:“cat”"])
def test_names_and_values_have_no_case_and_any_quotes(text: str) -> None:
    assert ask(text).groups[0][0].value == AnyOf(("cat",))


def test_quotes_hold_a_value_together() -> None:
    assert ask('tag:"tabby cat" after:"last summer"').groups[0][0].value == AnyOf(("tabby cat",))
    assert ask("after:'last summer'").groups[0][0].value == Span(date(2025, 6, 1), date(2025, 9, 1))


def test_a_comma_means_either_and_quotes_keep_it() -> None:
    assert ask("camera:canon,nikon").groups[0][0].value == AnyOf(("canon", "nikon"))
    assert ask('camera:"a, b"').groups[0][0].value == AnyOf(("a, b",))


def test_a_repeated_filter_must_hold_twice() -> None:
    assert conditions("tag:cat tag:dog") == [["tag:cat"], ["tag:dog"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-tag:cat", [["-tag:cat"]]),
        ("NOT tag:cat", [["-tag:cat"]]),
        ("NOT -tag:cat", [["tag:cat"]]),
        ("-dog", [["-dog"]]),
        ("NOT dog", [["-dog"]]),
        ('-"hot dog"', [['-"hot dog"']]),
        ('-tag:"hot dog"', [['-tag:"hot dog"']]),
        ("tag:cat OR tag:dog", [["tag:cat", "tag:dog"]]),
        ("tag:cat OR -tag:dog OR camera:x", [["tag:cat", "-tag:dog", "camera:x"]]),
        ("tag:cat AND tag:dog", [["tag:cat"], ["tag:dog"]]),
        ("tag:cat OR kitten basket", [["tag:cat", "kitten basket"]]),
    ],
)
def test_operators(text: str, expected: list[list[str]]) -> None:
    assert conditions(text) == expected


def test_or_between_words_gives_alternatives() -> None:
    assert texts("black cat OR white dog") == ["black cat", "white dog"]
    assert texts("cat OR dog after:2020 sofa OR chair") == ["cat sofa", "cat chair", "dog sofa", "dog chair"]


def test_an_alternative_without_a_word_is_none() -> None:
    assert texts("cat OR ...") == texts("... OR cat") == ["cat"]


def test_a_phrase_must_stand_as_it_is_and_is_looked_for_by_meaning_too() -> None:
    query = ask('"birthday cake" candles')
    assert query.groups[0][0].value == Words(("birthday", "cake"), phrase=True)
    assert query.texts == (FreeText("birthday cake candles"),)


@pytest.mark.parametrize(
    "text", ['"or"', '"OR" boats', "rock'n'roll", "'tis the season", "http://cats.example", "3:30 pm"]
)
def test_what_only_looks_like_syntax_is_text(text: str) -> None:
    assert ask(text).texts


@pytest.mark.parametrize(
    ("text", "stars"),
    [
        ("rating:4", Stars(4, 4)),
        ("rating:4+", Stars(4, 5)),
        ("rating:>=4", Stars(4, 5)),
        ("rating:>3", Stars(4, 5)),
        ("rating:<3", Stars(0, 2)),
        ("rating:<=2", Stars(0, 2)),
        ("rating:2..4", Stars(2, 4)),
        ("rating:2-4", Stars(2, 4)),
        ("rating:-1", Stars(-1, -1)),
    ],
)
def test_ratings(text: str, stars: Stars) -> None:
    assert ask(text).groups[0][0].value == stars


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("duration:>30", Seconds(30, with_low=False)),
        ("duration:>30s", Seconds(30, with_low=False)),
        ("duration:>=1m", Seconds(60)),
        ("duration:1m+", Seconds(60)),
        ("duration:<2m", Seconds(0, 120, with_high=False)),
        ("duration:<=1.5h", Seconds(0, 5400)),
        ("duration:1m..5m", Seconds(60, 300)),
        ('duration:"1m 30s .. 1h"', Seconds(90, 3600)),
        ("duration:90", Seconds(89.5, 90.5, with_high=False)),
        ("duration:1:30", Seconds(89.5, 90.5, with_high=False)),
        ("duration:1:00:05", Seconds(3604.5, 3605.5, with_high=False)),
    ],
)
def test_lengths_in_time(text: str, seconds: Seconds) -> None:
    assert ask(text).groups[0][0].value == seconds


def test_what_is_said_and_done_and_what_a_file_has() -> None:
    assert ask('said:"Happy Birthday"').groups[0][0].value == AnyOf(("happy birthday",))
    assert ask("said:yes,no").groups[0][0].value == AnyOf(("yes", "no"))
    assert ask("action:Guitar").groups[0][0].value == AnyOf(("guitar",))
    assert ask("has:gps,Sound").groups[0][0].value == AnyOf(("place", "audio"))
    assert ask("type:moments,photo").groups[0][0].value == AnyOf(("video", "photo"))
    assert conditions("-said:war OR NOT action:singing") == [["-said:war", "-action:singing"]]


def test_instructions_about_the_answer() -> None:
    query = ask("cat sort:newest limit:7 similar:/a/b.jpg")
    assert (query.sort, query.limit, query.similar) == ("date", 7, ("/a/b.jpg",))
    assert ask("cat sort:-date").sort == "-date"
    assert ask('similar:"/my photos/b.jpg"').similar == ("/my photos/b.jpg",)


def test_a_date_in_free_text_is_a_preference() -> None:
    assert ask("beach june 2020").texts == (FreeText("beach", Span(date(2020, 6, 1), date(2020, 7, 1))),)
    assert ask("kites in 2021").texts == (FreeText("kites", Span(date(2021, 1, 1), date(2022, 1, 1))),)
    assert ask("march of the penguins").texts == (FreeText("march of the penguins"),)


def test_a_date_alone_is_a_filter() -> None:
    query = ask("last summer")
    assert query.texts == ()
    assert query.groups[0][0].value == Span(date(2025, 6, 1), date(2025, 9, 1))


def test_saved_searches_stand_for_their_terms() -> None:
    saved = {"pets": "tag:cat OR tag:dog", "mine": "@pets camera:canon", "loop": "@loop"}
    query = parse("@mine sofa", today=TODAY, saved=saved.get)
    assert [[one.typed for one in group] for group in query.groups] == [["tag:cat", "tag:dog"], ["camera:canon"]]
    assert query.texts == (FreeText("sofa"),)
    for text in ("@loop", "@nothing", "@pets OR cat", "-@pets", "NOT @pets"):
        with pytest.raises(QueryError):
            parse(text, today=TODAY, saved=saved.get)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cat tga:dog", ["tga:", "character 5", "tag:"]),
        ("afte:2021", ["afte:", "after:", "after:2019"]),
        ("folder:x", ["path:"]),
        ("xyzzyplugh:1", ["The filters are", "type:", '"xyzzyplugh:1"']),
        ("after:soon", ["soon", "character 1", "after:", "2021-06"]),
        ("rating:7", ["7", "rating:4+"]),
        ("limit:0", ["limit:", "1000"]),
        ("sort:size", ["size", "quality"]),
        ("type:film", ["film", "photo", "video", "audio"]),
        ("type:photo,film", ["photo,film", "type:video"]),
        ("said:", ["said:", "no value"]),
        ("cat said:...", ["...", "character 5", 'said:"happy birthday"']),
        ("action:", ["action:", 'action:"playing guitar"']),
        ("says:hello", ["said:", 'said:"happy birthday"']),
        ("transcript:hello", ["said:"]),
        ("length:5", ["duration:", "duration:90"]),
        ("duration:long", ["long", "duration:>30s"]),
        ("duration:5..1", ["5..1", "duration:1m..5m"]),
        ("duration:>", [">", "duration:<2m"]),
        ("duration:-5", ["-5", "duration:"]),
        ("duration:<5+", ["<5+", "duration:"]),
        ("has:faces", ["faces", "audio", "speech", "place", "has:speech"]),
        ("has:audio,text", ["audio,text"]),
        ("tag:", ["tag:", "no value"]),
        ("tag: cat", ["tag:", "no value"]),
        ("similar:", ["similar:", "no value"]),
        ('cat "black', ["character 5", "never closed"]),
        ('tag:"black', ["never closed"]),
        ("OR cat", ["OR", "character 1"]),
        ("cat OR", ["OR", "character 5"]),
        ("cat OR OR dog", ["OR"]),
        ("cat NOT", ["NOT"]),
        ("-sort:date", ["sort:"]),
        ("limit:3 OR limit:4", ["limit:"]),
        ("after:2021 before:2021", ["after:2021", "before:2021", "date:2021"]),
        ("", ["empty"]),
        ("  \t\n", ["empty"]),
        ('""', ["no word"]),
        ("...", ["no word"]),
        ("-!", ["no word"]),
    ],
)
def test_what_cannot_be_understood_says_where_and_what_works(text: str, says: list[str]) -> None:
    message = str(refused(text))
    for word in says:
        assert word in message


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "a OR " * 500 + "a",
        "tag:a " * 600,
        "a OR b tag:x " * 20,
        '"' * 101,
        "@" * 99,
        "-" * 999 + '"',
        "NOT " * 300,
        "\udce9 tag:\udce9",
        'NEAR("a" "b") * ^ + {x}: (',
        "\0",
        "cat\0dog",
        "' OR 1=1; --",
    ],
)
def test_hostile_text_is_understood_or_refused(text: str) -> None:
    try:
        query = ask(text)
    except QueryError:
        return
    for one in query.texts:
        one.words.encode("utf-8")


@given(st.text(max_size=60) | st.text(alphabet="ab :\"'-@ORNT20.,*", max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        ask(text)
    except QueryError as error:
        assert error.title
        assert error.remedy
