"""JPEG XL and Photoshop files: their picture, upright and in the right colours, and what they say of it."""

import base64
import importlib
import io
import struct
import sys
from typing import Any

import brotli
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from config.errors import DamagedFile, MediaError, TooLarge, UnsupportedFormat
from indexer.media.icc import icc_profile, named_colours
from indexer.media.jxl import jxl_blocks
from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.photo import Limits, decode_photo, shape_of
from tests.indexer.media.clips import corners_of, four_corners

pylibjxl: Any = importlib.import_module("pylibjxl")

LIMITS = Limits(max_pixels=1_000_000, max_bytes=50_000_000)
PICTURE = four_corners(120, 80)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>otter'
    b"</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def exif(**tags: Any) -> bytes:
    block = Image.Exif()
    block[0x010F] = "Canon"
    block[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    for tag, value in tags.items():
        block[int(tag[1:])] = value
    return block.tobytes()


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def resource(number: int, content: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HxxI", number, len(content)) + content + bytes(len(content) % 2)


def packed(row: bytes) -> bytes:
    """PackBits, without looking for runs."""
    return b"".join(bytes([len(row[at : at + 128]) - 1]) + row[at : at + 128] for at in range(0, len(row), 128))


def psd(
    planes: Any, *, mode: int, large: bool = False, rle: bool = False, layers: int = 0, resources: bytes = b""
) -> bytes:
    """A file as Photoshop writes it; `planes` are (channels, height, width) of 8 or 16 bits."""
    channels, height, width = planes.shape
    depth = planes.dtype.itemsize * 8
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 2 if large else 1, channels, height, width, depth, mode)
    length = ">Q" if large else ">I"
    info = struct.pack(">h", layers) + b"layers"
    section = struct.pack(length, len(info)) + info
    rows = [row.tobytes() for row in planes.astype(planes.dtype.newbyteorder(">")).reshape(-1, width)]
    if rle:
        rows = [packed(row) for row in rows]
        counts = struct.pack(f">{len(rows)}{'I' if large else 'H'}", *map(len, rows))
    else:
        counts = b""
    before = [
        header,
        bytes(4),
        struct.pack(">I", len(resources)),
        resources,
        struct.pack(length, len(section)),
        section,
    ]
    return b"".join([*before, struct.pack(">H", rle), counts, *rows])


def test_jpeg_xl_opens_bare_and_in_its_container() -> None:
    for options in ({}, {"exif": exif()}):
        photo = decode_photo(pylibjxl.encode(PICTURE, **options), limits=LIMITS)
        assert (photo.format, photo.width, photo.height) == ("JXL", 120, 80)
        assert np.abs(np.array(corners_of(photo.pixels)) - corners_of(PICTURE)).max() <= 12


@pytest.mark.parametrize(
    "file",
    [
        # cjxl 0.7, a field of 16 by 16 pixels in one colour, lossy
        pytest.param(
            "/wpDQEImNwIAEogCANwAXeUSAAAVKqOMG7yc6/nyQ4fFtI3rDG21bWFJosg4NkkncEgSayDuhsuBACAg5nWcxWYwNEUlCQ==",
            id="Display P3",
        ),
        pytest.param(
            "/wpDQEIeNwIAEogCANwAXeUSAAAVKqOMG7yc6/nyQ4fFtI3rDG21bWFJosg4NkkncEgSayDuJschACAg5nWcxU4wNEUlCQ==",
            id="BT.2020",
        ),
        pytest.param(
            "/wpDQEIePQIAEogCANwAXeUSAAAVKqOMG7yc6/nyQ4fFtI3rDG21bWFJosg4NkkncEgSayDuJschACAg5hUcw04wNEUlCQ==",
            id="PQ",
        ),
        pytest.param(
            "/wpDQEKegQgAEogCANwAXeUSAAAVKqOMG7yc6/nyQ4fFtI3rDG21bWFJosg4NkkncEgSKyDu5sIDAAiIeQCn2AyGpqgkAQ==",
            id="HLG",
        ),
        pytest.param(
            "/wpDQELRIgASiAIA3ABd5RIAABUqo4wbvJzr+fJDh8W0jesMbbVtYUmiyDg2SSdwSBJrIO4mxyEAICDmcZzFTjA0RSUJ",
            id="linear",
        ),
        pytest.param(
            "/wpDQIKQM6OiiJegHDQl75sQXiGkJQEfTDgIxIUAEogCANwAXeUSAAAVKqOMG7yc6/nyQ4fFtI3rDG21bWFJosg4NkkncEgSayDuhsuBACAg"
            "5nWcxWYwNEUlCQ==",
            id="points and white of its own",
        ),
        pytest.param(
            "/wpDQApvCQMS5gHIpeKDQdK8jonbXoPrUqNAAy8JE6E0F8G1nmUQfWE4ZaetVrsOo4elGtwNuBHkb+PSFR8ohnY9cWTZkg8L/GrXgwdBgNhj"
            "pXjIVA3CWQQ/KcEhfBBNAwISg3kqIKMIC3oQXza8NE348gwAEogCANwAXeUSAAAVKqOMG7yc6/nyQ4fFtI3rDG21bWFJosg4NkkncEgSayDu"
            "hsuBACAg5nWcxWYwNEUlCQ==",
            id="a profile, which the pixels left",
        ),
    ],
)
def test_jpeg_xl_is_shown_in_the_colours_that_it_names(file: str) -> None:
    codestream = base64.b64decode(file)
    boxed = (
        box(b"JXL ", b"\r\n\x87\n")
        + box(b"ftyp", b"jxl \0\0\0\0jxl ")
        + box(b"jxlp", bytes(4) + codestream[:9])
        + box(b"jxlp", b"\x80\0\0\1" + codestream[9:])
    )
    for data in (codestream, boxed):
        shown = decode_photo(data, limits=LIMITS).pixels[8, 8].astype(int)
        assert np.abs(shown - (200, 80, 60)).max() <= 5, shown


def test_a_profile_of_jpeg_xl_counts_where_the_pixels_keep_it() -> None:
    profile = icc_profile(named_colours(primaries=12, transfer=13))
    field = np.full((16, 16, 3), (186, 87, 65), np.uint8)
    shown = decode_photo(pylibjxl.encode(field, lossless=True, icc=profile), limits=LIMITS).pixels[8, 8].astype(int)
    assert np.abs(shown - (200, 80, 60)).max() <= 3, shown


def test_what_is_written_in_jpeg_xl_is_read_plain_and_packed() -> None:
    plain = pylibjxl.encode(PICTURE, exif=exif(), xmp=XMP)
    bare = pylibjxl.encode(PICTURE)
    boxes = b"".join(
        box(b"brob", name + brotli.compress(content))
        for name, content in ((b"Exif", bytes(4) + exif()), (b"xml ", XMP))
    )
    squeezed = plain[:32] + boxes + box(b"jxlc", bare)
    for data in (plain, squeezed):
        info = describe_photo(data, shape_of(data))
        assert (info.width, info.height) == (120, 80)
    assert (info.camera, info.taken_at, info.keywords) == ("Canon", "2020-01-02T03:04:05", ("otter",))


def test_a_jpeg_that_became_jpeg_xl_is_turned_once() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).rotate(90, expand=True).save(buffer, "JPEG", quality=95, exif=exif(_274=6))
    photo = decode_photo(pylibjxl.jpeg_to_jxl(buffer.getvalue()), limits=LIMITS)
    assert (photo.width, photo.height) == (120, 80)
    assert np.abs(np.array(corners_of(photo.pixels)) - corners_of(PICTURE)).max() <= 12


