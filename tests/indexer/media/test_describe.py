"""What a photo says about itself, through EXIF, XMP, IPTC and sidecars."""

import io
import struct
from datetime import date
from typing import Any

import piexif
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.metadata.sidecars import Beside
from indexer.media.metadata.xmp import xmp_facts
from indexer.media.photo import Limits, decode_photo
from indexer.records import Kind, MediaInfo

LIMITS = Limits(max_pixels=1_000_000, max_bytes=10_000_000)
PLAIN = Image.new("RGB", (64, 48), "green")
Tags = dict[int, Any]

EXIF_FORMATS = ["JPEG", "TIFF", "WEBP", "PNG", "HEIF", "AVIF"]
IMAGE: Tags = {
    piexif.ImageIFD.Make: "Canon",
    piexif.ImageIFD.Model: "Canon EOS 5D",
    piexif.ImageIFD.ImageDescription: "Above the roofs",
}
PHOTO: Tags = {
    piexif.ExifIFD.DateTimeOriginal: "2021:06:01 12:34:56",
    piexif.ExifIFD.OffsetTimeOriginal: "+02:00",
    piexif.ExifIFD.LensModel: "EF50mm f/1.8",
    piexif.ExifIFD.ExposureTime: (1, 200),
    piexif.ExifIFD.FNumber: (28, 10),
    piexif.ExifIFD.ISOSpeedRatings: 400,
    piexif.ExifIFD.FocalLength: (50, 1),
}
PLACE: Tags = {
    piexif.GPSIFD.GPSLatitudeRef: "S",
    piexif.GPSIFD.GPSLatitude: ((33, 1), (51, 1), (36, 1)),
    piexif.GPSIFD.GPSLongitudeRef: "E",
    piexif.GPSIFD.GPSLongitude: ((151, 1), (12, 1), (30, 1)),
}
ALTITUDE: Tags = {piexif.GPSIFD.GPSAltitudeRef: 1, piexif.GPSIFD.GPSAltitude: (125, 10)}


def exif(image: Tags | None = None, photo: Tags | None = None, gps: Tags | None = None) -> bytes:
    block: bytes = piexif.dump({"0th": image or {}, "Exif": photo or {}, "GPS": gps or {}})
    return block


def encode(name: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    PLAIN.save(buffer, name, **options)
    return buffer.getvalue()


def describe(data: bytes, sidecar: bytes | None = None) -> MediaInfo:
    return describe_photo(data, decode_photo(data, limits=LIMITS).shape, Beside(xmp_facts(sidecar or b"")))


def with_exif(image: Tags | None = None, photo: Tags | None = None, gps: Tags | None = None) -> MediaInfo:
    return describe(encode(exif=exif(image, photo, gps)))


@pytest.mark.parametrize("name", EXIF_FORMATS)
def test_every_exif_field_is_read_in_every_format(name: str) -> None:
    assert describe(encode(name, exif=exif(IMAGE, PHOTO, PLACE | ALTITUDE))) == MediaInfo(
        kind=Kind.PHOTO,
        format=name,
        width=64,
        height=48,
        taken_at="2021-06-01T12:34:56",
        taken_precision="second",
        taken_source="EXIF DateTimeOriginal",
        utc_offset_minutes=120,
        latitude=-33.86,
        longitude=151.2083333,
        altitude=-12.5,
        camera="Canon EOS 5D",
        lens="EF50mm f/1.8",
        exposure_seconds=0.005,
        f_number=2.8,
        iso=400,
        focal_length_mm=50.0,
        description="Above the roofs",
    )


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "GIF", "PPM", "JPEG2000"])
def test_a_photo_that_says_nothing_is_described_by_its_size(name: str) -> None:
    assert describe(encode(name)) == MediaInfo(kind=Kind.PHOTO, format=name, width=64, height=48)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530", "KODAK CX7530"),
        ("OLYMPUS IMAGING CORP.  ", "u790SW", "OLYMPUS u790SW"),
        ("samsung", "SM-G930F", "samsung SM-G930F"),
        ("Apple", "", "Apple"),
        ("", "Scanner\x00junk", "Scanner"),
    ],
)
def test_a_make_is_not_repeated(make: str, model: str, camera: str) -> None:
    assert with_exif({piexif.ImageIFD.Make: make, piexif.ImageIFD.Model: model}).camera == camera


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2021:06:01 12:34:56", "2021-06-01T12:34:56"),
        ("2021-06-01 12:34:56", "2021-06-01T12:34:56"),
        ("2021:06:01 12:34: 6", "2021-06-01T12:34:06"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2021:02:30 12:00:00", None),
        ("2021:06:01 24:08:19", "2021-06-01T00:08:19"),
        ("2021:06:01 25:00:00", "2021-06-01T00:00:00"),
        ("1825:12:31 00:00:00", None),
        (f"{date.today().year + 2}:01:01 00:00:00", None),
        ("9999:12:31 23:59:59", None),
        ("yesterday", None),
    ],
)
def test_impossible_moments_are_unknown(written: str, read: str | None) -> None:
    assert with_exif(photo={piexif.ExifIFD.DateTimeOriginal: written}).taken_at == read


