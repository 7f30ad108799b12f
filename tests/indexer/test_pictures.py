"""The files of the small pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import CatalogError
from config.paths import cutout_path, thumbnail_path
from indexer.pictures import Pictures

ONE, OTHER = "ab" * 32, "ac" * 32


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    """A thumbnail and a cut-out of each of two contents."""
    pictures = Pictures(tmp_path)
    for content in (ONE, OTHER):
        pictures.keep_thumbnail(content, b"jpeg of " + content.encode())
        pictures.keep_cut_out(content, b"png of " + content.encode())
    return pictures


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_what_is_forgotten_leaves_nothing(pictures: Pictures, tmp_path: Path) -> None:
    pictures.forget(ONE)
    pictures.forget(ONE)
    assert files(tmp_path) == {thumbnail_path(tmp_path, OTHER), cutout_path(tmp_path, OTHER)}


def test_a_photo_that_has_no_subject_any_more_keeps_its_thumbnail(pictures: Pictures, tmp_path: Path) -> None:
    assert pictures.cut_out(ONE) == cutout_path(tmp_path, ONE)
    pictures.keep_cut_out(ONE, None)
    assert pictures.cut_out(ONE) is None
    assert thumbnail_path(tmp_path, ONE).is_file()
    assert pictures.cut_out(OTHER) is not None


def test_cut_outs_go_and_thumbnails_stay(pictures: Pictures, tmp_path: Path) -> None:
    pictures.drop_cut_outs()
    assert files(tmp_path) == {thumbnail_path(tmp_path, content) for content in (ONE, OTHER)}


def test_what_an_actor_sends_back_is_taken_once(pictures: Pictures, tmp_path: Path) -> None:
    (tmp_path / "ab" / f"{ONE}.1-2.part").write_bytes(b"half")
    pictures.keep_keyframe(ONE, 3, b"third")
    pictures.keep_preview(ONE, b"preview")
    before = {path.relative_to(tmp_path): path.read_bytes() for path in files(tmp_path) if path.suffix != ".part"}
    taken = pictures.take([ONE, OTHER])
    assert pictures.take([ONE, OTHER]) == {}
    home = tmp_path / "home"
    Pictures(home).put(taken)
    assert {path.relative_to(home): path.read_bytes() for path in files(home)} == before


def test_keyframes_of_a_video_that_is_not_done_stay_with_the_actor(pictures: Pictures) -> None:
    pictures.keep_keyframe(ONE, 1, b"first")
    taken = pictures.take([OTHER])
    assert taken and all(OTHER in name for name in taken)
    assert pictures.keyframe(ONE, 1) is not None


@pytest.mark.parametrize("name", ["../../etc/x.jpg", "ab/short.jpg", f"ab/{OTHER}.jpg", f"ab/{ONE}.sh"])
def test_no_other_name_is_taken_from_an_actor(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a picture"):
        Pictures(tmp_path / "home").put({name: b"data"})
    assert not (tmp_path / "home").exists()


def test_keyframes_of_moments_that_are_no_more_go(pictures: Pictures, tmp_path: Path) -> None:
    for ordinal in (1, 2, 11):
        pictures.keep_keyframe(ONE, ordinal, b"jpeg")
    pictures.drop_keyframes(ONE, 2)
    assert [pictures.keyframe(ONE, ordinal) is not None for ordinal in (0, 1, 2, 11)] == [True, True, True, False]
    pictures.keep_preview(ONE, b"webp")
    pictures.forget(ONE)
    assert files(tmp_path) == {thumbnail_path(tmp_path, OTHER), cutout_path(tmp_path, OTHER)}


def test_a_disk_that_takes_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("a file where a folder should be")
    with pytest.raises(CatalogError, match=r"cannot be written to .*thumbnails"):
        Pictures(tmp_path / "thumbnails").keep_thumbnail(ONE, b"jpeg")
