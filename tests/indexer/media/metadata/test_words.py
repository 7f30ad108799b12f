"""The words that are written in a photo, and those that only its camera wrote."""

import struct
import zlib

import pytest

from tests.indexer.media.metadata.blocks import (
    ascii_entry,
    described,
    exif_block,
    iptc_block,
    jpeg,
    listed,
    notes_of,
    png,
    xmp_packet,
)

UNICODE = b"UNICODE\x00"


@pytest.mark.parametrize(
    "written",
    [
        b"ASCII\x00\x00\x00the lighthouse keeper\x00",
        bytes(8) + b"the lighthouse keeper",
        b"the lighthouse keeper",
        UNICODE + "the lighthouse keeper".encode("utf-16-le"),
        UNICODE + "the lighthouse keeper".encode("utf-16-be"),
        b"JIS\x00\x00\x00\x00\x00" + "the lighthouse keeper".encode("iso2022_jp"),
    ],
)
def test_a_user_comment_in_each_encoding(written: bytes) -> None:
    info = described(jpeg(exif=exif_block(photo=[(0x9286, 7, len(written), written)])))
    assert notes_of(info) == {"comment": "the lighthouse keeper"}


def test_words_in_exif() -> None:
    image = [ascii_entry(0x013B, "Wilhelmina Example"), ascii_entry(0x010E, "Blåbærtur på fjellet", kind=129)]
    for tag, text in ((0x9C9D, "Otto Example"), (0x9C9F, "Jam")):
        data = f"{text}\x00".encode("utf-16-le")
        image.append((tag, 1, len(data), data))
    info = described(jpeg(exif=exif_block(image)))
    assert info.description == "Blåbærtur på fjellet"
    assert notes_of(info) == {"artist": "Wilhelmina Example", "subject": "Jam"}


def test_words_in_xmp() -> None:
    body = listed("dc:creator", "Ada", "Bert", kind="Seq") + (
        '<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:City>Bled</Iptc4xmpExt:City>'
        "</rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown>"
    )
    info = described(jpeg(xmp=xmp_packet(body, photoshop_Headline="Mayor opens viaduct", photoshop_Country="Slovenia")))
    assert notes_of(info) == {
        "headline": "Mayor opens viaduct", "artist": "Ada, Bert", "country": "Slovenia", "city": "Bled"
    }  # fmt: skip


def test_words_in_iptc_where_windows_wrote_them() -> None:
    caption = "Anna\N{RIGHT SINGLE QUOTATION MARK}s café \N{EN DASH} Liège, 5 €"
    block = iptc_block(
        (120, caption.encode("cp1252")), (90, b"Li\xe8ge"), (105, b"Tea"), (25, b"Kaf\xc3"), (25, b"tea")
    )
    info = described(jpeg(iptc=block))
    assert (info.description, notes_of(info)) == (caption, {"headline": "Tea", "city": "Liège"})
    assert info.keywords[1:] == ("tea",)


def test_a_field_that_was_full_in_the_middle_of_a_letter_is_still_utf_8() -> None:
    assert described(jpeg(iptc=iptc_block((120, "Übergröße".encode()[:-2])))).description == "Übergrö"


def test_comments_of_jpeg_and_gif() -> None:
    assert notes_of(described(jpeg(comment=b"regatta at Henley"))) == {"comment": "regatta at Henley"}
    gif = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    gif += b"!\xfe\x11regatta at Henley\x00"
    gif += b"!\xff\x0bXMP DataXMP" + xmp_packet(listed("dc:subject", "rowing")) + b"\x01" + bytes(range(255, -1, -1))
    gif += b"\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x80\x00\x00\x00\xff\xff\xff\x02\x02L\x01\x00;"
    info = described(gif)
    assert (notes_of(info), info.keywords) == ({"comment": "regatta at Henley"}, ("rowing",))


