"""`reverie index`: what a first run, a second one, an interrupted one and a wrong one do."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.lock import LibraryLock
from tests.e2e.driver import Reverie
from tests.sample_photos import copy_photos

AT_ONCE = {"REVERIE_WATCH__QUIET_SECONDS": "0.1"}


@pytest.fixture
def reverie(make_reverie: Callable[..., Reverie]) -> Reverie:
    return make_reverie(**AT_ONCE)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    copy_photos(folder, "coffee.png", "rocket.jpg")
    return folder


def make_many(folder: Path, count: int) -> None:
    """Photos that all differ."""
    folder.mkdir()
    generator = np.random.default_rng(11)
    for number in range(count):
        small = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((1600, 1200), Image.Resampling.BICUBIC).save(folder / f"{number:03}.jpg")


def test_a_first_run_indexes_and_a_second_has_nothing_to_do(reverie: Reverie, photos: Path) -> None:
    first = reverie.run("index", photos)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("2 files indexed in ")
    assert "`reverie models pull standard`" in first.stdout
    assert reverie.run("index", photos).stdout == "Everything is up to date.\n"
    told = reverie.json("index", photos)
    assert (told["state"], told["done"], told["total"], told["failed"]) == ("done", 0, 0, 0)
    counts = reverie.json("status")["counts"]
    assert (counts["done"], counts["pending"], counts["problems"]) == (2, 0, 0)


def test_what_moved_costs_no_analysis_and_what_went_is_hidden(reverie: Reverie, photos: Path) -> None:
    shutil.copytree(photos, photos / "album")
    assert reverie.json("index", photos)["done"] == 2
    (photos / "album").rename(photos / "holidays")
    assert reverie.json("index", photos)["done"] == 0
    assert reverie.run("show", photos / "holidays" / "coffee.png").returncode == 0
    assert reverie.run("show", photos / "album" / "coffee.png").returncode == 1

    shutil.rmtree(photos / "holidays")
    (photos / "coffee.png").unlink()
    assert reverie.json("index", photos)["done"] == 0
    assert reverie.found("type:photo") == ["rocket.jpg"]
    counts = reverie.json("status")["counts"]
    assert (counts["files"], counts["media"], counts["missing"]) == (1, 1, 3)


def test_one_file_may_be_named(reverie: Reverie, photos: Path) -> None:
    finished = reverie.run("index", photos / "coffee.png")
    assert finished.stdout.startswith("1 file indexed")
    assert reverie.found("type:photo") == ["coffee.png"]


def test_the_folders_of_the_settings_are_indexed_without_any_argument(
    make_reverie: Callable[..., Reverie], photos: Path
) -> None:
    reverie = make_reverie(**AT_ONCE, REVERIE_FOLDERS=str(photos))
    assert reverie.json("index")["done"] == 2


HELD = """
import itertools, pathlib, time
from indexer.stage import Findings

class Held:
    name, revision, short_side, report = "held", 1, 32, None
    count = itertools.count()

    def prepare(self, view):
        if next(self.count) >= 2:
            while not pathlib.Path(__file__).with_name("go").exists():
                time.sleep(0.02)

    def analyse(self, batch):
        return [Findings() for _ in batch]
"""


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A folder with a plug-in that lets a worker finish two photos, and no more until the file `go` is there."""
    site = tmp_path / "site"
    (site / "held-1.0.dist-info").mkdir(parents=True)
    (site / "held-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: held\nVersion: 1.0\n")
    (site / "held-1.0.dist-info" / "entry_points.txt").write_text("[reverie.stages]\nheld = held:Held\n")
    (site / "held.py").write_text(HELD)
    return site


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(
    make_reverie: Callable[..., Reverie], tmp_path: Path, held: Path
) -> None:
    reverie = make_reverie(**AT_ONCE, REVERIE_ANALYSIS__ML_MODELS__BATCH_SIZE="2", PYTHONPATH=str(held))
    many = tmp_path / "many"
    make_many(many, 8)
    command = [*reverie.program, "index", str(many)]
    with subprocess.Popen(command, env=reverie.environment, stderr=subprocess.PIPE, text=True) as running:
        reverie.eventually(lambda: in_status(reverie) == 2, within=30)
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate(timeout=30)
    assert running.returncode == 130
    assert complaint == "Interrupted. What is done is kept; run the same command to go on.\n"
    counts = reverie.json("status")["counts"]
    assert (counts["done"], counts["running"]) == (2, 0)
    (held / "go").touch()
    assert reverie.json("index", many)["done"] == 6
    assert reverie.json("status")["counts"]["done"] == 8


