"""What is a subject and what is not, on planted maps over real photos."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from indexer.models.cut_out import LONGEST_SIDE, encode_cut_out, shrunk, subject_of, things_of
from tests.sample_photos import locate

NAMES = {0: "sky", 1: "grass", 2: "person", 3: "bicycle", 4: "bed ", 5: "car"}
THINGS = things_of(NAMES)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    with Image.open(locate("china.jpg")) as image:
        return np.asarray(image.resize((1024, 640)))


def landscape() -> NDArray[np.int32]:
    """A map (32, 32): sky over grass."""
    classes = np.zeros((32, 32), np.int32)
    classes[16:] = 1
    return classes


@pytest.mark.parametrize(
    ("name", "things"),
    [
        ("person", {7}),
        ("animal", {7}),
        ("boat", {7}),
        ("traffic sign", {7}),
        ("sky", set()),
        ("wall-brick", set()),
        ("tree, palm", set()),
        ("Bed ", set()),
        ("screen door", set()),
    ],
)
def test_what_has_no_shape_of_its_own_is_background(name: str, things: set[int]) -> None:
    assert things_of({7: name}) == things


def test_the_subject_alone_is_seen(photo: NDArray[np.uint8]) -> None:
    classes = landscape()
    classes[8:24, 4:12] = 2
    mask = subject_of(classes, THINGS)
    assert mask is not None
    small = shrunk(photo)
    height, width = small.shape[:2]
    assert (height, width) == (320, LONGEST_SIDE)
    data = encode_cut_out(small, mask)
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        cut_out = np.asarray(image)
    alpha = cut_out[..., 3]
    rows, columns = (np.flatnonzero((alpha > 127).any(axis=axis)) for axis in (1, 0))
    assert len(rows) == pytest.approx(height / 2, abs=2)
    assert len(columns) == pytest.approx(width / 4, abs=2)
    assert (alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] > 60).all(), "there are holes in it"
    assert cut_out.shape < small.shape
    top, left = height // 4 - rows[0], width // 8 - columns[0]
    under = small[top : top + alpha.shape[0], left : left + alpha.shape[1]]
    assert np.array_equal(cut_out[..., :3][alpha > 0], under[alpha > 0])
    assert not cut_out[alpha == 0].any(), "what is hidden must not be in the file"


def test_a_rider_goes_with_the_bicycle_and_not_with_the_bed() -> None:
    classes = landscape()
    classes[8:16, 8:16], classes[16:24, 8:16], classes[24:, :] = 2, 3, 4
    mask = subject_of(classes, THINGS)
    assert mask is not None
    assert np.array_equal(mask, (classes == 2) | (classes == 3))


def test_the_largest_of_several_is_the_subject() -> None:
    classes = landscape()
    classes[2:10, 2:10], classes[12:24, 12:24] = 2, 5
    classes[10, 10] = 2  # touches the first by a corner only
    mask = subject_of(classes, THINGS)
    assert mask is not None
    assert np.array_equal(mask, classes == 5)


def test_a_landscape_has_no_subject() -> None:
    assert subject_of(landscape(), THINGS) is None


def test_a_figure_in_the_distance_is_no_subject() -> None:
    classes = landscape()
    classes[14:20, 14:20] = 2
    assert subject_of(classes, THINGS) is None


def test_what_fills_the_frame_has_nothing_to_be_cut_out_of() -> None:
    classes = np.full((32, 32), 2, np.int32)
    classes[0, 0] = 0
    assert subject_of(classes, THINGS) is None
    classes[:, 0] = 0
    assert subject_of(classes, THINGS) is not None


def test_a_class_without_a_name_is_no_thing() -> None:
    classes = landscape()
    classes[8:24, 4:12] = 9
    assert subject_of(classes, THINGS) is None
