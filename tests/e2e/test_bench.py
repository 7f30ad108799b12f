"""`reverie bench` on a real folder: what it says, and that it leaves the library as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.driver import Reverie
from tests.sample_photos import copy_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    copy_photos(tmp_path / "photos", "coffee.png", "rocket.jpg", "china.jpg", "chelsea.png")
    return tmp_path / "photos"


def test_a_folder_is_measured_step_by_step_and_nothing_is_kept(reverie: Reverie, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes((photos / "rocket.jpg").read_bytes()[:5000])
    measured = reverie.json("bench", photos)
    assert (measured["profile"], measured["photos"], measured["failed"]) == ("builtin", 5, 1)
    assert measured["photos_per_second"] > 0
    steps = {step["name"]: step["share"] for step in measured["steps"]}
    assert steps.keys() == {"read", "decode", "describe", "pixels", "resize", "concepts"}
    assert sum(steps.values()) == pytest.approx(1, abs=0.01)
    [stage] = measured["stages"]
    assert (stage["stage"], stage["device"]) == ("concepts", "CPU")
    assert stage["runtime"].startswith("ONNX Runtime")
    assert reverie.json("status")["counts"]["media"] == 0
    assert not list(reverie.library.rglob("*.jpg"))


def test_the_photos_of_the_library_are_measured_unless_a_folder_is_named(reverie: Reverie, photos: Path) -> None:
    refused = reverie.run("bench")
    assert refused.returncode == 2
    assert "The library has no photos yet" in refused.stderr
    reverie.run("index", photos)
    finished = reverie.run("bench", "--photos", "3")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("3 photos of ")
    assert "What holds it back: " in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/folder"], "There is no folder /no/such/folder"),
        (["--photos", "0"], "0 photos cannot be measured"),
    ],
)
def test_wrong_arguments_are_explained(reverie: Reverie, arguments: list[str], said: str) -> None:
    finished = reverie.run("bench", *arguments)
    assert finished.returncode == 2
    assert said in finished.stderr
