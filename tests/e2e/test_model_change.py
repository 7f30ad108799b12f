"""A change of models under fire: the service is killed again and again, and no question is answered with less."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.driver import Reverie
from tests.e2e.test_index_command import make_many
from tests.e2e.test_models import QUICK, Asker, begin, progress_of, spaces, states
from tests.e2e.test_models import tiny as tiny  # noqa: PLC0414 - pytest finds fixtures by name

PHOTOS = int(os.environ.get("REVERIE_TEST_CHANGE_PHOTOS", "60"))
KILLS = int(os.environ.get("REVERIE_TEST_CHANGE_KILLS", "3"))
"""More of both make a proof of it: 500 photos and 8 kills take a minute."""


@pytest.mark.timeout(300)
def test_kills_at_any_moment_of_a_change_lose_no_photo_and_no_answer(
    make_reverie: Callable[..., Reverie], tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    make_many(photos, PHOTOS)
    settings = QUICK | {"REVERIE_ANALYSIS__ML_MODELS__BATCH_SIZE": "4", "REVERIE_PROCESSING__MAX_WORKERS": "1"}
    reverie = make_reverie(**settings, XDG_CONFIG_HOME=str(tiny[0]))
    assert reverie.run("models", "pull", "tiny", "--from", tiny[1]).returncode == 0
    assert reverie.json("index", photos)["done"] == PHOTOS
    reverie.start(photos)
    chance = random.Random(7)
    with Asker(reverie, PHOTOS) as asker:
        begin(reverie, "tiny")
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 1.2))  # the moment of the kill
            reverie.stop(signal.SIGKILL)
            reverie.start(photos)
        reverie.eventually(lambda: progress_of(reverie) is None, within=60)
        reverie.eventually(lambda: reverie.idle() and spaces(reverie) == {"tiny-clip": PHOTOS}, within=30)
    assert asker.wrong == []
    assert asker.answers > KILLS
    assert states(reverie)["tiny"] == "in use"
    counts = reverie.json("status")["counts"]
    assert (counts["done"], counts["pending"], counts["quarantined"]) == (PHOTOS, 0, 0)