def test_a_camera_that_only_dates_the_file_is_believed_an_editor_is_not() -> None:
    dated = {piexif.ImageIFD.DateTime: "2003:02:01 10:00:00"}
    assert with_exif(dated | {piexif.ImageIFD.Make: "Acme"}).taken_at == "2003-02-01T10:00:00"
    assert with_exif(dated | {piexif.ImageIFD.Software: "Editor"}).taken_at is None


def gps_clock(hour: int, minute: int, second: int, day: str = "2021:06:01") -> Tags:
    clock = ((hour, 1), (minute, 1), (second, 1))
    return {piexif.GPSIFD.GPSDateStamp: day, piexif.GPSIFD.GPSTimeStamp: clock}


@pytest.mark.parametrize(
    ("gps", "offset"),
    [
        (PLACE | gps_clock(2, 34, 53), 600),
        (PLACE | gps_clock(2, 30, 0), None),  # a stale fix
        (PLACE | gps_clock(12, 34, 56), None),  # local time where UTC belongs
        (PLACE | gps_clock(17, 34, 56), None),  # five hours west does not fit Sydney
        (gps_clock(2, 34, 56), None),  # nowhere to check it against
    ],
)
def test_gps_time_gives_the_zone_only_when_it_is_certain(gps: Tags, offset: int | None) -> None:
    info = with_exif(photo={piexif.ExifIFD.DateTimeOriginal: "2021:06:01 12:34:56"}, gps=gps)
    assert info.taken_at == "2021-06-01T12:34:56"
    assert info.utc_offset_minutes == offset


@pytest.mark.parametrize(("written", "minutes"), [("-03:30", -210), ("+00:00", 0), ("   :  ", None), ("+99:00", None)])
def test_zones_are_minutes_east(written: str, minutes: int | None) -> None:
    photo = {piexif.ExifIFD.DateTimeOriginal: "2021:06:01 12:34:56", piexif.ExifIFD.OffsetTimeOriginal: written}
    assert with_exif(photo=photo).utc_offset_minutes == minutes


@pytest.mark.parametrize(
    "wrong",
    [
        {piexif.GPSIFD.GPSLatitude: ((91, 1), (0, 1), (0, 1))},
        {piexif.GPSIFD.GPSLatitude: ((33, 0), (0, 0), (0, 0))},
        {piexif.GPSIFD.GPSLatitude: ((33, 1), (75, 1), (0, 1))},
        {piexif.GPSIFD.GPSLongitude: ((181, 1), (0, 1), (0, 1))},
        {piexif.GPSIFD.GPSLatitudeRef: "X"},
        {piexif.GPSIFD.GPSLatitudeRef: ""},
        {piexif.GPSIFD.GPSLatitude: ((0, 1),) * 3, piexif.GPSIFD.GPSLongitude: ((0, 1),) * 3},
    ],
)
def test_an_impossible_place_is_unknown(wrong: Tags) -> None:
    info = with_exif(gps=PLACE | wrong)
    assert (info.latitude, info.longitude) == (None, None)


def test_numbers_that_mean_nothing_are_unknown() -> None:
    photo = {
        piexif.ExifIFD.ExposureTime: (1, 0),
        piexif.ExifIFD.FNumber: (0, 0),
        piexif.ExifIFD.FocalLength: (0, 1),
        piexif.ExifIFD.ISOSpeedRatings: 0,
    }
    info = with_exif(photo=photo, gps={piexif.GPSIFD.GPSAltitude: (1, 0)})
    assert (info.exposure_seconds, info.f_number, info.focal_length_mm, info.iso, info.altitude) == (None,) * 5


