"""Cameras' own formats, by a hand-made DNG: a TIFF file with a JPEG preview and a sensor's mosaic."""

import io
import struct
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from config.errors import DamagedFile, TooLarge, UnsupportedFormat
from indexer.media.metadata.describe_photo import describe_photo
from indexer.media.photo import Limits, decode_photo

LIMITS = Limits(max_pixels=2_000_000, max_bytes=10_000_000)
BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10
Entry = tuple[int, int, bytes]
FORMATS = {BYTE: "B", ASCII: "c", SHORT: "H", LONG: "I", RATIONAL: "II", SRATIONAL: "ii"}


def entry(tag: int, kind: int, *values: int) -> Entry:
    code = FORMATS[kind][0]
    return tag, kind, struct.pack(f"<{len(values)}{code}", *values)


class Tiff:
    """A little-endian TIFF file in the making."""

    def __init__(self) -> None:
        self.data = bytearray(b"II*\x00\x00\x00\x00\x00")

    def put(self, part: bytes) -> int:
        self.data += bytes(len(self.data) % 2)
        self.data += part
        return len(self.data) - len(part)

    def directory(self, entries: Sequence[Entry]) -> int:
        rows = b""
        for tag, kind, raw in sorted(entries):
            value = raw.ljust(4, b"\x00") if len(raw) <= 4 else struct.pack("<I", self.put(raw))
            rows += struct.pack("<HHI", tag, kind, len(raw) // struct.calcsize("<" + FORMATS[kind])) + value
        return self.put(struct.pack("<H", len(entries)) + rows + bytes(4))


def make_dng(orientation: int, preview: bytes | None, width: int = 1200, height: int = 800) -> bytes:
    tiff = Tiff()
    mosaic = np.full((height, width), 20_000, np.uint16)
    at = tiff.put(mosaic.tobytes())
    strip = [entry(273, LONG, at), entry(277, SHORT, 1), entry(278, LONG, height), entry(279, LONG, mosaic.nbytes)]
    size = [entry(256, LONG, width), entry(257, LONG, height), entry(258, SHORT, 16), entry(259, SHORT, 1)]
    pattern = [entry(262, SHORT, 32803), entry(33421, SHORT, 2, 2), entry(33422, BYTE, 0, 1, 1, 2)]
    sensor = tiff.directory([entry(254, LONG, 0), *size, *strip, *pattern, entry(50717, LONG, 65535)])
    identity = [value for row in np.eye(3, dtype=int) for cell in row for value in (int(cell), 1)]
    entries = [
        entry(254, LONG, 1),
        (271, ASCII, b"Acme\x00"),
        (272, ASCII, b"Acme One\x00"),
        entry(274, SHORT, orientation),
        entry(330, LONG, sensor),
        entry(50706, BYTE, 1, 4, 0, 0),
        (50708, ASCII, b"Acme One\x00"),
        entry(50721, SRATIONAL, *identity),
        entry(50728, RATIONAL, 1, 1, 1, 1, 1, 1),
        entry(50778, SHORT, 21),
    ]
    if preview is not None:
        with Image.open(io.BytesIO(preview)) as image:
            size = [entry(256, LONG, image.width), entry(257, LONG, image.height), entry(278, LONG, image.height)]
        entries += [*size, entry(258, SHORT, 8, 8, 8), entry(259, SHORT, 7), entry(262, SHORT, 6), entry(277, SHORT, 3)]
        entries += [entry(273, LONG, tiff.put(preview)), entry(279, LONG, len(preview))]
    struct.pack_into("<I", tiff.data, 4, tiff.directory(entries))
    return bytes(tiff.data)


def make_preview(width: int, height: int) -> bytes:
    """Red on the left, blue on the right, as the sensor sees it."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(("orientation", "red_side"), [(1, "left"), (3, "right"), (6, "top"), (8, "bottom")])
def test_the_preview_is_shown_upright_with_the_size_of_the_sensor(orientation: int, red_side: str) -> None:
    photo = decode_photo(make_dng(orientation, make_preview(600, 400)), limits=LIMITS)
    assert photo.format == "RAW"
    assert (photo.width, photo.height) == ((1200, 800) if orientation in (1, 3) else (800, 1200))
    pixels = photo.pixels.astype(int)
    sides = {"left": pixels[:, :50], "right": pixels[:, -50:], "top": pixels[:50], "bottom": pixels[-50:]}
    redness = {side: float((strip[..., 0] - strip[..., 2]).mean()) for side, strip in sides.items()}
    assert max(redness, key=lambda side: redness[side]) == red_side


@pytest.mark.parametrize("preview", [None, make_preview(120, 80)])
def test_without_a_useful_preview_the_sensor_data_is_developed(preview: bytes | None) -> None:
    photo = decode_photo(make_dng(6, preview), limits=LIMITS)
    assert (photo.width, photo.height) == (800, 1200)
    assert photo.pixels.shape == (600, 400, 3)
    # The mosaic is one even grey-green: nothing of the preview's red and blue.
    assert np.ptp(photo.pixels[:, :, 0]) <= 2


def test_a_raw_photo_is_described_by_its_exif() -> None:
    data = make_dng(1, make_preview(600, 400))
    info = describe_photo(data, decode_photo(data, limits=LIMITS).shape)
    assert (info.format, info.camera, info.width, info.height) == ("RAW", "Acme One", 1200, 800)


def test_without_the_decoder_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnsupportedFormat) as caught:
        decode_photo(make_dng(1, None), limits=LIMITS)
    assert "pip install 'reverie-media[raw]'" in caught.value.remedy


def test_damaged_unknown_and_huge_raw_files_are_told_apart() -> None:
    with pytest.raises(DamagedFile):
        decode_photo(make_dng(1, None)[:1000] + bytes(10), limits=LIMITS)
    with pytest.raises((DamagedFile, UnsupportedFormat)):
        decode_photo(b"FUJIFILMCCD-RAW " + b"\x55" * 5000, limits=LIMITS)
    with pytest.raises(TooLarge, match="1,200 x 800 pixels"):
        decode_photo(make_dng(1, None), limits=Limits(max_pixels=900_000, max_bytes=10_000_000))
