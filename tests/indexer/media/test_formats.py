"""What the watcher lets in by name, and what the decoder believes by content."""

import pytest

from indexer.media.formats import is_photo, is_sidecar, name_unknown, sidecars_of, sniff


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPEG", "b.HeIc", "x.y.avif", "p.nef", "p.CR3", "q.jp2", "r.pgm", "ä\udcff.png"]
)
def test_names_of_photos_are_known_in_any_case(name: str) -> None:
    assert is_photo("/photos/" + name)


@pytest.mark.parametrize("name", ["a.mp4", "jpg", ".jpg", "a.jpg.part", "a.jpg.xmp", "folder.jpg/readme", "a.txt", ""])
def test_other_names_stay_out(name: str) -> None:
    assert not is_photo("/photos/" + name)


def test_sidecars_are_looked_for_under_both_namings_the_specific_one_first() -> None:
    assert sidecars_of("/p/a.b.jpg") == ("/p/a.b.jpg.xmp", "/p/a.b.jpg.XMP", "/p/a.b.xmp", "/p/a.b.XMP")
    assert all(is_sidecar(name) for name in sidecars_of("/p/a.jpg"))
    assert not is_sidecar("/p/a.jpg")


def test_content_that_only_resembles_a_photo_is_not_one() -> None:
    assert sniff(b"BMW is a maker of cars and motorcycles.") is None
    assert sniff(b"P3rl is not a portable pixmap") is None
    assert sniff(b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isomavif") is None
    assert sniff(b"RIFF\x00\x00\x00\x00WAVEfmt ") is None


def test_content_tells_avif_from_heif_whatever_the_first_brand_says() -> None:
    assert sniff(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif") == "AVIF"
    assert sniff(b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic") == "HEIF"
    assert sniff(b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom") == "RAW"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("Grüße, just a note\n".encode(), "text"),
        (b"%PDF-1.7\n\x00", "a PDF document"),
        (b"\x00\x00\x00\x18ftypisom", "a video or sound file"),
        (b"PK\x03\x04\x00", "an archive"),
        (bytes(600), "nothing but zeros, as in a copy that never finished"),
        (b"\x01\x02\x03\x04", "something else"),
    ],
)
def test_unknown_content_is_named_in_plain_words(data: bytes, said: str) -> None:
    assert name_unknown(data) == said
