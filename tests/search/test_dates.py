"""Dates as people write them. Today is Wednesday, 15 July 2026."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.dates import Span, parse_span

TODAY = date(2026, 7, 15)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2021", "2021-01-01", "2022-01-01"),
        ("2021-06", "2021-06-01", "2021-07-01"),
        ("2021/6", "2021-06-01", "2021-07-01"),
        ("2021-12", "2021-12-01", "2022-01-01"),
        ("2021-06-05", "2021-06-05", "2021-06-06"),
        ("20210605", "2021-06-05", "2021-06-06"),
        ("5.6.2021", "2021-06-05", "2021-06-06"),
        ("5 June 2021", "2021-06-05", "2021-06-06"),
        ("June 5th, 2021", "2021-06-05", "2021-06-06"),
        ("june 2020", "2020-06-01", "2020-07-01"),
        ("Sept 2020", "2020-09-01", "2020-10-01"),
        ("june", "2026-06-01", "2026-07-01"),
        ("december", "2025-12-01", "2026-01-01"),
        ("today", "2026-07-15", "2026-07-16"),
        ("yesterday", "2026-07-14", "2026-07-15"),
        ("3 days ago", "2026-07-12", "2026-07-13"),
        ("a week ago", "2026-07-08", "2026-07-09"),
        ("two months ago", "2026-05-15", "2026-05-16"),
        ("5 years ago", "2021-07-15", "2021-07-16"),
        ("last 7 days", "2026-07-08", "2026-07-16"),
        ("last week", "2026-07-06", "2026-07-13"),
        ("last weekend", "2026-07-11", "2026-07-13"),
        ("last month", "2026-06-01", "2026-07-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("this year", "2026-01-01", "2027-01-01"),
        ("last summer", "2025-06-01", "2025-09-01"),
        ("summer", "2026-06-01", "2026-09-01"),
        ("the summer of 2019", "2019-06-01", "2019-09-01"),
        ("last winter", "2025-12-01", "2026-03-01"),
        ("winter 2019", "2019-12-01", "2020-03-01"),
        ("last friday", "2026-07-10", "2026-07-11"),
        ("last wednesday", "2026-07-08", "2026-07-09"),
        ("christmas 2019", "2019-12-24", "2019-12-27"),
        ("last christmas", "2025-12-24", "2025-12-27"),
        ("easter 2024", "2024-03-29", "2024-04-02"),
        ("new year's eve 2020", "2020-12-31", "2021-01-01"),
        ("Valentine's Day", "2026-02-14", "2026-02-15"),
        ("the 1990s", "1990-01-01", "2000-01-01"),
        ("the nineties", "1990-01-01", "2000-01-01"),
        ("80s", "1980-01-01", "1990-01-01"),
        ("2019..2021", "2019-01-01", "2022-01-01"),
    ],
)
def test_a_date_means_what_people_mean(text: str, start: str, end: str) -> None:
    assert parse_span(text, TODAY) == Span(date.fromisoformat(start), date.fromisoformat(end))


@pytest.mark.parametrize(
    "text",
    # 06/05/2021 is a day in May or in June, depending on who writes it.
    ["", "..", "cat", "31 june 2020", "2021-13", "2021-02-30", "06/05/2021", "21", "9999999 years ago", "last"],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    assert parse_span(text, TODAY) is None


@pytest.mark.parametrize(
    "text", ["9999 years ago", "2021..2019", "this", "next summer", "0s", "ma", "\0", "5 maybe 2020"]
)
def test_what_cannot_be_is_refused(text: str) -> None:
    assert parse_span(text, TODAY) is None


def test_a_month_ago_from_a_long_month_stays_in_the_short_one() -> None:
    assert parse_span("1 month ago", date(2026, 3, 31)) == Span(date(2026, 2, 28), date(2026, 3, 1))


@given(st.text(max_size=40), st.dates())
def test_no_text_ever_raises(text: str, today: date) -> None:
    span = parse_span(text, today)
    assert span is None or span.start < span.end


@given(st.dates(min_value=date(1800, 1, 1), max_value=date(2199, 12, 30)))
def test_every_iso_day_is_itself(day: date) -> None:
    span = parse_span(day.isoformat(), TODAY)
    assert span is not None
    assert span.start == day
    assert (span.end - span.start).days == 1
