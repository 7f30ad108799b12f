"""Photos for high dynamic range look as they were meant to; deep grey is neither black nor washed out."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from indexer.media.photo import Limits, decode_photo

LIMITS = Limits(max_pixels=20_000_000, max_bytes=50_000_000)
PQ, HLG, SRGB = 16, 18, 13
BT709, BT2020, P3 = 1, 9, 12
COLOURS = np.array([[(200, 40, 50), (80, 170, 90)], [(40, 70, 190), (128, 128, 128)]], np.uint8)
FROM_709 = {
    BT709: np.eye(3),
    BT2020: np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]),
    P3: np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]]),
}


def scene() -> NDArray[np.uint8]:
    """Four fields of colour."""
    return np.repeat(np.repeat(COLOURS, 32, axis=0), 32, axis=1)


def linear(primaries: int) -> NDArray[np.float64]:
    """The light of the scene, 0 to 1."""
    signal = scene() / 255
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return np.asarray(light @ FROM_709[primaries].T)


def wide(primaries: int) -> Image.Image:
    """The scene in other primaries, with the curve of sRGB."""
    light = linear(primaries)
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.round(signal * 255).astype(np.uint8))


def coded(transfer: int, primaries: int = BT2020) -> Image.Image:
    """The scene as an HDR camera codes it: white paper at 203 nits."""
    nits = linear(primaries) * 203
    if transfer == PQ:
        power = (nits / 10_000) ** 0.1593017578125
        code = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        luma = (nits / 1000) @ np.array([0.2627, 0.6780, 0.0593])
        light = nits / 1000 * np.maximum(luma, 1e-6)[..., None] ** (1 / 1.2 - 1)
        logarithm = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073
        code = np.where(light <= 1 / 12, np.sqrt(3 * light), logarithm)
    return Image.fromarray(np.round(code * 255).astype(np.uint8))


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def heif(image: Image.Image, transfer: int, primaries: int) -> bytes:
    return saved(
        image,
        "HEIF",
        quality=95,
        chroma=444,
        save_nclx_profile=True,
        color_primaries=primaries,
        transfer_characteristics=transfer,
        matrix_coefficients=BT2020,
        full_range_flag=1,
    )


def avif(image: Image.Image, transfer: int, primaries: int) -> bytes:
    """Pillow can write no HDR, but the box that says so is easily changed."""
    data = bytearray(saved(image, "AVIF", quality=100, subsampling="4:4:4"))
    at = data.index(b"colrnclx") + 8
    struct.pack_into(">HH", data, at, primaries, transfer)
    return bytes(data)


def png(image: Image.Image, transfer: int, primaries: int) -> bytes:
    data = saved(image, "PNG", compress_level=1)
    chunk = b"cICP" + bytes([primaries, transfer, 0, 1])
    return data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def fields(data: bytes) -> NDArray[np.int64]:
    """The colours in the middle of the four fields."""
    return decode_photo(data, limits=LIMITS).pixels[16::32, 16::32].astype(int)


@pytest.mark.parametrize("write", [heif, avif, png])
@pytest.mark.parametrize(("transfer", "primaries"), [(PQ, BT2020), (HLG, BT2020), (PQ, P3), (PQ, BT709)])
def test_an_hdr_photo_has_its_colours(write: Any, transfer: int, primaries: int) -> None:
    found = fields(write(coded(transfer, primaries), transfer, primaries))
    assert np.abs(found - COLOURS).max() <= 16, found


def test_a_large_one_is_reduced_without_bands() -> None:
    """A smooth ramp of light stays smooth: the steps of 8-bit PQ are three times as wide as those of sRGB."""
    ramp = np.random.default_rng(1).normal(np.linspace(90, 150, 1800)[None, :], 2, (1080, 1800))
    image = Image.fromarray(np.round(ramp).astype(np.uint8)).convert("RGB")
    row = decode_photo(png(image, PQ, BT2020), limits=LIMITS).pixels[100, :, 1]
    assert len(np.unique(row)) > 1.5 * (150 - 90)


@pytest.mark.parametrize("write", [heif, avif, png])
@pytest.mark.parametrize("primaries", [BT709, BT2020, P3])
def test_an_ordinary_photo_has_the_colours_of_its_primaries(write: Any, primaries: int) -> None:
    found = fields(write(wide(primaries), SRGB, primaries))
    assert np.abs(found - COLOURS).max() <= 12, found


def test_transparent_parts_of_an_hdr_photo_are_white() -> None:
    image = coded(PQ).convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (fields(png(image, PQ, BT2020)) == 255).all()


def grey(brightest: int, *, tags: dict[int, int] | None = None, **options: Any) -> int:
    """The brightest grey that is shown of a 16-bit TIFF file whose values end at `brightest`."""
    values = np.linspace(0, brightest, 64 * 64).reshape(64, 64).astype(np.uint16)
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        directory.tagtype[tag] = 3
        directory[tag] = value
    data = saved(Image.fromarray(values), "TIFF", tiffinfo=directory, **options)
    return int(decode_photo(data, limits=LIMITS).pixels.max())


@pytest.mark.parametrize("brightest", [65535, 16383, 4095, 1023, 4000, 3300])
def test_deep_grey_of_any_depth_reaches_white(brightest: int) -> None:
    assert grey(brightest) >= 200


@pytest.mark.parametrize("tag", [281, 341])
@pytest.mark.parametrize(("largest", "shown"), [(4095, 187), (16383, 47), (65535, 12)])
def test_what_the_file_says_of_its_white_goes_first(tag: int, largest: int, shown: int) -> None:
    assert grey(3000, tags={tag: largest}) == pytest.approx(shown, abs=1)


def test_a_dark_photo_stays_dark() -> None:
    assert grey(12_000) == pytest.approx(47, abs=1)
    assert grey(4000, icc_profile=b"a profile") == pytest.approx(16, abs=1)
