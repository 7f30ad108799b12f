"""When a recording was made, by the clocks of its place."""

import time

import pytest

from indexer.media.metadata.facts import Place
from indexer.media.metadata.file_name import named_moment
from indexer.media.metadata.local_time import in_local_time
from indexer.media.metadata.moments import choose
from indexer.media.metadata.quicktime import container_facts
from indexer.media.metadata.recording_dates import parse_date

NEW_YORK = Place(40.7128, -74.006)
UTC_NEW_YEAR = {"creation_time": "2022-01-01T02:30:00.000000Z"}


def taken(said: dict[str, str], name: str = "a.mp4", place: Place | None = None) -> tuple[str, int | None, str | None]:
    named = named_moment(name)
    moments = [*container_facts(said).moments, *([named] if named else [])]
    chosen = choose(in_local_time(moments, place, 6.0))
    assert chosen is not None
    return chosen.local, chosen.utc_offset_minutes, chosen.zone_source


def test_an_evening_stays_on_its_day_by_apple_s_own_key() -> None:
    said = UTC_NEW_YEAR | {"com.apple.quicktime.creationdate": "2021-12-31T21:30:00-0500"}
    assert taken(said) == ("2021-12-31T21:30:00", -300, None)


def test_by_the_zone_of_the_place_with_its_rules_of_that_day() -> None:
    assert taken(UTC_NEW_YEAR, place=NEW_YORK) == ("2021-12-31T21:30:00", -300, "the place")
    summer = {"creation_time": "2022-07-01T02:30:00Z"}
    assert taken(summer, place=NEW_YORK) == ("2022-06-30T22:30:00", -240, "the place")


def test_by_the_name_that_a_phone_gives_in_local_time() -> None:
    said = {"creation_time": "2019-07-04T19:30:06Z"}  # phones write the end there
    local, offset, source = taken(said, "VID_20190704_213000.mp4")
    assert (local[:16], offset, source) == ("2019-07-04T21:30", 120, "the file's name")


def test_a_camera_without_a_zone_means_its_own_clock() -> None:
    said = {"creation_time": "2019-07-04T21:30:00Z"}
    assert taken(said, "20190704_213000.mp4") == ("2019-07-04T21:30:00", None, None)
    assert taken(said | {"handler_name": "GoPro AVC"}, place=NEW_YORK) == ("2019-07-04T21:30:00", None, None)


def test_at_last_by_the_zone_of_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert taken(UTC_NEW_YEAR) == ("2022-01-01T11:30:00", 540, "this computer's time zone")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("tags", "known"),
    [
        ({"date": "2019-07-02"}, "2019-07-02"),
        ({"date": "1987"}, "1987"),
        ({"DATE_RECORDED": "2003-05"}, "2003-05"),
        ({"ICRD": "20030504"}, "2003-05-04"),
        ({"creation_time": "2020-01-01T00:00:00Z", "date": "1987-03"}, "1987-03"),
        ({"date": "2019-07-02", "creation_time": "21:30:00"}, "2019-07-02T21:30:00"),
    ],
)
def test_dates_of_containers_by_their_meaning(tags: dict[str, str], known: str) -> None:
    chosen = choose(container_facts(tags).moments)
    assert chosen is not None
    assert chosen.known == known


@pytest.mark.parametrize("text", ["", "yesterday", "0000", "1904-01-01T00:00:00Z", "99999999"])
def test_what_is_no_date(text: str) -> None:
    assert container_facts({"creation_time": text}).moments == ()
    assert text.startswith("1904") or parse_date(text, container_facts(UTC_NEW_YEAR).moments[0].meaning, "x") is None