def test_an_iso_too_large_for_its_tag_is_found_where_it_moved() -> None:
    photo = {piexif.ExifIFD.ISOSpeedRatings: 65535, piexif.ExifIFD.RecommendedExposureIndex: 102400}
    assert with_exif(photo=photo).iso == 102400


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_description_is_read_in_the_encodings_found_in_the_wild(encoding: str) -> None:
    assert with_exif({piexif.ImageIFD.ImageDescription: "Über den Dächern".encode(encoding)}).description == (
        "Über den Dächern"
    )


def test_what_cameras_write_into_every_photo_is_not_a_description() -> None:
    for words in ("OLYMPUS DIGITAL CAMERA", "SONY DSC", "Exif_JPEG_PICTURE", "  "):
        assert with_exif({piexif.ImageIFD.ImageDescription: words}).description is None


def test_windows_explorer_tags_are_read() -> None:
    image = {
        piexif.ImageIFD.XPTitle: tuple("Fest\0".encode("utf-16-le")),
        piexif.ImageIFD.XPComment: tuple("Im Garten\0".encode("utf-16-le")),
        piexif.ImageIFD.XPKeywords: tuple("Oma;Fest; oma\0".encode("utf-16-le")),
        piexif.ImageIFD.Rating: 4,
    }
    info = with_exif(image)
    assert (info.title, info.description, info.keywords, info.rating) == ("Fest", "Im Garten", ("Oma", "Fest"), 4)


# -- EXIF that piexif does not survive -------------------------------------------------------------------------------


def little_endian(*entries: tuple[int, int, int, bytes], tail: bytes = b"") -> bytes:
    rows = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in sorted(entries))
    return b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4) + tail


def test_a_type_that_piexif_does_not_know_costs_only_its_own_tag() -> None:
    block = little_endian((271, 2, 4, b"Oly\x00"), (272, 2, 3, b"E1\x00\x00"), (274, 99, 1, bytes(4)))
    with pytest.raises(ValueError, match="incorrect value"):
        piexif.load(block)
    assert describe(encode(exif=block)).camera == "Oly E1"


def test_a_text_without_its_end_keeps_its_last_letter() -> None:
    block = little_endian((271, 2, 4, b"Acme"), (272, 2, 2, b"X1\x00\x00"))
    assert describe(encode(exif=block)).camera == "Acme X1"


@pytest.mark.parametrize("kind", range(1, 13))
def test_a_count_of_billions_costs_nothing(kind: int) -> None:
    block = little_endian((272, kind, 2**32 - 16, b"\x08\x00\x00\x00"))
    assert describe(encode(exif=block)).camera is None


@pytest.mark.parametrize("length", [0, 3, 8, 12, 20, 60, 100])
def test_a_broken_block_never_costs_the_photo(length: int) -> None:
    block = exif(IMAGE, PHOTO, PLACE)[: 6 + length]
    for name in ("JPEG", "WEBP", "PNG"):
        assert describe(encode(name, exif=block)).width == 64


# -- XMP -------------------------------------------------------------------------------------------------------------

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:digiKam="http://www.digikam.org/ns/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
 xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
 xmp:Rating="5" exif:DateTimeOriginal="2019-08-07T06:05:04.25+05:30" exif:GPSLatitude="51,30.5N">
 <exif:GPSLongitude>0,7,30W</exif:GPSLongitude>
 <dc:title><rdf:Alt><rdf:li xml:lang="de">Der Hafen</rdf:li><rdf:li xml:lang="x-default">The harbour</rdf:li></rdf:Alt>
 </dc:title>
 <dc:description><rdf:Alt><rdf:li xml:lang="x-default">Boats &amp; gulls</rdf:li></rdf:Alt></dc:description>
 <dc:subject><rdf:Bag><rdf:li>boat</rdf:li><rdf:li>Möwe</rdf:li><rdf:li>Boat</rdf:li></rdf:Bag></dc:subject>
 <lr:hierarchicalSubject><rdf:Bag><rdf:li>Animals|Birds|Möwe</rdf:li></rdf:Bag></lr:hierarchicalSubject>
 <digiKam:TagsList><rdf:Seq><rdf:li>Places/Harbour</rdf:li></rdf:Seq></digiKam:TagsList>
 <Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ann Lee</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>
 <mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
  <rdf:li><rdf:Description mwg-rs:Name="Bob" mwg-rs:Type="Face"/></rdf:li>
  <rdf:li rdf:parseType="Resource"><mwg-rs:Name>Cleo</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>
  <rdf:li mwg-rs:Name="Rex" mwg-rs:Type="Pet"/>
 </rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
 <MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>
  <rdf:li MPReg:PersonDisplayName="Dora"/><rdf:li MPReg:PersonDisplayName="bob"/>
 </rdf:Bag></MPRI:Regions></MP:RegionInfo>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def assert_told_by_xmp(info: MediaInfo) -> None:
    assert (info.title, info.description, info.rating) == ("The harbour", "Boats & gulls", 5)
    assert info.keywords == ("boat", "Möwe", "Animals", "Birds", "Places", "Harbour", "Rex")
    assert info.people == ("Ann Lee", "Bob", "Cleo", "Dora")
    assert (info.taken_at, info.utc_offset_minutes) == ("2019-08-07T06:05:04", 330)
    assert (info.latitude, info.longitude) == (51.5083333, -0.125)