@pytest.mark.parametrize("late", [False, True])
def test_texts_of_png_before_the_pixels_and_behind_them(late: bool) -> None:  # noqa: FBT001 - a case, no interface
    packed = b"Author\x00\x00" + zlib.compress("Wilhelmina Exämple".encode("latin-1"))
    info = described(
        png(
            (b"tEXt", b"Title\x00Tea with Ottoline"),
            (b"iTXt", b"Description\x00\x00\x00\x00\x00" + "un samovar, première".encode()),
            (b"zTXt", packed),
            (b"tEXt", b"Creation Time\x00Wed, 04 Jul 2018 10:00:00 GMT"),
            (b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp_packet(xmp_Rating="4")),
            late=late,
        )
    )
    assert (info.title, info.description, info.rating) == ("Tea with Ottoline", "un samovar, première", 4)
    assert (notes_of(info), info.taken_at) == ({"artist": "Wilhelmina Exämple"}, "2018-07-04T10:00:00")


def raw_profile(kind: str, data: bytes) -> tuple[bytes, bytes]:
    digits = data.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"zTXt", f"Raw profile type {kind}\x00\x00".encode() + zlib.compress(
        f"\n{kind}\n{len(data)}\n{lines}\n".encode()
    )


def test_raw_profiles_of_png() -> None:
    exif = exif_block(photo=[ascii_entry(0x9003, "2022:03:04 05:06:07")])
    info = described(png(raw_profile("exif", exif), raw_profile("iptc", iptc_block((25, b"Kilimanjaro"))), late=True))
    assert (info.taken_at, info.keywords) == ("2022-03-04T05:06:07", ("Kilimanjaro",))
    xmp = b"http://ns.adobe.com/xap/1.0/\x00" + xmp_packet(xmp_Rating="2")
    assert described(png(raw_profile("APP1", xmp))).rating == 2


def test_a_png_text_that_unpacks_without_end_says_nothing() -> None:
    bomb = b"Title\x00\x00" + zlib.compress(bytes(9 << 20))
    assert described(png((b"zTXt", bomb), (b"tEXt", b"no keyword"), (b"tEXt", b"Author\x00Ada"))).title is None


CAMERA_WORDS = [
    "OLYMPUS DIGITAL CAMERA", "KONICA MINOLTA DIGITAL CAMERA", "SONY DSC", "DSC", "SAMSUNG CAMERA PICTURES", "oznor",
    "Exif_JPEG_PICTURE", "<Digimax S500 / Kenox S500>", "DCIM\\100GOPRO\\GOPR0482.JPG", "dav", "Acme D70", "D70", "---",
    "Adobe Premiere Pro 24.1", "Created with GIMP", "GoPro MAX", "unknown", "/DCIM/VID_1.mp4", "___",
]  # fmt: skip


@pytest.mark.parametrize("words", CAMERA_WORDS)
def test_what_a_camera_writes_into_every_photo_hides_no_caption(words: str) -> None:
    exif = exif_block([ascii_entry(0x010E, words), ascii_entry(0x010F, "Acme"), ascii_entry(0x0110, "D70")])
    written = xmp_packet(listed("dc:description", words.replace("<", "&lt;"), kind="Alt"))
    block = iptc_block((120, words.encode()))
    assert described(jpeg(exif=exif, xmp=written, iptc=block)).description is None
    caption = xmp_packet(listed("dc:description", "Picnic under the elm", kind="Alt"))
    assert described(jpeg(exif=exif, xmp=caption, iptc=block)).description == "Picnic under the elm"


@pytest.mark.parametrize(
    "words",
    [
        "Grandpa and his first digital camera, Oslo",
        "Our digital camera",
        "Apple",
        "Untitled by Rothko",
        "A picture",
        "Created with love by Ann",
        "Adobe houses in Taos",
        "Unknown woman, 1912",
    ],
)
def test_a_person_s_words_about_a_camera_are_a_caption(words: str) -> None:
    exif = exif_block([ascii_entry(0x010E, words), ascii_entry(0x010F, "Apple"), ascii_entry(0x0110, "iPhone 12")])
    assert described(jpeg(exif=exif)).description == words
