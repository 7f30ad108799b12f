"""Moments: one for each look of a video, found the same wherever a pass begins, with bounded memory."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from indexer.media.frames import Frame, Strategy
from indexer.media.looks import Look, is_duplicate, look_at
from indexer.media.moments import BEGINNING, Mark, Moment, choose_cover, moments, quality_of
from indexer.media.video import VideoLimits, open_video
from tests.indexer.media.clips import Picture, write_clip
from tests.indexer.media.scenes import FPS, Part, Scene, edges_of, pictures_of, score

LIMITS = VideoLimits()
PHONE = {"g": "25", "sc_threshold": "0"}
FEW_KEYS = {"g": "600", "sc_threshold": "0"}
CUTS = [
    Part(Scene(number), seconds)
    for number, seconds in enumerate([2.2, 1.0, 3.4, 0.8, 2.0, 1.6, 9.0, 1.2, 9.6, 0.6, 3.0, 5.2])
]


def all_of(
    path: Path, start: Mark = BEGINNING, strategy: Strategy = Strategy.ADAPTIVE, every: float = 0.5
) -> list[tuple[Moment, Mark]]:
    with open_video(str(path), LIMITS) as video:
        return list(moments(video, start=start, strategy=strategy, every=every))


def plain(found: list[tuple[Moment, Mark]]) -> list[object]:
    """What can be compared."""
    return [
        (one.start, one.end, one.shot, mark, [(frame.time, frame.pixels.tobytes()) for frame in one.frames])
        for one, mark in found
    ]


def check_whole(found: list[tuple[Moment, Mark]], end: float) -> None:
    assert found[0][0].start == 0.0
    assert found[-1][0].end == pytest.approx(end, abs=0.1)
    for (before, mark), (after, _) in itertools.pairwise(found):
        assert before.end == after.start == mark.time
        assert (after.shot, mark.new_shot) == (mark.shot, after.shot == before.shot + 1)
    for one, _ in found:
        assert len(one.frames) <= 3
        assert all(one.start <= frame.time < max(one.end, end + 1) for frame in one.frames)
        assert [frame.time for frame in one.frames] == [look.time for look in one.looks]


@pytest.mark.parametrize("options", [PHONE, FEW_KEYS])
def test_every_shot_is_a_moment_of_its_own(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures_of(CUTS), fps=FPS, options=options)
    found = all_of(path)
    check_whole(found, sum(part.seconds for part in CUTS))
    starts = [one.start for (_, mark), (one, _) in itertools.pairwise(found) if mark.new_shot]
    f1, wrong, missed = score(starts, edges_of(CUTS), 0.02)
    assert f1 >= 0.95, (wrong, missed)
    assert all(one.frames for one, _ in found if one.end - one.start >= 1)


def test_parts_of_a_shot_that_look_different_are_moments(tmp_path: Path) -> None:
    """A camera that stands, goes elsewhere, and stands again: no cut anywhere."""

    def pictures() -> Iterator[Picture]:
        scene = Scene(21, pan=40, tint=(120, 120, 120))
        for number in range(24 * FPS):
            time = number / FPS
            yield scene.at(min(time, 0.01) if time < 10 else min(time - 10, 4.0))

    found = all_of(write_clip(tmp_path / "a.mp4", pictures(), fps=FPS, options=PHONE))
    check_whole(found, 24)
    assert {one.shot for one, _ in found} == {1}
    assert len(found) >= 2
    assert 10 <= found[0][0].end <= 12
    best = [one.looks[0] for one, _ in found]
    assert not any(is_duplicate(one, other) for one, other in itertools.pairwise(best))


def test_what_never_changes_is_one_moment_for_five_minutes(tmp_path: Path) -> None:
    still = np.asarray(cv2.resize(Scene(3, pan=0).at(0), (160, 90)), np.uint8)
    path = write_clip(tmp_path / "a.mp4", (still for _ in range(620 * 2)), fps=2, options={"g": "4"})
    found = all_of(path)
    check_whole(found, 620)
    assert [(one.start, one.shot, len(one.frames)) for one, _ in found] == [(0, 1, 1), (300, 1, 1), (600, 1, 1)]


def test_a_flash_and_a_hand_before_the_lens_end_no_moment(tmp_path: Path) -> None:
    def pictures() -> Iterator[Picture]:
        scene = Scene(9, pan=0, tint=(60, 120, 90))
        for number in range(20 * FPS):
            covered = 8.0 <= number / FPS < 9.2
            yield np.full((180, 320, 3), 40, np.uint8) if covered else scene.at(0)

    found = all_of(write_clip(tmp_path / "a.mp4", pictures(), fps=FPS, options=PHONE))
    assert not [mark for _, mark in found if not mark.new_shot and mark.time < 19]


def turning(seconds: int) -> Iterator[Picture]:
    scene = Scene(31, pan=18)
    return (scene.at(number / FPS) for number in range(seconds * FPS))


def often(number: int, shots: int, seconds: float) -> Iterator[Picture]:
    """Cuts, and one fade in five."""
    fades = [n % 5 == 2 for n in range(shots)]
    return pictures_of(
        [Part(Scene(number + n), seconds, *(("fade", 0.8) if fades[n] else ("cut", 0.0))) for n in range(shots)]
    )


@pytest.mark.parametrize(
    ("pictures", "options", "strategy", "every"),
    [
        (lambda: pictures_of(CUTS[:7]), FEW_KEYS, Strategy.ADAPTIVE, 0.7),
        (lambda: often(100, 6, 5.8), PHONE, Strategy.ADAPTIVE, 0.5),
        (lambda: often(200, 4, 2.5), {"g": "250"}, Strategy.UNIFORM, 0.09),
        (lambda: turning(70), {"g": "70"}, Strategy.KEYFRAMES, 0.5),
    ],
)
def test_a_pass_from_any_mark_gives_the_rest_of_one_pass(
    tmp_path: Path, pictures: Callable[[], Iterator[Picture]], options: dict[str, str], strategy: Strategy, every: float
) -> None:
    small = (np.asarray(cv2.resize(picture, (128, 72)), np.uint8) for picture in pictures())
    path = write_clip(tmp_path / "a.mp4", small, fps=FPS, options=options)
    found = all_of(path, strategy=strategy, every=every)
    whole, marks = plain(found), [mark for _, mark in found]
    assert len(whole) >= 4
    with open_video(str(path), LIMITS) as video:
        for number, mark in enumerate(marks):
            # What holds for the next two from every mark holds for all that follow.
            following = itertools.islice(moments(video, start=mark, strategy=strategy, every=every), 2)
            assert plain(list(following)) == whole[number + 1 : number + 3], mark


def test_each_sampled_frame_is_told_once_before_its_moment_and_none_that_comes_after(tmp_path: Path) -> None:
    parts = CUTS[:7]
    path = write_clip(tmp_path / "a.mp4", pictures_of(parts), fps=FPS, options=PHONE)
    told: list[float] = []
    with open_video(str(path), LIMITS) as video:
        so_far = [(mark.time, list(told)) for _, mark in moments(video, sampled=lambda frame: told.append(frame.time))]
        middle = so_far[4][0]
        again: list[float] = []
        start = next(mark for _, mark in moments(video) if mark.time == middle)
        for _ in moments(video, start=start, sampled=lambda frame: again.append(frame.time)):
            pass
    assert told == sorted(set(told))
    assert len(told) >= sum(part.seconds for part in parts) - 2
    for time, before in so_far[:-1]:
        assert before == [one for one in told if one < time]
    assert again == [one for one in told if one >= middle]


def test_frames_in_memory_are_bounded_whatever_the_length(tmp_path: Path) -> None:
    def pictures() -> Iterator[Picture]:
        scene = Scene(12, pan=20)
        return (np.asarray(cv2.resize(scene.at(n / 4), (64, 36)), np.uint8) for n in range(400 * 4))

    path = write_clip(tmp_path / "a.mp4", pictures(), fps=4, options={"g": "2"})
    most = count = 0

    def tell(_: Frame) -> None:
        nonlocal most, count
        count += 1
        if count % 40 == 0:
            most = max(most, sum(type(one) is Frame for one in gc.get_objects()))

    with open_video(str(path), LIMITS) as video:
        for _ in moments(video, sampled=tell):
            pass
    assert count >= 780
    assert 0 < most <= 110


def test_a_black_video_has_a_moment_without_frames(tmp_path: Path) -> None:
    black = np.zeros((96, 160, 3), np.uint8)
    [(one, mark)] = all_of(write_clip(tmp_path / "a.mp4", (black for _ in range(60)), fps=25))
    assert (one.start, one.frames, one.looks) == (0.0, (), ())
    assert mark.time == one.end == pytest.approx(2.4)


def test_nothing_follows_the_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", pictures_of(CUTS[:2]), fps=FPS)
    [*_, (_, last)] = all_of(path)
    assert all_of(path, last) == []


def looks_of(*pictures: Picture) -> list[Look]:
    return [look_at(Frame(float(n), pixels)) for n, pixels in enumerate(pictures)]


def large(seed: int) -> Picture:
    return np.asarray(cv2.resize(Scene(seed).at(0), (640, 360), interpolation=cv2.INTER_NEAREST), np.uint8)


def test_the_cover_is_good_and_like_most_of_the_video() -> None:
    usual, odd = large(1), large(2)
    blurred = np.asarray(cv2.GaussianBlur(usual, (0, 0), 12), np.uint8)
    black = np.zeros_like(usual)
    looks = looks_of(black, blurred, usual, odd)
    assert quality_of(looks[2]) > quality_of(looks[1])
    assert quality_of(looks[0]) < 0.1
    assert choose_cover(list(zip([50.0, 20.0, 20.0, 20.0], looks, strict=True))) == 2
    assert choose_cover([(1.0, looks[2]), (30.0, looks[3])]) == 1
    assert choose_cover([(1.0, looks[0])]) is None
    assert choose_cover([]) is None