def test_a_jpeg_xl_file_of_too_many_pixels_is_not_decoded() -> None:
    data = pylibjxl.encode(np.zeros((1001, 1000), np.uint8), effort=1)
    with pytest.raises(TooLarge, match="pixels"):
        decode_photo(data, limits=LIMITS)


def test_packed_metadata_without_end_costs_no_more_than_its_limit() -> None:
    bomb = brotli.compress(bytes(16 << 20), quality=1)
    data = pylibjxl.encode(PICTURE, exif=exif())[:32] + box(b"brob", b"xml " + bomb)
    assert jxl_blocks(data) == (None, b"")


def test_without_its_reader_a_jpeg_xl_file_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pylibjxl.encode(PICTURE)
    monkeypatch.setitem(sys.modules, "pylibjxl", None)
    with pytest.raises(UnsupportedFormat) as refused:
        decode_photo(data, limits=LIMITS)
    assert "pip install pylibjxl" in refused.value.remedy


def test_half_a_jpeg_xl_file_is_damaged() -> None:
    data = pylibjxl.encode(PICTURE)
    with pytest.raises(DamagedFile):
        decode_photo(data[: len(data) // 2], limits=LIMITS)
    whole = pylibjxl.encode(PICTURE, exif=exif())
    with pytest.raises(DamagedFile):
        decode_photo(whole[:200] + bytes(len(whole) - 200 + 8192), limits=LIMITS)


RGB = PICTURE.transpose(2, 0, 1)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("planes", "mode", "layers"),
    [
        (RGB, 3, 2),
        (np.concatenate([RGB, np.zeros_like(RGB[:1])]), 3, 2),  # a saved selection, not transparency
        (np.concatenate([RGB, np.full_like(RGB[:1], 255)]), 3, -2),
        (np.concatenate([RGB, np.full_like(RGB[:1], 255)]), 4, 1),  # CMYK, as its negative, without black
    ],
)
def test_the_flattened_picture_of_a_photoshop_file_is_shown(
    planes: Any, mode: int, layers: int, *, deep: bool, rle: bool, large: bool
) -> None:
    stored = planes.astype(np.uint16) * 257 if deep else planes
    photo = decode_photo(psd(stored, mode=mode, large=large, rle=rle, layers=layers), limits=LIMITS)
    assert (photo.format, photo.width, photo.height) == ("PSD", 120, 80)
    assert corners_of(photo.pixels) == corners_of(PICTURE)


def test_transparent_parts_of_a_photoshop_file_are_white() -> None:
    data = psd(np.concatenate([RGB, np.zeros_like(RGB[:1])]), mode=3, layers=-1)
    assert (decode_photo(data, limits=LIMITS).pixels == 255).all()


def test_what_is_written_in_a_photoshop_file_is_read() -> None:
    data = psd(RGB, mode=3, resources=resource(1005, b"odd") + resource(1058, exif()[6:]) + resource(1060, XMP))
    info = describe_photo(data, shape_of(data))
    assert (info.width, info.height) == (120, 80)
    assert (info.camera, info.taken_at, info.keywords) == ("Canon", "2020-01-02T03:04:05", ("otter",))


def test_a_photoshop_file_that_claims_to_be_huge_is_not_decoded() -> None:
    data = bytearray(psd(RGB, mode=3, rle=True))
    data[14:22] = struct.pack(">II", 30_000, 30_000)
    with pytest.raises(TooLarge):
        decode_photo(bytes(data), limits=LIMITS)


WHOLE = (psd(RGB, mode=3, rle=True), psd(RGB, mode=3, large=True), pylibjxl.encode(PICTURE, exif=exif(), xmp=XMP))


@given(st.sampled_from(WHOLE), st.integers(0, 400), st.binary(min_size=1, max_size=8), st.integers(0, 30_000))
@settings(max_examples=60, deadline=None)
def test_damage_anywhere_ends_in_plain_words(data: bytes, at: int, junk: bytes, length: int) -> None:
    broken = (data[:at] + junk + data[at + len(junk) :])[: max(length, 30)]
    try:
        describe_photo(broken, decode_photo(broken, limits=LIMITS).shape)
    except MediaError as error:
        assert error.title
