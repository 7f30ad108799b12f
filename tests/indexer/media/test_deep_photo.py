"""Colour of 10 to 14 bits in files of 16 is not shown black, and dark photos of 16 bits stay dark."""

import io
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import ImageCms

from indexer.media.photo import Limits, decode_photo

LIMITS = Limits(max_pixels=20_000_000, max_bytes=50_000_000)


def deep_colour(brightest: int, *, channels: int = 3) -> NDArray[np.uint16]:
    """A ramp in all channels, whose values end at `brightest`; the first row is dark."""
    ramp = np.linspace(0, brightest, 64 * 64).reshape(64, 64).astype(np.uint16)
    return np.dstack([ramp] * channels)


def tiff(values: NDArray[np.uint16], *tags: tuple[int, int], **options: Any) -> bytes:
    stream = io.BytesIO()
    extra = [(tag, 3, 3, (value,) * 3, True) for tag, value in tags]
    tifffile.imwrite(stream, values, photometric="rgb", metadata=None, software=False, extratags=extra, **options)
    return stream.getvalue()


def brightest_shown(data: bytes) -> int:
    return int(decode_photo(data, limits=LIMITS).pixels.max())


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"tile": (16, 16)}, {"compression": "zlib"}], ids=str)
@pytest.mark.parametrize("brightest", [1023, 4095, 4080, 16383])
def test_colour_of_fewer_bits_reaches_white(brightest: int, options: dict[str, Any]) -> None:
    shown = decode_photo(tiff(deep_colour(brightest), **options), limits=LIMITS).pixels
    assert shown.max() >= 254
    assert len(np.unique(shown)) > 200, "the lower bits are there, too"


def test_colour_whose_file_says_its_bits_is_shown_by_that() -> None:
    assert brightest_shown(tiff(deep_colour(2000), (341, 4095))) == pytest.approx(124, abs=1)
    assert brightest_shown(tiff(deep_colour(2000), (281, 16383))) == pytest.approx(31, abs=1)
    assert brightest_shown(tiff(deep_colour(30_000), (281, 4095))) == pytest.approx(117, abs=1), "that cannot be"
    turned = decode_photo(tiff(deep_colour(4095)[-32:], (274, 6)), limits=LIMITS)
    assert (turned.width, turned.height, turned.pixels.max()) == (32, 64, 255)


@pytest.mark.parametrize("brightest", [500, 2500, 9000, 15_000, 65_535])
def test_dark_colour_of_sixteen_bits_stays_dark(brightest: int) -> None:
    data = tiff(deep_colour(brightest), *([(341, 65535)] if brightest == 15_000 else []))
    assert brightest_shown(data) == pytest.approx(brightest / 257, abs=1)
    if brightest == 65_535:
        assert brightest_shown(tiff(deep_colour(4000), iccprofile=srgb_profile())) == pytest.approx(15, abs=1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_brightened_only_if_its_samples_were_left_at_the_lower_end(channels: int) -> None:
    left = deep_colour(3000, channels=channels)
    said = bytes([12] * channels)
    assert brightest_shown(png16(left, said)) == pytest.approx(187, abs=1)
    for plain in (png16(left, None), png16((left & 0xFFF0).astype(np.uint16), said)):
        assert brightest_shown(plain) == pytest.approx(12, abs=1)


def png16(values: NDArray[np.uint16], significant: bytes | None) -> bytes:
    values = values.copy()
    if values.shape[2] == 4:
        values[..., 3] = 65_535
    data: bytes = cv2.imencode(".png", values)[1].tobytes()
    if significant is not None:
        chunk = b"sBIT" + significant
        data = data[:33] + len(significant).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + data[33:]
    return data


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
