"""Coordinates in the spellings that are found."""

import math

import pytest

from indexer.media.metadata.coordinates import degrees_of, parse_degrees
from tests.indexer.media.metadata.blocks import described, exif_block, jpeg, rationals, xmp_packet


@pytest.mark.parametrize(
    ("written", "side", "degrees"),
    [
        ("51,30.5N", "", 51 + 30.5 / 60),
        ("51,30,30N", "", 51 + 30.5 / 60),
        ("51,30.500000000S", "", -(51 + 30.5 / 60)),
        ("60.731941666", "", 60.731941666),
        ("-12.5", "", -12.5),
        ("43.0764", "N", 43.0764),
        ("43.0764", "South", -43.0764),
        ("43.0764S", "", -43.0764),
        ("51 deg 30' 30.00\" N", "", 51 + 30.5 / 60),
        ("51\N{DEGREE SIGN} 30\N{PRIME} 30\N{DOUBLE PRIME} N", "", 51 + 30.5 / 60),
        ("48/1,30/1,0/0", "N", 48.5),
        ("+48.5", "", 48.5),
    ],
)
def test_latitudes(written: str, side: str, degrees: float) -> None:
    found = parse_degrees(written, side, sides="NS")
    assert found is not None
    assert math.isclose(found, degrees)


@pytest.mark.parametrize(
    "written", ["", "north", "51,75N", "1,2,3,4N", "51.5E", "51.5NS", "x51.5", "1e5", "nan", "0/0"]
)
def test_what_is_no_latitude(written: str) -> None:
    assert parse_degrees(written, "", sides="NS") is None


def test_unused_minutes_and_seconds_of_exif() -> None:
    assert degrees_of((48.0, 30.0, math.nan), "N") == 48.5
    assert degrees_of((48.5,), "n") == 48.5
    assert degrees_of((48.5, math.nan, math.nan), "South") == -48.5
    assert degrees_of((math.nan, 0.0, 0.0), "N") is None
    assert degrees_of((48.5, 0.0, 0.0), "") is None, "the hemisphere would be a guess"


def test_places_reach_the_photo_from_exif_and_from_xmp() -> None:
    gps = [
        (1, 2, 2, b"N\x00"), rationals(2, (48, 1), (30, 1), (0, 0)),
        (3, 2, 2, b"E\x00"), rationals(4, (11, 1), (15, 1), (0, 0)),
    ]  # fmt: skip
    info = described(jpeg(exif=exif_block(gps=gps)))
    assert (info.latitude, info.longitude) == (48.5, 11.25)
    spelled = {"exif_GPSLatitude": "60.731941666", "exif_GPSLongitude": "-135.066833", "exif_GPSAltitude": "7001/10"}
    info = described(jpeg(xmp=xmp_packet(**spelled)))
    assert (info.latitude, info.longitude, info.altitude) == (60.7319417, -135.066833, 700.1)
    sided = {"exif_GPSLatitude": "43.0", "exif_GPSLatitudeRef": "N", "exif_GPSLongitude": "79.0"}
    assert described(jpeg(xmp=xmp_packet(**sided, exif_GPSLongitudeRef="W"))).longitude == -79.0
