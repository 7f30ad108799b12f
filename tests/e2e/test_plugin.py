"""The example of docs/stages.md, installed as a user would and run by the real program."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.driver import PROGRAM, Reverie
from tests.sample_photos import copy_photos

EXAMPLE = Path(PROGRAM[1]).parent / "docs" / "examples" / "reverie-sunsets"
AT_ONCE = {"REVERIE_WATCH__QUIET_SECONDS": "0.1"}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder that the example package is installed into."""
    shutil.copytree(EXAMPLE, tmp_path / "source")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(tmp_path / "site")]
    subprocess.run([*pip, str(tmp_path / "source")], check=True)
    return tmp_path / "site"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The dusk behind a rocket, a cup of coffee, and a sunset over a dark sea."""
    copy_photos(tmp_path / "photos", "rocket.jpg", "coffee.png")
    sunset = np.zeros((400, 600, 3), np.float32)
    sunset[:220] = np.linspace((230, 120, 50), (250, 180, 90), 220)[:, None]
    noise = np.random.default_rng(5).normal(0, 3, sunset.shape)
    Image.fromarray((sunset + noise).clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / "sunset.jpg")
    return tmp_path / "photos"


def test_the_example_of_the_documentation_works_from_installation_to_search(
    make_reverie: Callable[..., Reverie], installed: Path, photos: Path
) -> None:
    reverie = make_reverie(**AT_ONCE)
    assert reverie.json("index", photos)["done"] == 3

    reverie.environment["PYTHONPATH"] = str(installed)
    reverie.start(photos)
    # The new stage is owed by what was indexed before.
    reverie.eventually(lambda: reverie.idle() and reverie.found("tag:'blue hour'"), within=30)
    status = reverie.json("status")
    assert [stage["runtime"] for stage in status["stages"]] == ["plug-in reverie-sunsets 1.0.0"]
    assert "sunsets" in status["service"]["pace"]["seconds_per_step"]
    reverie.stop()
    assert reverie.found("tag:'blue hour'") == ["rocket.jpg"]
    assert reverie.found("tag:'golden hour'") == ["sunset.jpg"]
    shown = reverie.json("show", photos / "sunset.jpg")
    assert [job["state"] for job in shown["jobs"] if job["stage"] == "sunsets"] == ["done"]
    assert [tag["source"] for tag in shown["tags"] if tag["name"] == "golden hour"] == ["sunsets"]

    del reverie.environment["PYTHONPATH"]
    assert reverie.json("index", photos)["done"] == 0
    assert "sunsets" not in [job["stage"] for job in reverie.json("show", photos / "sunset.jpg")["jobs"]]
    assert reverie.found("tag:'golden hour'") == []


def test_a_stage_that_breaks_harms_nothing_else(
    make_reverie: Callable[..., Reverie], installed: Path, photos: Path
) -> None:
    module = installed / "reverie_sunsets.py"
    code = module.read_text(encoding="utf-8")
    module.write_text(code.replace("return [Findings(tags=tags_of(sky)) for sky in batch]", "raise OSError('no sky')"))
    reverie = make_reverie(**AT_ONCE, PYTHONPATH=str(installed))
    photo = photos / "coffee.png"

    def problem() -> str | None:
        jobs = reverie.json("show", photo)["jobs"] if reverie.library.exists() else []
        assert {job["state"] for job in jobs if job["stage"] != "sunsets"} <= {"done", "pending", "running"}
        return next((job["problem"] for job in jobs if job["stage"] == "sunsets"), None)

    with subprocess.Popen([*reverie.program, "index", str(photo)], env=reverie.environment) as running:
        reverie.eventually(lambda: reverie.library.exists() and reverie.found("tag:espresso"), within=30)
        assert "OSError: no sky" in str(problem())
        running.send_signal(signal.SIGINT)  # it would go on trying
    module.write_text(code + "# mended\n", encoding="utf-8")
    assert reverie.json("index", photo)["failed"] == 0
    assert problem() is None
    assert {job["state"] for job in reverie.json("show", photo)["jobs"]} == {"done"}
