"""Opening photos: every format, upright, in the right colours; and every broken file in plain words."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from config.errors import DamagedFile, EmptyFile, MediaError, TooLarge, UnsupportedFormat
from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.metadata.sidecars import Beside
from indexer.media.metadata.xmp import xmp_facts
from indexer.media.photo import MIN_SHORT_SIDE, Limits, Photo, decode_photo

LIMITS = Limits(max_pixels=20_000_000, max_bytes=50_000_000)
CORNERS = [(220, 30, 40), (40, 200, 60), (30, 60, 210), (230, 220, 50)]
"""Colours of the upright picture: top left, top right, bottom left, bottom right."""


def picture(width: int = 120, height: int = 80) -> Image.Image:
    image = Image.new("RGB", (width, height))
    boxes = [(0, 0), (width // 2, 0), (0, height // 2), (width // 2, height // 2)]
    for colour, (left, top) in zip(CORNERS, boxes, strict=True):
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def encode(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def corners(pixels: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    height, width = pixels.shape[:2]
    return [tuple(map(int, pixels[y, x])) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


def assert_close(found: Sequence[tuple[int, ...]], expected: Sequence[tuple[int, ...]], tolerance: int = 6) -> None:
    assert np.abs(np.array(found) - np.array(expected)).max() <= tolerance, (found, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 95}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG2000", {}),
        ("PPM", {}),
        ("HEIF", {"quality": 95}),
        ("AVIF", {"quality": 95}),
    ],
)
def test_every_format_opens_with_its_size_and_colours(name: str, options: dict[str, Any]) -> None:
    photo = decode_photo(encode(picture(), name, **options), limits=LIMITS)
    assert (photo.format, photo.width, photo.height) == (name, 120, 80)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == (80, 120, 3)
    assert photo.pixels.flags.writeable
    assert_close(corners(photo.pixels), CORNERS)


ORIENT = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How to lay an upright picture so that an orientation turns it back."""