@pytest.mark.parametrize("name", ["JPEG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_embedded_xmp_is_read(name: str) -> None:
    options: dict[str, Any] = {"tiffinfo": {700: XMP}} if name == "TIFF" else {"xmp": XMP}
    assert_told_by_xmp(describe(encode(name, **options)))


@pytest.mark.parametrize("compressed", [False, True])
def test_xmp_in_png_is_read(compressed: bool) -> None:  # noqa: FBT001  (a parameter of the test, not of an interface)
    chunks = PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=compressed)
    assert_told_by_xmp(describe(encode("PNG", pnginfo=chunks)))


def test_a_sidecar_is_read_for_any_format_and_wins() -> None:
    assert_told_by_xmp(describe(encode("BMP"), XMP))
    data = encode(exif=exif(IMAGE, PHOTO, PLACE), xmp=XMP.replace(b"boat", b"ship").replace(b"Ann Lee", b"Eve"))
    info = describe(data, XMP)
    assert_told_by_xmp(info)
    assert (info.camera, info.lens, info.iso) == ("Canon EOS 5D", "EF50mm f/1.8", 400)


def test_exif_precedes_embedded_xmp_and_each_fills_the_other_up() -> None:
    info = describe(encode(exif=exif(IMAGE, PHOTO), xmp=XMP))
    assert (info.taken_at, info.description) == ("2021-06-01T12:34:56", "Above the roofs")
    assert (info.title, info.rating, info.latitude) == ("The harbour", 5, 51.5083333)


@pytest.mark.parametrize(
    ("day", "taken"), [("2019-08-07", "2019-08-07T00:00:00"), ("2021-06-01", "2021-06-01T12:34:56")]
)
def test_a_day_in_the_sidecar_corrects_the_date_and_takes_the_time_of_that_day(day: str, taken: str) -> None:
    sidecar = XMP.replace(b"2019-08-07T06:05:04.25+05:30", day.encode())
    assert describe(encode(), sidecar).taken_at == f"{day}T00:00:00"
    assert describe(encode(exif=exif(photo=PHOTO)), sidecar).taken_at == taken


@pytest.mark.parametrize(
    ("written", "stars"), [("-1", -1), ("0", 0), ("3.0", 3), ("6", None), ("nan", None), ("x", None)]
)
def test_ratings_are_stars(written: str, stars: int | None) -> None:
    sidecar = XMP.replace(b'xmp:Rating="5"', f'xmp:Rating="{written}"'.encode())
    assert describe(encode(), sidecar).rating == stars


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"not xml",
        b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 1000 + b'">]><x>&a;&a;</x>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b"<a>" * 100_000,
        b"\xff\xfe" + XMP,
        bytes(9 << 20),
        b"<x>" + b" " * (9 << 20) + b"</x>",
    ],
)
def test_hostile_xmp_says_nothing(hostile: bytes) -> None:
    assert describe(encode(), hostile) == MediaInfo(kind=Kind.PHOTO, format="JPEG", width=64, height=48)


def test_a_sidecar_in_utf_16_is_read() -> None:
    packet = XMP.decode().partition("?>\n")[2]
    assert_told_by_xmp(describe(encode(), packet.encode("utf-16")))


# -- IPTC ------------------------------------------------------------------------------------------------------------


def test_iptc_keywords_and_captions_are_read() -> None:
    fields = [(5, b"Regatta"), (25, b"Segel"), (25, "Förde".encode("latin-1")), (120, "Schöner Tag".encode())]
    block = b"".join(b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(value)) + value for number, value in fields)
    resource = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(block)) + block + bytes(len(block) % 2)
    segment = b"Photoshop 3.0\x00" + resource
    data = encode()
    data = data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    info = describe(data)
    assert (info.title, info.keywords, info.description) == ("Regatta", ("Segel", "Förde"), "Schöner Tag")
