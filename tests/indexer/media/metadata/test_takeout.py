"""Google Takeout's JSON: its namings, and what it says."""

from pathlib import Path

import msgspec
import pytest

from indexer.media.metadata.companions import Companions
from indexer.media.metadata.sidecars import facts_beside
from indexer.media.metadata.takeout import takeout_facts
from tests.indexer.media.metadata.blocks import LIMITS, ascii_entry, described, exif_block, jpeg

LONG = "a photo with a really very long name that goes on.jpg"
SAID = {
    "title": "IMG_1.jpg",
    "description": "Sledging with Rosa",
    "photoTakenTime": {"timestamp": "1258375918", "formatted": "Nov 16, 2009"},
    "geoData": {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0},
    "geoDataExif": {"latitude": 47.5, "longitude": 11.1, "altitude": 700.0},
    "people": [{"name": "Rosa Example"}, {"name": "Ben"}],
}


@pytest.mark.parametrize(
    ("media", "names"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.JPG", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-meta.json"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json"),
        ("IMG_1.jpg", "IMG_1.jpg..json"),
        ("IMG_1(1).jpg", "IMG_1.jpg(1).json"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.suppl(2).json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1-bearbeitet.jpg", "IMG_1.jpg.json"),
        ("IMG_1-edited(1).jpg", "IMG_1.jpg(1).json"),
        ("IMG_1.MOV", "IMG_1.HEIC.json"),
        ("IMG_1.MP4", "IMG_1.HEIC.supplemental-metadata.json"),
        (LONG, f"{LONG[:46]}.json"),
        (LONG, f"{LONG[:51]}.json"),
    ],
)
def test_a_media_file_finds_its_json(media: str, names: str) -> None:
    folder = [media, names, "other.jpg", "other.jpg.json", "metadata.json", "IMG_1.jpg(7).json"]
    assert Companions(folder).of(media) == (names,)


def test_a_json_speaks_about_no_other_file() -> None:
    folder = Companions(["IMG_1.jpg.json", "IMG_2.jpg(1).json", "package.json"])
    for other in ("IMG_10.jpg", "IMG_2.jpg", "IMG_1(1).jpg", "holiday.jpg", "IMG_1.png", "package.png.jpg"):
        assert folder.of(other) == ()


def test_what_it_says_fills_in_what_the_photo_leaves_open(tmp_path: Path) -> None:
    path = tmp_path / "IMG_1.jpg"
    (tmp_path / "IMG_1.jpg.json").write_bytes(msgspec.json.encode(SAID))
    beside = facts_beside(str(path), [f"{path}.json"], LIMITS)
    info = described(jpeg(), beside)
    assert (info.taken_at, info.taken_source) == ("2009-11-16T13:51:58", "Google Takeout")
    assert (info.utc_offset_minutes, info.zone_source) == (60, "the place")
    assert (info.description, info.people) == ("Sledging with Rosa", ("Rosa Example", "Ben"))
    assert (info.latitude, info.longitude, info.altitude) == (47.5, 11.1, 700.0)
    own = described(jpeg(exif=exif_block(photo=[ascii_entry(0x9003, "2009:11:16 13:51:58")])), beside)
    assert (own.taken_at, own.taken_source) == ("2009-11-16T13:51:58", "EXIF DateTimeOriginal")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1, 2]", b'{"name": "reverie", "version": "1"}', b"\xff", b"[" * 100_000, b'{"photoTakenTime": 5}'],
)
def test_other_json_says_nothing(data: bytes) -> None:
    facts = takeout_facts(data)
    assert (facts.moments, facts.place, facts.description, facts.people) == ((), None, None, ())


@pytest.mark.parametrize("stamp", ["0", "", "x", "9" * 40, "-99999999999999"])
def test_an_impossible_time_is_unknown(stamp: str) -> None:
    assert takeout_facts(msgspec.json.encode({"photoTakenTime": {"timestamp": stamp}})).moments == ()