@pytest.mark.parametrize("orientation", ORIENT)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_every_orientation_is_applied_exactly_once(name: str, orientation: int) -> None:
    transpose = ORIENT[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture() if transpose is None else picture().transpose(transpose)
    photo = decode_photo(encode(stored, name, exif=exif.tobytes(), quality=95), limits=LIMITS)
    assert (photo.width, photo.height) == (120, 80)
    assert photo.pixels.shape == (80, 120, 3)
    assert_close(corners(photo.pixels), CORNERS)


def test_the_exif_orientation_of_heif_is_only_a_note() -> None:
    """Its rotation is a property of the container (ISO/IEC 23008-12, 6.5.10); without one it is not rotated."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = decode_photo(encode(picture(), "HEIF", exif=exif, quality=95), limits=LIMITS)
    assert_close(corners(photo.pixels), CORNERS)


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("JPEG", (4000, 3000), (375, 500, 3)),
        ("JPEG", (3000, 4000), (500, 375, 3)),
        ("JPEG", (719, 800), (800, 719, 3)),
        ("PNG", (1500, 1000), (500, 750, 3)),
        ("WEBP", (400, 2000), (2000, 400, 3)),
        ("GIF", (1080, 1080), (360, 360, 3)),
        ("TIFF", (2000, 360), (360, 2000, 3)),
    ],
)
def test_large_photos_shrink_but_keep_enough(name: str, size: tuple[int, int], shape: tuple[int, ...]) -> None:
    photo = decode_photo(encode(picture(*size), name), limits=LIMITS)
    assert (photo.width, photo.height) == size
    assert photo.pixels.shape == shape
    assert min(shape[:2]) >= MIN_SHORT_SIDE
    assert_close(corners(photo.pixels), CORNERS)


def test_the_content_decides_never_the_name_or_the_claim() -> None:
    with pytest.raises(UnsupportedFormat, match="the content is text"):
        decode_photo(b"Dear diary,\nthis was called photo.jpg.\n", limits=LIMITS)
    with pytest.raises(UnsupportedFormat, match="video"):
        decode_photo(b"\x00\x00\x00\x18ftypmp42" + bytes(100), limits=LIMITS)
    with pytest.raises(EmptyFile):
        decode_photo(b"", limits=LIMITS)


# -- colours ---------------------------------------------------------------------------------------------------------


def test_cmyk_comes_out_as_rgb() -> None:
    for name in ("JPEG", "TIFF"):
        photo = decode_photo(encode(picture().convert("CMYK"), name), limits=LIMITS)
        assert_close(corners(photo.pixels), CORNERS, 8)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_keeps_its_brightness(name: str) -> None:
    levels = np.repeat(np.linspace(0, 65535, 100).astype(np.uint16)[np.newaxis], 50, axis=0)
    photo = decode_photo(encode(Image.fromarray(levels), name), limits=LIMITS)
    assert np.abs(photo.pixels[25, :, 1].astype(int) - np.linspace(0, 255, 100)).max() <= 1
    assert (photo.pixels[..., 0] == photo.pixels[..., 2]).all()


@pytest.mark.parametrize("white", [1.0, 255.0, 1e6])
def test_float_grey_is_scaled_to_what_it_holds(white: float) -> None:
    levels = np.repeat(np.linspace(0, white, 100, dtype=np.float32)[np.newaxis], 50, axis=0)
    levels[0, 0] = np.nan
    photo = decode_photo(encode(Image.fromarray(levels), "TIFF"), limits=LIMITS)
    assert np.abs(photo.pixels[25, :, 1].astype(int) - np.linspace(0, 255, 100)).max() <= 1


def test_transparency_lies_over_white() -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((120, 80)).point(lambda level: 0 if level < 128 else 255))
    for name in ("PNG", "WEBP", "TIFF", "HEIF", "AVIF"):
        options = {"quality": 95} if name in ("HEIF", "AVIF") else {"lossless": True} if name == "WEBP" else {}
        photo = decode_photo(encode(image, name, **options), limits=LIMITS)
        assert_close(corners(photo.pixels), [(255, 255, 255)] * 2 + CORNERS[2:])


def test_half_transparency_is_half_white_even_after_shrinking() -> None:
    image = Image.new("RGBA", (1600, 1600), (200, 0, 0, 128))
    photo = decode_photo(encode(image, "PNG"), limits=LIMITS)
    assert photo.pixels.shape == (400, 400, 3)
    assert_close([tuple(map(int, photo.pixels[200, 200]))], [(227, 127, 127)], 2)


def test_palettes_with_and_without_a_transparent_colour() -> None:
    image = picture().quantize(8)
    assert_close(corners(decode_photo(encode(image, "PNG"), limits=LIMITS).pixels), CORNERS)
    top_left = image.getpixel((5, 5))
    for name in ("PNG", "GIF"):
        photo = decode_photo(encode(image, name, transparency=top_left), limits=LIMITS)
        assert_close(corners(photo.pixels), [(255, 255, 255), *CORNERS[1:]])


def test_grey_one_bit_and_grey_with_alpha() -> None:
    grey = picture().convert("L")
    expected = [(int(level),) * 3 for level in (grey.getpixel(at) for at in [(30, 20), (90, 20), (30, 60), (90, 60)])]  # type: ignore[arg-type]  # one band, one number
    for image in (grey, grey.convert("LA")):
        assert_close(corners(decode_photo(encode(image, "PNG"), limits=LIMITS).pixels), expected)
    black_and_white = grey.point(lambda level: 255 if level > 128 else 0).convert("1")
    pixels = decode_photo(encode(black_and_white, "PNG"), limits=LIMITS).pixels
    assert set(np.unique(pixels)) == {0, 255}


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_shows_its_first_frame(name: str) -> None:
    frames = [Image.new("RGB", (120, 80), colour) for colour in ("black", "white")]
    data = encode(picture(), name, save_all=True, append_images=frames)
    assert_close(corners(decode_photo(data, limits=LIMITS).pixels), CORNERS, 10)


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue primaries are exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    at = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    for tag in (b"rXYZ", b"bXYZ"):
        profile[at[tag] : at[tag] + 4] = b"bXYZ" if tag == b"rXYZ" else b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_a_colour_profile_is_applied(name: str) -> None:
    red, green, blue = picture().split()
    data = encode(Image.merge("RGB", (blue, green, red)), name, icc_profile=swapped_profile(), quality=95)
    assert_close(corners(decode_photo(data, limits=LIMITS).pixels), CORNERS, 8)


def test_profiles_that_are_srgb_broken_or_of_another_kind_change_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    broken = srgb[:40] + bytes(60)
    another = srgb[:16] + b"CMYK" + srgb[20:]
    plain = decode_photo(encode(picture(), "PNG"), limits=LIMITS).pixels
    for profile in (srgb, broken, another, b"nonsense"):
        photo = decode_photo(encode(picture(), "PNG", icc_profile=profile), limits=LIMITS)
        assert (photo.pixels == plain).all()


def test_a_profile_and_transparency_work_together() -> None:
    red, green, blue = picture().split()
    image = Image.merge("RGBA", (blue, green, red, Image.new("L", (120, 80), 255)))
    photo = decode_photo(encode(image, "PNG", icc_profile=swapped_profile()), limits=LIMITS)
    assert_close(corners(photo.pixels), CORNERS, 8)


def test_lab_comes_out_as_rgb() -> None:
    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    image = ImageCms.applyTransform(picture(), to_lab)
    assert image is not None
    assert_close(corners(decode_photo(encode(image, "TIFF"), limits=LIMITS).pixels), CORNERS, 8)


# -- broken and hostile files ----------------------------------------------------------------------------------------


def detailed() -> Image.Image:
    noise = np.random.default_rng(5).integers(0, 255, (12, 12, 3), np.uint8)
    return Image.fromarray(noise).resize((240, 200), Image.Resampling.BICUBIC)


WHOLE: dict[str, bytes] = {
    "JPEG": encode(detailed(), "JPEG", quality=95),
    "progressive JPEG": encode(detailed(), "JPEG", quality=95, progressive=True),
    "PNG": encode(detailed(), "PNG"),
    "WEBP": encode(detailed(), "WEBP", quality=98),
    "lossless WEBP": encode(detailed(), "WEBP", lossless=True),
    "GIF": encode(detailed(), "GIF"),
    "BMP": encode(detailed(), "BMP"),
    "TIFF": encode(detailed(), "TIFF"),
    "LZW TIFF": encode(detailed(), "TIFF", compression="tiff_lzw"),
    "JPEG2000": encode(detailed(), "JPEG2000"),
    "PPM": encode(detailed(), "PPM"),
    "HEIF": encode(detailed(), "HEIF", quality=98),
    "AVIF": encode(detailed(), "AVIF", quality=98),
}
PIXELS = {name: decode_photo(data, limits=LIMITS).pixels.astype(int) for name, data in WHOLE.items()}


def assert_refused_or_whole(name: str, data: bytes) -> None:
    try:
        photo = decode_photo(data, limits=LIMITS)
    except MediaError as error:
        assert error.title.endswith(".")
        assert error.remedy.endswith(".")
        return
    assert photo.pixels.shape == PIXELS[name].shape
    assert np.abs(photo.pixels - PIXELS[name]).mean() < 0.5, (
        f"{len(data)} of {len(WHOLE[name])} bytes gave half a picture"
    )


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_or_whole(name: str, share: float) -> None:
    assert_refused_or_whole(name, WHOLE[name][: int(share * len(WHOLE[name]))])


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_near_its_beginning_or_end_is_refused_or_whole(name: str) -> None:
    data = WHOLE[name]
    for length in (*range(40), *range(len(data) - 16, len(data))):
        assert_refused_or_whole(name, data[:length])


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("BMP", "TIFF", "PPM")])
@settings(max_examples=20, deadline=None, derandomize=True)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_copy_whose_end_is_still_zeros_is_refused(name: str, share: float) -> None:
    data = WHOLE[name]
    kept = int(share * (len(data) - 4200))
    assert_refused_or_whole(name, data[:kept] + bytes(len(data) - kept))


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "GIF"])
def test_zeros_after_the_end_are_padding(name: str) -> None:
    photo = decode_photo(WHOLE[name] + bytes(10_000), limits=LIMITS)
    assert (photo.pixels == PIXELS[name]).all()


@pytest.mark.parametrize("name", WHOLE)
def test_flipped_bits_and_random_bodies_raise_only_our_errors(name: str) -> None:
    rng = random.Random(name)
    data = WHOLE[name]
    for attempt in range(60):
        if attempt % 3:
            damaged = bytearray(data)
            for _ in range(rng.choice([1, 5, 50])):
                damaged[rng.randrange(rng.choice([64, 400, len(data)]))] = rng.randrange(256)
        else:
            damaged = bytearray(data[: rng.choice([12, 40, 200])] + rng.randbytes(3000))
        photo = Photo(np.zeros((1, 1, 3), np.uint8), name.rpartition(" ")[2], 1, 1)
        try:
            photo = decode_photo(bytes(damaged), limits=LIMITS)
        except MediaError as error:
            assert error.title
        describe_photo(bytes(damaged), photo.shape, Beside(xmp_facts(bytes(damaged))))


def png_of(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = (header, *chunks, (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in body]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff_of(width: int, height: int, rows: int, count: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 5), (262, 1), (273, 8), (277, 1), (278, rows), (279, count)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    "bomb",
    [
        png_of(2**31 - 1, 2**31 - 1),
        png_of(10_000, 10_000),
        b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02\x4c\x01\x00;",
        b"GIF89a\x0a\x00\x0a\x00\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02\x4c\x01\x00;",
        tiff_of(2**31, 2**31, 1, 1),
        b"P6 99999999 99999999 255\n",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**31 - 1, 1 - 2**31, 1, 24, 0, 0, 0, 0, 0, 0),
        encode(Image.new("L", (5000, 5000)), "JPEG"),
    ],
)
def test_decompression_bombs_are_refused_by_their_header(bomb: bytes) -> None:
    with pytest.raises(TooLarge, match=r"pixels; the limit is 20,000,000"):
        decode_photo(bomb, limits=LIMITS)


@pytest.mark.parametrize(
    "bomb",
    [
        png_of(10, 10, (b"iCCP", b"x\x00\x00" + zlib.compress(bytes(50_000_000)))),
        png_of(10, 10, (b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(bytes(50_000_000)))),
        tiff_of(3000, 3000, 3000, 2**32 - 1),
        b"P5 4000 4000 65535\n",
    ],
)
def test_bombs_behind_the_header_are_damage(bomb: bytes) -> None:
    with pytest.raises(DamagedFile):
        decode_photo(bomb, limits=LIMITS)


def test_the_byte_limit_holds_for_bytes_too() -> None:
    with pytest.raises(TooLarge, match="bytes"):
        decode_photo(WHOLE["PNG"], limits=Limits(max_pixels=10**9, max_bytes=100))


@pytest.mark.parametrize("make", [lambda: bytes(100_000), lambda: random.Random(1).randbytes(100_000)])
def test_zeros_and_noise_are_not_photos(make: Callable[[], bytes]) -> None:
    with pytest.raises(UnsupportedFormat):
        decode_photo(make(), limits=LIMITS)
