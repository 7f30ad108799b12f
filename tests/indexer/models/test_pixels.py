from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.models.pixels import measure
from indexer.records import PixelStats, Tag
from indexer.vocabulary import BLACK_AND_WHITE, COLOURS, DARK, NIGHT, PANORAMA, PIXEL_WORDS, SCREENSHOT

Pixels = NDArray[np.uint8]
Read = Callable[[str], Pixels]


def look(pixels: Pixels, *, kind: str = "JPEG", camera: bool = True) -> tuple[PixelStats, tuple[Tag, ...]]:
    return measure(pixels, width=pixels.shape[1], height=pixels.shape[0], format=kind, has_camera=camera)


def names(pixels: Pixels, *, kind: str = "JPEG", camera: bool = True) -> set[str]:
    return {tag.name for tag in look(pixels, kind=kind, camera=camera)[1]}


def blur(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((200, 20, 30), "red"),
        ((255, 140, 0), "orange"),
        ((250, 220, 30), "yellow"),
        ((40, 140, 50), "green"),
        ((110, 130, 60), "green"),
        ((30, 70, 200), "blue"),
        ((135, 190, 235), "blue"),
        ((120, 40, 150), "purple"),
        ((255, 150, 190), "pink"),
        ((110, 65, 30), "brown"),
        ((10, 10, 12), "black"),
        ((250, 250, 248), "white"),
        ((128, 128, 128), "grey"),
    ],
)
def test_an_even_colour_has_its_name_and_no_other(rgb: tuple[int, int, int], name: str) -> None:
    pixels = np.full((120, 160, 3), rgb, np.uint8)
    found = [tag for tag in look(pixels)[1] if tag.source == "colour" and tag.name in COLOURS]
    assert [(tag.name, tag.confidence) for tag in found] == [(name, 1.0)]


def test_skin_and_sand_have_no_colour_name() -> None:
    assert names(np.full((50, 50, 3), (224, 172, 140), np.uint8)) == set()


def test_a_colour_counts_by_its_share_of_the_picture() -> None:
    pixels = np.full((100, 100, 3), 250, np.uint8)
    pixels[:, :30] = (200, 20, 30)
    shares = {tag.name: tag.confidence for tag in look(pixels)[1] if tag.name in COLOURS}
    assert shares["red"] == pytest.approx(0.3, abs=0.02)
    pixels[:, 2:30] = 250
    assert "red" not in names(pixels)


@pytest.mark.parametrize(
    ("name", "wanted", "unwanted"),
    [
        ("coffee.png", {"red", "orange"}, {"blue", "green", "purple"}),
        ("flower.jpg", {"green"}, {"purple", "yellow"}),
        ("china.jpg", {"blue"}, {"purple", "pink", "orange"}),
        ("rocket.jpg", {"blue", DARK}, {"red", "green"}),
        ("chelsea.png", {"brown"}, {"blue", "green", "purple", "red"}),
    ],
)
def test_real_photos_have_the_colours_one_sees(photo: Read, name: str, wanted: set[str], unwanted: set[str]) -> None:
    found = names(photo(name))
    assert wanted <= found
    assert not unwanted & found


