"""What the watcher lets in by name, and what the decoder believes by content."""

import pytest

from indexer.media.formats import is_media, is_photo, kind_of, name_unknown, sniff
from indexer.records import Kind


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPEG", "b.HeIc", "x.y.avif", "p.nef", "p.CR3", "q.jp2", "r.pgm", "ä\udcff.png"]
)
def test_names_of_photos_are_known_in_any_case(name: str) -> None:
    assert is_photo("/photos/" + name)


@pytest.mark.parametrize("name", ["a.mp4", "jpg", ".jpg", "a.jpg.part", "a.jpg.xmp", "folder.jpg/readme", "a.txt", ""])
def test_other_names_stay_out(name: str) -> None:
    assert not is_photo("/photos/" + name)


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


@pytest.mark.parametrize(
    "name", ["a.MP4", "IMG_1.MOV", "x.mkv", "00001.MTS", "memo.m4a", "song.FLAC", "a.opus", "b.jpg"]
)
def test_videos_and_sounds_are_let_in_as_photos_are(name: str) -> None:
    assert is_media("/films/" + name)


@pytest.mark.parametrize(
    "name", ["a.m3u8", "list.pls", "manifest.mpd", "index.ts", "go.mod", "a.srt", "mp4", "a.mp4.part"]
)
def test_playlists_program_text_and_half_copies_stay_out(name: str) -> None:
    assert not is_media("/films/" + name)


def iso(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00isommp42"


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.mp4", iso(b"isom"), Kind.VIDEO),
        ("a.mov", iso(b"qt  "), Kind.VIDEO),
        ("a.mov", b"\x00\x00\x00\x08wide\x00\x00", Kind.VIDEO),
        ("a.heic", iso(b"heic"), Kind.PHOTO),
        ("memo.m4a", iso(b"isom"), Kind.AUDIO),
        ("memo", iso(b"M4A "), Kind.AUDIO),
        ("really_a_film.jpg", iso(b"isom"), Kind.VIDEO),
        ("really_a_photo.mp4", b"\xff\xd8\xff\xe0\x00\x10JFIF", Kind.PHOTO),
        ("really_a_song.mp4", b"ID3\x04\x00", Kind.AUDIO),
        ("a.wav", b"RIFF\x00\x00\x00\x00WAVEfmt ", Kind.AUDIO),
        ("a.avi", b"RIFF\x00\x00\x00\x00AVI LIST", Kind.VIDEO),
        ("a.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", Kind.PHOTO),
        ("a.aiff", b"FORM\x00\x00\x00\x00AIFFCOMM", Kind.AUDIO),
        ("a.ogg", b"OggS\x00\x02" + bytes(22) + b"\x01vorbis", Kind.AUDIO),
        ("a.ogg", b"OggS\x00\x02" + bytes(22) + b"\x80theora", Kind.VIDEO),
        ("a.mkv", b"\x1aE\xdf\xa3", Kind.VIDEO),
        ("a.mka", b"\x1aE\xdf\xa3", Kind.AUDIO),
        ("a.mp3", b"\xff\xfb\x90\x00", Kind.AUDIO),
        ("strange.xyz", b"\xff\xfb\x90\x00", Kind.AUDIO),
        ("strange.xyz", iso(b"isom"), Kind.VIDEO),
        ("tv.ts", (b"G\x40\x00\x10" + bytes(184)) * 6, Kind.VIDEO),
        ("tv.rec", bytes(50) + (b"G\x40\x00\x10" + bytes(200)) * 6, Kind.VIDEO),
        ("a.insp", b"\xff\xd8\xff\xe1\x00\x10Exif", Kind.PHOTO),
        ("a.mts", bytes(4) + b"G\x40\x00", Kind.VIDEO),
        ("playlist.mp4", b"#EXTM3U\nfile:///etc/passwd", Kind.VIDEO),
        ("text.jpg", b"Dear diary", Kind.PHOTO),
        ("raw.nef", b"II*\x00\x08\x00\x00\x00", Kind.PHOTO),
        ("empty.mp4", b"", Kind.VIDEO),
    ],
)
def test_the_kind_is_what_the_content_says_and_else_the_name(name: str, head: bytes, kind: Kind) -> None:
    assert kind_of("/media/" + name, head) == kind
