"""Shots: cuts to the frame, fades and dissolves, and no boundary where only things, the camera or the light move."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from indexer.media.frames import Frame, Strategy, sample
from indexer.media.looks import is_duplicate, look_at
from indexer.media.shots import Places, Shot, best_looks, boundaries, find_boundaries, find_shots
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import Picture, write_clip
from tests.indexer.media.scenes import FPS, Part, Scene, edges_of, pictures_of, score

LIMITS = VideoLimits()
KEYS_AT_CUTS: dict[str, str] = {}
PHONE = {"g": "25", "sc_threshold": "0"}
FEW_KEYS = {"g": "600", "sc_threshold": "0"}
FRAME = 1 / FPS
CUTS = [
    Part(Scene(number), seconds) for number, seconds in enumerate([2.2, 1.0, 3.4, 0.8, 2.0, 1.6, 2.6, 1.2, 2.4, 3.0])
]


def shots_of(path: Path) -> list[Shot]:
    with open_video(str(path), LIMITS) as video:
        return find_shots(video)


@pytest.mark.parametrize("options", [KEYS_AT_CUTS, PHONE, FEW_KEYS])
def test_cuts_are_found_to_the_frame(tmp_path: Path, options: dict[str, str]) -> None:
    shots = shots_of(write_clip(tmp_path / "a.mp4", pictures_of(CUTS), fps=FPS, options=options))
    f1, wrong, missed = score([shot.start for shot in shots[1:]], edges_of(CUTS), FRAME / 2)
    assert f1 >= 0.95, (wrong, missed)
    assert shots[0].start == 0.0
    assert shots[-1].end == pytest.approx(sum(part.seconds for part in CUTS), abs=0.1)
    assert all(before.end == after.start for before, after in itertools.pairwise(shots))


@pytest.mark.parametrize(("passage", "least"), [("dissolve", 0.85), ("fade", 0.9)])
@pytest.mark.parametrize("options", [PHONE, FEW_KEYS])
def test_dissolves_and_fades_are_found(tmp_path: Path, passage: str, least: float, options: dict[str, str]) -> None:
    lasting = [0.4, 0.8, 1.2, 0.8, 0.4, 1.2]
    parts = [Part(Scene(40 + n), 1.5 + 0.37 * n, passage, seconds) for n, seconds in enumerate(lasting)]
    shots = shots_of(write_clip(tmp_path / "a.mp4", pictures_of(parts), fps=FPS, options=options))
    f1, wrong, missed = score([shot.start for shot in shots[1:]], edges_of(parts), 0.1)
    assert f1 >= least, (wrong, missed)


def panned() -> Iterator[Picture]:
    scene = Scene(7, pan=110)
    return (scene.at(n * FRAME) for n in range(150))


def lamp() -> Iterator[Picture]:
    """The light goes down and up again within a second each."""
    scene = Scene(8, pan=0)
    return ((scene.at(n * FRAME) * (0.65 + 0.35 * np.cos(n / 12))).astype(np.uint8) for n in range(150))


def flashes() -> Iterator[Picture]:
    scene = Scene(9, pan=5)
    return (np.full((180, 320, 3), 250, np.uint8) if n in {40, 41, 90} else scene.at(n * FRAME) for n in range(150))


def still() -> Iterator[Picture]:
    scene = Scene(10, pan=0)
    return (scene.at(0) for _ in range(150))


@pytest.mark.parametrize("pictures", [panned, lamp, flashes, still])
@pytest.mark.parametrize("options", [PHONE, FEW_KEYS])
def test_motion_light_and_flashes_make_no_shots(tmp_path: Path, pictures: object, options: dict[str, str]) -> None:
    assert callable(pictures)
    path = write_clip(tmp_path / "a.mp4", pictures(), fps=FPS, options=options)
    assert len(shots_of(path)) == 1


def test_boundaries_of_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures_of(CUTS), fps=FPS, options=PHONE)
    with open_video(str(path), LIMITS) as video:
        whole = [point.time for point in find_boundaries(video)]
        edges = [0.0, 2.2, 7.0, 13.3, 30.0]
        parts = [
            point.time
            for start, end in itertools.pairwise(edges)
            for point in find_boundaries(video, start=start, end=end)
        ]
    assert whole
    assert parts == whole


def test_a_part_is_cut_as_the_whole_is(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures_of(CUTS), fps=FPS, options=PHONE)
    with open_video(str(path), LIMITS) as video:
        whole = [shot.start for shot in find_shots(video)]
        part = find_shots(video, start=4.0, end=12.0)
    assert (part[0].start, part[-1].end) == (4.0, 12.0)
    assert [shot.start for shot in part[1:]] == [time for time in whole if 4.5 <= time <= 11.5]


def test_uneven_frames_keep_the_true_time_of_a_cut(tmp_path: Path) -> None:
    times = [n * 0.04 for n in range(50)] + [2.5 + n * 0.1 for n in range(40)]
    first, second = Scene(1, pan=5), Scene(2, pan=5)
    pictures = [first.at(time) for time in times[:50]] + [second.at(time) for time in times[50:]]
    shots = shots_of(write_clip(tmp_path / "a.mp4", pictures, times=times, options=FEW_KEYS))
    assert [shot.start for shot in shots] == pytest.approx([0.0, 2.5], abs=0.002)


def test_one_frame_is_one_shot(tmp_path: Path) -> None:
    [shot] = shots_of(write_clip(tmp_path / "a.mp4", [Scene(1).at(0)], fps=FPS))
    assert shot.start == 0.0
    assert shot.end == pytest.approx(FRAME)


def enlarged(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, (640, 360), interpolation=cv2.INTER_NEAREST), np.uint8)


def test_black_blurred_and_repeated_frames_are_known() -> None:
    sharp = enlarged(Scene(3).at(0))
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 12), np.uint8)
    noise = np.random.default_rng(1).integers(0, 12, sharp.shape, np.uint8)
    look, soft, black = (look_at(Frame(0.0, pixels)) for pixels in (sharp, blurred, noise))
    assert (look.is_black, look.is_flat, look.is_blurred) == (False, False, False)
    assert soft.is_blurred
    assert black.is_black
    assert look_at(Frame(0.0, np.full_like(sharp, 200))).is_flat
    again = look_at(Frame(1.0, np.clip(sharp.astype(int) + noise - 6, 0, 255).astype(np.uint8)))
    assert is_duplicate(look, again)
    assert not is_duplicate(look, look_at(Frame(1.0, enlarged(Scene(4).at(0)))))


def test_the_best_frames_of_a_shot_are_sharp_distinct_and_show_something(tmp_path: Path) -> None:
    def pictures() -> Iterator[Picture]:
        scene = Scene(5, pan=160)
        for number in range(100):
            picture = enlarged(scene.at(number * FRAME))
            if number < 25:
                picture = np.zeros_like(picture)
            elif number < 50:
                picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 18), np.uint8)
            yield picture

    path = write_clip(tmp_path / "a.mp4", pictures(), fps=FPS, options={"g": "5", "crf": "10"})
    with open_video(str(path), LIMITS) as video:
        looks = [look_at(frame) for frame in sample(video, Strategy.KEYFRAMES, every=0.2)]
    best = best_looks(looks, Shot(0.0, 4.0), 3)
    assert len(best) == 3
    assert all(look.time >= 2.0 for look in best)
    assert not any(is_duplicate(one, other) for one in best for other in best if one is not other)
    assert best_looks(looks, Shot(0.0, 0.9), 3) == []
    assert len(best_looks(looks, Shot(1.0, 1.9), 3)) == 1


def test_frames_that_were_sampled_for_something_else_serve_as_well(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures_of(CUTS), fps=FPS, options=PHONE)
    with open_video(str(path), LIMITS) as video:
        looks = [look_at(frame) for frame in sample(video, Strategy.UNIFORM, every=0.4)]
        found = boundaries(looks, Places(video))
    f1, wrong, missed = score([point.time for point in found], edges_of(CUTS), FRAME / 2)
    assert f1 >= 0.95, (wrong, missed)
