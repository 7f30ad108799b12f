"""Nothing is lost and nothing is done twice, whatever is killed and whenever."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.driver import Reverie
from tests.e2e.snapshot import assert_equal, do_again, finished, knowledge, worker_of

PHOTOS = 120
KILLS = int(os.environ.get("REVERIE_TEST_KILLS", "24"))
"""A hundred make a proof of it, in two minutes."""


def make_photos(folder: Path) -> None:
    """Distinct, quickly decoded photos: smooth random scenes, some of them copies, one of them broken."""
    folder.mkdir()
    generator = np.random.default_rng(7)
    for number in range(PHOTOS - 20):
        small = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        scene = Image.fromarray(small).resize((960, 720), Image.Resampling.BICUBIC)
        scene.save(folder / f"scene-{number:03}.jpg", quality=85)
    for number in range(19):
        (folder / f"copy-{number:03}.jpg").write_bytes((folder / f"scene-{number:03}.jpg").read_bytes())
    (folder / "broken.jpg").write_bytes((folder / "scene-000.jpg").read_bytes()[:2000])


@pytest.mark.timeout(420)
def test_a_library_survives_any_kill(tmp_path: Path, make_reverie: Callable[..., Reverie]) -> None:
    photos = tmp_path / "photos"
    make_photos(photos)
    undisturbed = make_reverie("undisturbed")
    assert undisturbed.run("index", photos, timeout=200).returncode == 0

    chance = random.Random(20261123)
    tortured = make_reverie("tortured")
    kills = 0
    while kills < KILLS:
        if tortured.service is None or tortured.service.poll() is not None:
            tortured.start(photos, wait=False)
        assert tortured.service is not None
        tortured.go_on(chance.uniform(0.0, 2.5))
        victim = worker_of(tortured.service.pid) if chance.random() < 0.5 else tortured.service.pid
        if victim is None:
            victim = tortured.service.pid
        os.kill(victim, signal.SIGKILL)
        kills += 1
        if victim == tortured.service.pid:
            tortured.service.communicate()
        if finished(tortured.library) and kills < KILLS:
            # Too quick for the hangman: make work again, without losing what is asserted at the end.
            do_again(tortured.library)
    if tortured.service is None or tortured.service.poll() is not None:
        tortured.start(photos)
    tortured.eventually(lambda: finished(tortured.library), within=120)
    tortured.eventually(tortured.idle, within=30)
    tortured.stop()

    expected = knowledge(undisturbed.library)
    assert len(expected["media"]) == PHOTOS - 19
    assert_equal(knowledge(tortured.library), expected)
