"""A long video, and a kill at any instant: it is gone on with, and what is known in the end is the same."""

from __future__ import annotations

import functools
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.notes import contents, kept
from tests.e2e.driver import Reverie
from tests.e2e.snapshot import assert_equal, do_again, finished, knowledge, worker_of
from tests.films import View, film
from tests.sample_photos import PHOTOS

KILLS = int(os.environ.get("REVERIE_TEST_VIDEO_KILLS", "6"))
"""More of them, of a longer film, make a proof of it: 12 kills and 300 seconds take four minutes."""
OF_WORKER = (KILLS // 3, 2 * KILLS // 3)
"""The kills of the worker alone; the third one would be taken for the fault of the file."""
SECONDS = int(os.environ.get("REVERIE_TEST_VIDEO_SECONDS", "90"))


def make_film(folder: Path) -> None:
    """Many shots, now and then with a sentence."""
    folder.mkdir()
    chance = random.Random(3)
    views: list[View] = []
    while (left := SECONDS - sum(view.seconds for view in views)) > 0:
        views.append(View(chance.choice([*PHOTOS, ""]), min(left, chance.uniform(2, 6))))
    says = [(start + 1.0, f"This is sentence number {start} of the film.") for start in range(0, SECONDS - 10, 12)]
    film(folder / "long.mp4", views, says=says, size=(320, 180), fps=10)


def pages(library: Path) -> set[Path]:
    """What is noted of the film so far."""
    return set((library / "notes").glob("*/*/[0-9]*"))


def further(library: Path, before: set[Path]) -> bool:
    """Whether more of the film is noted than before, or all is done."""
    return bool(pages(library) - before) or finished(library)


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
        if kill % 3:  # in the midst of the film; every third one comes while all is started
            tortured.eventually(functools.partial(further, tortured.library, pages(tortured.library)), within=120)
        tortured.go_on(chance.uniform(0.0, 2.0))
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
    assert len(known["segments"]) > SECONDS / 12
    assert len(known["utterances"]) > 5
    assert_equal(knowledge(tortured.library), expected)
    notes_on = contents(tortured.library / "notes")
    assert notes_on == list(kept(tortured.library / "notes")), "only a recording that may go on needs what was noted"
