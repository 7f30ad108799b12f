"""A photo must reach a network as it did when the network was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from numpy.typing import NDArray
from PIL import Image

from config.errors import ModelError
from indexer.models.canvas import canvas_of
from indexer.models.preprocess import CONFIG, Fit, read_transform
from tests.tiny_models import CLIP_PICTURES, SIGLIP_PICTURES

Read = Callable[[str], NDArray[np.uint8]]

MEAN, STD = CLIP_PICTURES["image_mean"], CLIP_PICTURES["image_std"]
OLD_CLIP = {**CLIP_PICTURES, "crop_size": 224, "size": 224}
NEW_CLIP = {
    "crop_size": {"height": 96, "width": 80},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": MEAN,
    "image_processor_type": "CLIPImageProcessor",
    "image_std": STD,
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 100},
}
SIGLIP = {**SIGLIP_PICTURES, "size": {"height": 256, "width": 192}}


def write(folder: Path, config: dict[str, Any]) -> Path:
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


def pictures(photo: Read) -> list[NDArray[np.uint8]]:
    """Real photos, wide, tall, square and grey; then ones that are tiny, or all detail."""
    random = np.random.default_rng(3)
    tall = np.ascontiguousarray(photo("chelsea.png").transpose(1, 0, 2))
    return [
        *(photo(name) for name in ("coffee.png", "rocket.jpg", "astronaut.png", "moon.png", "coins.png")),
        tall,
        np.full((1, 1, 3), 200, np.uint8),
        random.integers(0, 256, (3, 5, 3), np.uint8),
        random.integers(0, 256, (501, 333, 3), np.uint8),
        random.integers(0, 256, (224, 224, 3), np.uint8),
    ]


@pytest.mark.parametrize("config", [OLD_CLIP, NEW_CLIP, SIGLIP], ids=["clip", "newer clip", "siglip"])
def test_a_photo_is_prepared_as_by_the_processor_that_came_with_the_model(
    tmp_path: Path, photo: Read, config: dict[str, Any]
) -> None:
    transform = read_transform(write(tmp_path, config))
    auto: Any = transformers.AutoImageProcessor
    processor = auto.from_pretrained(tmp_path, local_files_only=True, backend="pil")
    for pixels in pictures(photo):
        ours = transform.apply(pixels)
        theirs = processor(pixels, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
        cosine = np.vdot(ours, theirs) / (np.linalg.norm(ours) * np.linalg.norm(theirs))
        assert cosine == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (7, 9000)])
def test_of_a_long_strip_the_middle_is_seen_without_magnifying_the_rest(tmp_path: Path, shape: tuple[int, int]) -> None:
    strip = np.zeros((*shape, 3), np.uint8)
    middle = tuple(slice(0, None) if side < 100 else slice(side // 2 - 400, side // 2 + 400) for side in shape)
    strip[middle] = 255
    seen = read_transform(write(tmp_path, OLD_CLIP)).apply(strip)
    np.testing.assert_allclose(
        seen, np.broadcast_to(((1 - np.array(MEAN)) / STD)[:, None, None], seen.shape), atol=1e-5
    )


def test_it_says_how_many_pixels_it_needs(tmp_path: Path) -> None:
    clip = read_transform(write(tmp_path, NEW_CLIP))
    assert (clip.fit, clip.height, clip.width, clip.short_side) == (Fit.COVER, 96, 80, 100)
    siglip = read_transform(write(tmp_path, SIGLIP))
    assert (siglip.fit, siglip.height, siglip.width, siglip.short_side) == (Fit.SQUASH, 256, 192, 256)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"do_thumbnail": True}, "do_thumbnail"),
        ({"do_pad": True}, "do_pad"),
        ({"do_resize": False}, "do_resize"),
        ({"do_rescale": 1}, "do_rescale"),
        ({"resample": 9}, "resample"),
        ({"resample": None}, "resample"),
        ({"size": {"longest_edge": 224}}, "size"),
        ({"size": {"height": 224, "width": 0}}, "size"),
        ({"size": None}, "size"),
        ({"do_center_crop": True, "crop_size": 200}, "centre crop"),
        ({"size": {"shortest_edge": 224}}, "without a centre crop"),
        ({"size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": 225}, "larger than"),
        ({"image_mean": [0.5]}, "image_mean"),
        ({"image_std": [0.5, 0.5, 0.0]}, "image_std"),
        ({"rescale_factor": "1/255"}, "rescale_factor"),
        ({"data_format": "channels_last"}, "data_format"),
    ],
)
def test_a_setting_that_is_not_known_is_an_error_and_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        read_transform(write(tmp_path, {**SIGLIP, **changes}))
    assert caught.value.remedy


def test_a_canvas_has_its_own_size_but_takes_no_other_setting_that_is_not_known(tmp_path: Path) -> None:
    of_size = {"size": 80, "max_size": 133, "do_pad": True, "pad_size": {"height": 99, "width": 99}}
    annotations = {"format": "coco_detection", "do_reduce_labels": True}
    config = {**SIGLIP, **of_size, **annotations, "resample": None}
    canvas = canvas_of(write(tmp_path, config))
    assert (canvas.side, canvas.resample) == (80, Image.Resampling.BILINEAR)
    for unknown in ({"do_flip_channel_order": True}, {"size": {"longest_edge": 80}}, {"image_mean": None}):
        with pytest.raises(ModelError, match=next(iter(unknown))):
            canvas_of(write(tmp_path, {**config, **unknown}))


def test_a_missing_or_damaged_file_names_the_way_out(tmp_path: Path) -> None:
    for content in (None, b"{", b"[]"):
        if content is not None:
            (tmp_path / CONFIG).write_bytes(content)
        with pytest.raises(ModelError, match=CONFIG) as caught:
            read_transform(tmp_path)
        assert caught.value.remedy