def in_status(reverie: Reverie) -> int:
    """How many photos are done, asked while another process indexes; 0 while there is no library yet."""
    status = reverie.json("status") if reverie.library.exists() else {}
    return int(status["counts"]["done"]) if "counts" in status else 0


@pytest.fixture
def pipe(photos: Path) -> Iterator[Path]:
    """A name like a photo's that would block whoever opens it."""
    os.mkfifo(photos / "pipe.jpg")
    yield photos / "pipe.jpg"


@pytest.mark.parametrize("name", ["nothing", "photos/nothing.jpg", "photos/coffee.png/coffee.png"])
def test_a_path_that_is_not_there_is_wrong_use(reverie: Reverie, photos: Path, name: str) -> None:
    path = photos.parent / name
    finished = reverie.run("index", photos, path)
    assert finished.returncode == 2
    assert finished.stderr == f"reverie: There is no file or folder {path}.\n  Check the name.\n"
    assert not reverie.library.exists()


def test_what_is_no_photo_is_wrong_use(reverie: Reverie, photos: Path, pipe: Path) -> None:
    (photos / "notes.txt").write_text("no photo", encoding="utf-8")
    for path, reason in ((photos / "notes.txt", "is not a photo, video or sound"), (pipe, "is not a file but a pipe")):
        finished = reverie.run("index", path)
        assert finished.returncode == 2
        assert finished.stderr.startswith(f"reverie: {path} {reason}")


def test_nothing_to_index_is_wrong_use(reverie: Reverie) -> None:
    finished = reverie.run("index")
    assert finished.returncode == 2
    assert finished.stderr == "reverie: There is nothing to index.\n  Name folders: `reverie index ~/Pictures`.\n"


def test_a_library_that_another_process_writes_is_refused(reverie: Reverie, photos: Path) -> None:
    with LibraryLock(reverie.library / "lock"):
        finished = reverie.run("index", photos, "--json")
    assert finished.returncode == 3
    assert f"(pid {os.getpid()})" in finished.stdout
    assert reverie.run("index", photos).returncode == 0


def test_a_folder_that_moved_or_was_deleted_leaves_the_answers(reverie: Reverie, photos: Path) -> None:
    reverie.run("index", photos)
    moved = photos.rename(photos.with_name("moved"))
    assert reverie.json("index", moved)["done"] == 0
    found = reverie.json("search", "type:photo")["results"]
    assert {result["path"] for result in found} == {str(moved / "coffee.png"), str(moved / "rocket.jpg")}
    shutil.rmtree(moved)
    finished = reverie.run("index", moved)
    assert finished.returncode == 0
    assert finished.stdout.startswith(
        f"2 files at or below {moved} are gone; they are hidden, and what is known is kept"
    )
    assert reverie.found("type:photo") == []
    assert reverie.run("index", moved.with_name("never")).returncode == 2


def test_an_emptied_folder_is_no_unmounted_disk(reverie: Reverie, photos: Path) -> None:
    make_many(photos / "many", 2)
    reverie.run("index", photos)
    for path in photos.rglob("*.*"):
        path.unlink()
    (photos / "many").rmdir()
    assert reverie.json("index", photos)["done"] == 0
    assert reverie.found("type:photo") == []


def test_what_is_forgotten_is_gone_with_its_pictures(reverie: Reverie, photos: Path) -> None:
    reverie.run("index", photos)
    reverie.run("tag", photos / "coffee.png", "--add", "mine")
    assert len(list((reverie.library / "thumbnails").rglob("*.jpg"))) == 2
    finished = reverie.run("forget", photos / "coffee.png")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == "1 file forgotten.\nThe tags and captions that you gave it are kept.\n"
    assert reverie.found("type:photo") == ["rocket.jpg"]
    assert len(list((reverie.library / "thumbnails").rglob("*.jpg"))) == 1
    assert reverie.run("forget", photos / "coffee.png").returncode == 1
    reverie.run("index", photos)
    assert reverie.found("tag:mine") == ["coffee.png"]


def test_an_update_that_reads_more_metadata_says_so_and_runs_no_network(reverie: Reverie, photos: Path) -> None:
    reverie.run("index", photos)

    def networks() -> list[tuple[int, float]]:
        with closing(sqlite3.connect(reverie.library / "catalog.sqlite3")) as db:
            return db.execute("SELECT media_id, updated_at FROM job WHERE stage = 'concepts' ORDER BY 1").fetchall()

    before = networks()
    with closing(sqlite3.connect(reverie.library / "catalog.sqlite3")) as db, db:
        db.execute("UPDATE job SET revision = 0 WHERE stage = 'metadata'")
    again = reverie.run("index", photos)
    assert f"The metadata of {len(before)} files is being read again" in again.stderr
    assert networks() == before
