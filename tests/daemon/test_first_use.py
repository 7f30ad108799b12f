"""What `reverie index` says once of the models that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import NoService
from config.paths import Paths
from daemon.first_use import offer_once
from daemon.model_report import known_models
from search.model_messages import ModelsMessage


@pytest.fixture
def known(tmp_path: Path) -> ModelsMessage:
    return known_models(None, Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "socket", ()), None)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_it_is_one_line_said_once(known: ModelsMessage, environ: dict[str, str]) -> None:
    line = offer_once(lambda: known, environ)
    assert line is not None
    assert "\n" not in line
    assert "`reverie models pull standard` (2.3 GB from the model hub) would add: " in line
    for kind in ("people", "counts", "actions", "speech", "sounds"):
        assert kind in line
    assert offer_once(lambda: known, environ) is None


def test_it_is_not_said_to_whom_has_more(known: ModelsMessage, environ: dict[str, str]) -> None:
    builtin, standard, _ = known["profiles"]
    builtin["state"], standard["state"] = "not in use", "in use"
    assert offer_once(lambda: known, environ) is None
    builtin["state"], standard["missing"] = "in use", []
    assert offer_once(lambda: known, environ) is None
    standard["missing"] = ["dfine-s"]
    line = offer_once(lambda: known, environ)
    assert line is not None
    assert "(41 MB from the model hub)" in line


def test_nothing_that_goes_wrong_with_it_is_told(known: ModelsMessage, tmp_path: Path) -> None:
    def gone() -> ModelsMessage:
        raise NoService("Nothing listens.")

    assert offer_once(gone, {"HOME": str(tmp_path)}) is None
    (tmp_path / "file").write_text("no folder")
    assert offer_once(lambda: known, {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "file")}) is None
