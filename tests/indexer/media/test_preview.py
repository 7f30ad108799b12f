"""The animated preview of a video."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from indexer.media.preview import animated_preview
from tests.indexer.media.clips import counting, four_corners


def test_it_shows_up_to_eight_frames_half_a_second_each() -> None:
    data = animated_preview([counting(number, 640, 360) for number in range(0, 30, 2)])
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        assert image.size == (320, 180)
        shown = [frame.convert("L") for frame in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
        assert image.info["duration"] == 500
    tones = [int(np.asarray(frame).mean()) for frame in shown]
    assert len(tones) == 8
    assert tones == sorted(tones)
    assert tones[0] == pytest.approx(20, abs=3)
    assert tones[-1] == pytest.approx(20 + 5 * 28, abs=3)


def test_few_frames_of_any_size_will_do() -> None:
    with Image.open(io.BytesIO(animated_preview([four_corners(90, 160), four_corners(160, 90)]))) as image:
        assert image.size == (320, 569)
    with Image.open(io.BytesIO(animated_preview([counting(3)]))) as image:
        assert image.width == 320
    with pytest.raises(ValueError, match="at least one"):
        animated_preview([])
