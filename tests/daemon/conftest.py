from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.daemon.api import CLIENTS, ODD_NAME, Api
from tests.daemon.clock import Clock
from tests.daemon.line import Line
from tests.e2e.conftest import ready_models as ready_models  # noqa: PLC0414 - pytest finds fixtures by name
from tests.e2e.driver import Reverie
from tests.sample_photos import copy_photos, locate


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, ready_models: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    photos = folder / "photos"
    copy_photos(photos, "coffee.png", "chelsea.png", "rocket.jpg")
    shutil.copyfile(locate("horse.png"), os.fsencode(photos) + b"/" + ODD_NAME)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(3000))
    reverie = Reverie(
        folder / "library",
        ready_models.parent.parent,
        REVERIE_WATCH__QUIET_SECONDS="0.2",
        REVERIE_SOCKET__MAX_CLIENTS=str(CLIENTS),
        REVERIE_SOCKET__TIMEOUT_SECONDS="2",
        REVERIE_SOCKET__MAX_REQUEST_KILOBYTES="4",
    )
    reverie.start(photos)
    try:
        reverie.eventually(lambda: reverie.status()["counts"]["done"] == 4 and reverie.idle(), within=30)
        yield Api(reverie, photos)
    finally:
        if reverie.service is not None:
            log = reverie.stop()
            assert "Traceback" not in log, log


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path, tmp_path / "no-models")
    yield line
    line.scheduler.stop()
    line.catalog.close()


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that takes long to decode."""
    path = tmp_path_factory.mktemp("noise") / "slow.png"
    pixels = np.random.default_rng(3).integers(0, 256, (2000, 3000, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


@pytest.fixture
def photos(tmp_path: Path, noise: Path) -> list[Path]:
    """Eight photos; the fourth takes so long to decode that a kill always comes before its end."""
    names = ["coffee.png", "chelsea.png", "rocket.jpg", "grass.png", "coins.png", "moon.png", "horse.png"]
    copy_photos(tmp_path / "photos", *names)
    shutil.copyfile(noise, tmp_path / "photos" / "slow.png")
    paths = [tmp_path / "photos" / name for name in names]
    paths.insert(3, tmp_path / "photos" / "slow.png")
    return paths
