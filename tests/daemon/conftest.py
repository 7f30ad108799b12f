from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.api import CLIENTS, ODD_NAME, Api
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
        reverie.eventually(lambda: reverie.json("status")["counts"]["done"] == 4 and reverie.idle(), within=30)
        yield Api(reverie, photos)
    finally:
        if reverie.service is not None:
            log = reverie.stop()
            assert "Traceback" not in log, log
