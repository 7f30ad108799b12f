"""A long video, and a kill at any instant: it is gone on with, and what is known in the end is the same."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.driver import Reverie
from tests.e2e.snapshot import assert_equal, do_again, finished, knowledge, worker_of
from tests.films import View, film
from tests.sample_photos import PHOTOS

KILLS = int(os.environ.get("REVERIE_TEST_VIDEO_KILLS", "12"))
OF_WORKER = (KILLS // 3, 2 * KILLS // 3)
"""The kills of the worker alone; the third one would be taken for the fault of the file."""
SECONDS = 300


def make_film(folder: Path) -> None:
    """Five minutes of many shots, now and then with a sentence."""
    folder.mkdir()
    chance = random.Random(3)
    views: list[View] = []
    while (left := SECONDS - sum(view.seconds for view in views)) > 0:
        views.append(View(chance.choice([*PHOTOS, ""]), min(left, chance.uniform(2, 14))))
    says = [(start + 1.0, f"This is sentence number {start} of the film.") for start in range(0, SECONDS - 10, 30)]
    film(folder / "long.mp4", views, says=says, size=(320, 180), fps=10)


@pytest.mark.timeout(420)
def test_a_long_video_survives_any_kill(tmp_path: Path, make_reverie: Callable[..., Reverie]) -> None:
    folder = tmp_path / "films"
    make_film(folder)
    undisturbed = make_reverie("undisturbed")
    assert undisturbed.run("index", folder, timeout=200).returncode == 0

    chance = random.Random(20261124)
    tortured = make_reverie("tortured")
    for kill in range(KILLS):
        if tortured.service is None or tortured.service.poll() is not None:
            tortured.start(folder, wait=False)
        assert tortured.service is not None
        time.sleep(chance.uniform(0.0, 5.0))
        worker = worker_of(tortured.service.pid) if kill in OF_WORKER else None
        os.kill(worker or tortured.service.pid, signal.SIGKILL)
        if worker is None:
            tortured.service.communicate()
        if finished(tortured.library):
            do_again(tortured.library)
    if tortured.service is None or tortured.service.poll() is not None:
        tortured.start(folder)
    tortured.eventually(lambda: finished(tortured.library), within=120)
    tortured.eventually(tortured.idle, within=30)
    tortured.stop()

    expected = knowledge(undisturbed.library)
    [known] = expected["media"].values()
    assert len(known["segments"]) > 25
    assert len(known["utterances"]) > 5
    assert_equal(knowledge(tortured.library), expected)
    assert not list((tortured.library / "notes").rglob("*")), "what was noted on the way is not needed any more"
