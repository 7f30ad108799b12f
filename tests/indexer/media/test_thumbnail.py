"""The thumbnail."""

import io

import numpy as np
import pytest
from PIL import Image

from indexer.media.thumbnail import THUMBNAIL_SIDE, encode_thumbnail


@pytest.mark.parametrize(
    ("shape", "size"),
    [((375, 500), (384, 288)), ((1200, 360), (115, 384)), ((20, 30), (30, 20)), ((1, 5000), (384, 1))],
)
def test_it_is_a_small_jpeg_of_the_same_shape_and_colour(shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), (200, 100, 50), np.uint8)
    with Image.open(io.BytesIO(encode_thumbnail(pixels))) as image:
        assert image.format == "JPEG"
        assert image.size == size
        assert max(image.size) <= THUMBNAIL_SIDE
        assert np.abs(np.asarray(image, np.int16) - (200, 100, 50)).max() <= 4
