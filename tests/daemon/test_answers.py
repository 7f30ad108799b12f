"""Questions about an open library, as the command line and the socket ask them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import QueryError
from config.settings import load
from daemon.answers import Answers, NoText, NotIndexed
from daemon.indexing import Indexing
from tests.sample_photos import copy_photos


@pytest.fixture(scope="module")
def indexing(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Indexing]:
    """A library of three photos, one of them twice, made by the line that makes every library."""
    folder = tmp_path_factory.mktemp("answers")
    copy_photos(folder / "photos", "coffee.png", "chelsea.png", "rocket.jpg")
    copy_photos(folder / "photos" / "copies", "coffee.png")
    (folder / "photos" / "copies" / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    environ = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(model_cache.parent.parent),
        "REVERIE_LIBRARY": str(folder / "library"),
        "REVERIE_WATCH__QUIET_SECONDS": "0.1",
        "REVERIE_PROCESSING__MAX_WAIT_SECONDS": "0.1",
    }
    indexing = Indexing(load(environ=environ, files=()))
    states: list[str] = []
    indexing.intake.scan(str(folder / "photos"))
    indexing.run(lambda message: states.append(message["state"]), lambda: False)
    assert states[-1] == "done"
    yield indexing
    indexing.close()


@pytest.fixture
def answers(indexing: Indexing) -> Answers:
    return indexing.answers


@pytest.fixture
def photos(answers: Answers) -> Path:
    return answers.paths.library.parent / "photos"


def test_the_line_counts_what_it_did(indexing: Indexing) -> None:
    report = indexing.report("done")
    assert (report["done"], report["total"], report["failed"]) == (4, 4, 1)


def test_the_networks_that_ran_are_named_with_what_runs_them(indexing: Indexing) -> None:
    [network] = indexing.stage_messages()
    assert (network["stage"], network["device"]) == ("concepts", "CPU")
    assert network["runtime"]
    assert network["batch_size"] >= 1
    assert network["seconds"] is not None
    assert network["photos_per_second"] == pytest.approx(1 / network["seconds"], rel=0.05)


def test_a_question_is_answered_with_where_why_and_a_picture(answers: Answers, photos: Path) -> None:
    message = answers.search("a cup of coffee on a table", limit=5, everything=False)
    assert message["confident"]
    best = message["results"][0]
    assert Path(best["path"]).name == "coffee.png"
    assert best["reasons"]
    assert Path(best["thumbnail"]).read_bytes().startswith(b"\xff\xd8\xff")


def test_a_photo_is_shown_under_each_of_its_paths(answers: Answers, photos: Path) -> None:
    paths = {str(photos / "coffee.png"), str(photos / "copies" / "coffee.png")}
    for path in paths:
        assert set(answers.show(path)["paths"]) == paths
    assert {job["state"] for job in answers.show(str(photos / "coffee.png"))["jobs"]} == {"done"}


def test_the_limit_of_the_query_is_stronger(answers: Answers) -> None:
    assert len(answers.search("type:photo", limit=3, everything=True)["results"]) == 3
    assert len(answers.search("type:photo limit:1", limit=3, everything=True)["results"]) == 1


def test_a_file_is_found_by_every_path_that_leads_to_it(answers: Answers, photos: Path, tmp_path: Path) -> None:
    known = answers.show(str(photos / "rocket.jpg"))
    (tmp_path / "album").symlink_to(photos.parent)
    (tmp_path / "one.jpg").symlink_to(photos / "rocket.jpg")
    os.link(photos / "rocket.jpg", tmp_path / "hard.jpg")
    linked = str(tmp_path / "album" / "photos" / "rocket.jpg")
    for path in (linked, f"{photos}/copies/../rocket.jpg", str(tmp_path / "one.jpg"), str(tmp_path / "hard.jpg")):
        assert answers.show(path) == known
    assert answers.similar(linked, limit=9, everything=True)["results"]
    assert answers.search(f"similar:{linked}", limit=9, everything=True)["results"]
    assert "linked" in [tag["name"] for tag in answers.tag(linked, add=["linked"], remove=[])["tags"]]
    answers.tag(linked, add=[], remove=["linked"])
    with pytest.raises(NotIndexed, match=r"is not indexed"):
        answers.show(str(tmp_path / "album"))


def test_a_file_of_a_linked_folder_is_found_by_its_real_path(
    indexing: Indexing, answers: Answers, tmp_path: Path
) -> None:
    copy_photos(tmp_path / "disk", "coffee.png")
    (tmp_path / "pictures").symlink_to(tmp_path / "disk")
    indexing.intake.scan(str(tmp_path / "pictures"))
    indexing.run(lambda _: None, lambda: False)
    shown = answers.show(str(tmp_path / "disk" / "coffee.png"))
    (tmp_path / "disk" / "coffee.png").unlink()
    indexing.intake.scan(str(tmp_path / "pictures"))
    assert str(tmp_path / "pictures" / "coffee.png") in shown["paths"]


def test_what_is_not_there_and_what_is_not_indexed_are_told_apart(answers: Answers, photos: Path) -> None:
    with pytest.raises(NotIndexed, match=r"There is no file /nowhere\.jpg"):
        answers.show("/nowhere.jpg")
    (photos / "new.txt").touch()
    with pytest.raises(NotIndexed, match=r"is not indexed") as caught:
        answers.similar(str(photos / "new.txt"), limit=1, everything=False)
    assert caught.value.exit_status == 1
    for impossible in ("\0", "/\0", "/\ud800"):
        with pytest.raises(NotIndexed):
            answers.show(impossible)


def test_words_that_are_no_text_are_refused_and_change_nothing(answers: Answers, photos: Path) -> None:
    path = str(photos / "rocket.jpg")
    odd = os.fsdecode(b"caf\xe9")
    with pytest.raises(NoText):
        answers.search(odd, limit=1, everything=False)
    with pytest.raises(NoText):
        answers.tag(path, add=["fine", odd], remove=[])
    with pytest.raises(NoText):
        answers.save("name", odd)
    assert "fine" not in [tag["name"] for tag in answers.show(path)["tags"]]
    assert answers.saved() == {}


def test_tags_of_ones_own_are_found_and_taken_back(answers: Answers, photos: Path) -> None:
    path = str(photos / "rocket.jpg")
    shown = answers.tag(path, add=["moon shot"], remove=[])
    assert ("moon shot", "authored") in [(tag["name"], tag["source"]) for tag in shown["tags"]]
    found = answers.search('tag:"moon shot"', limit=5, everything=False)
    assert [result["path"] for result in found["results"]] == [path]
    answers.tag(path, add=[], remove=["moon shot"])
    assert answers.search('tag:"moon shot"', limit=5, everything=False)["results"] == []


def test_a_saved_search_is_checked_kept_and_forgotten(answers: Answers) -> None:
    with pytest.raises(QueryError):
        answers.save("wrong", "after:sometime")
    answers.save("cats", "a cat")
    assert answers.saved() == {"cats": "a cat"}
    names = [Path(result["path"]).name for result in answers.search("@cats", limit=5, everything=False)["results"]]
    assert names[:1] == ["chelsea.png"]
    answers.save("cats", "")
    assert answers.saved() == {}


def test_status_names_models_with_their_licences_and_each_problem(answers: Answers) -> None:
    message = answers.status()
    assert message["counts"]["done"] == 3
    assert sum(message["vectors"].values()) == 3
    assert all(model["name"] and model["licence"] and model["source"] for model in message["models"])
    assert message["profile"] == "builtin"
    assert message["change"] is None
    assert [Path(problem["path"]).name for problem in message["problems"]] == ["broken.jpg"]


def test_the_encoder_is_let_go_when_nobody_asks_and_comes_back(answers: Answers) -> None:
    before = answers.search("a cat", limit=1, everything=False)["results"]
    answers.rest(-1)
    assert answers.search("a cat", limit=1, everything=False)["results"] == before