def test_black_and_white_is_told_from_colour(photo: Read) -> None:
    assert BLACK_AND_WHITE in names(photo("coins.png"))
    colour = photo("china.jpg")
    assert BLACK_AND_WHITE not in names(colour)
    grey = np.asarray(cv2.cvtColor(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    ok, jpeg = cv2.imencode(".jpg", grey)
    assert ok
    assert BLACK_AND_WHITE in names(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8))


def test_night_is_dark_with_small_lights(photo: Read) -> None:
    assert {DARK, NIGHT} <= names(photo("hubble_deep_field.jpg"))
    for day in ("chelsea.png", "coffee.png", "china.jpg", "astronaut.png"):
        assert not {DARK, NIGHT} & names(photo(day))


def test_a_lit_subject_before_black_is_dark_but_not_night() -> None:
    pixels = np.full((200, 200, 3), 5, np.uint8)
    pixels[60:140, 60:140] = 220
    assert names(pixels) & {DARK, NIGHT} == {DARK}


def test_panorama_is_a_wide_photo(photo: Read) -> None:
    wide = np.hstack([photo("china.jpg")] * 2)
    assert PANORAMA in names(wide)
    assert PANORAMA not in names(photo("china.jpg"))
    assert PANORAMA not in names(np.rot90(wide))


def screen() -> Pixels:
    """A 1920 x 1080 desktop: even areas, lines of text."""
    pixels = np.full((1080, 1920, 3), 245, np.uint8)
    pixels[:40] = (40, 60, 90)
    pixels[:, :300] = 225
    for line in range(80, 1000, 30):
        cv2.putText(pixels, "Everything is a file", (340, line), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20))
    return pixels


def test_a_screenshot_is_lossless_screen_sized_and_even(photo: Read) -> None:
    assert SCREENSHOT in names(screen(), kind="PNG", camera=False)
    assert SCREENSHOT not in names(screen(), kind="PNG", camera=True)
    assert SCREENSHOT not in names(screen(), kind="JPEG", camera=False)
    assert SCREENSHOT not in names(screen()[:1000], kind="PNG", camera=False)
    full = np.asarray(cv2.resize(photo("china.jpg"), (1920, 1080)), np.uint8)
    assert SCREENSHOT not in names(full, kind="PNG", camera=False)


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "astronaut.png", "china.jpg"])
def test_sharpness_and_quality_fall_with_blur(photo: Read, name: str) -> None:
    stats = [look(pixels)[0] for pixels in (photo(name), blur(photo(name), 1.5), blur(photo(name), 4))]
    assert stats[0].sharpness > 0.7
    assert stats[0].sharpness > stats[1].sharpness >= stats[2].sharpness
    assert stats[2].sharpness < 0.2
    assert stats[0].quality > stats[1].quality > stats[2].quality or stats[2].quality == 0


def test_exposure_falls_towards_both_ends(photo: Read) -> None:
    good = photo("chelsea.png")
    dark, bright = (good // 8).astype(np.uint8), (255 - (255 - good) // 8).astype(np.uint8)
    assert look(good)[0].exposure > 0.9
    for spoilt in (dark, bright):
        assert look(spoilt)[0].exposure < 0.4
        assert look(spoilt)[0].quality < look(good)[0].quality
    assert look(dark)[0].brightness < look(good)[0].brightness < look(bright)[0].brightness


def distance(left: int, right: int) -> int:
    return ((left ^ right) & (2**64 - 1)).bit_count()


def test_the_hash_knows_a_photo_again_and_tells_others_apart(photo: Read) -> None:
    original = photo("astronaut.png")
    known = look(original)[0].perceptual_hash
    copy = cv2.resize(original, (300, 300), interpolation=cv2.INTER_AREA)
    assert distance(known, look(np.asarray(copy * 0.9, np.uint8))[0].perceptual_hash) <= 6
    for other in ("chelsea.png", "coffee.png", "china.jpg"):
        assert distance(known, look(photo(other))[0].perceptual_hash) > 15
    assert -(2**63) <= known < 2**63


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (500, 1, 3), (20, 20, 3)])
def test_any_shape_has_figures_between_0_and_1(shape: tuple[int, int, int]) -> None:
    stats, tags = look(np.full(shape, 77, np.uint8))
    for value in (stats.sharpness, stats.exposure, stats.contrast, stats.quality, stats.brightness):
        assert 0 <= value <= 1
    assert all(0 <= tag.confidence <= 1 for tag in tags)


def test_every_query_word_means_a_tag_that_exists() -> None:
    assert set(PIXEL_WORDS.values()) == {*COLOURS, DARK, NIGHT, BLACK_AND_WHITE, PANORAMA, SCREENSHOT}
    assert all(word == word.lower() for word in PIXEL_WORDS)
