"""What reaches the catalog: files that were looked at and have settled, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.schema import Watch
from daemon.hints import Hint
from daemon.intake import Intake, NoSuchPath, absolute
from search.catalog import Catalog
from tests.sample_photos import copy_photos, locate

QUIET_SECONDS = 0.3


class Bench:
    """An intake over a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "photos"
        self.root.mkdir()
        self.catalog = Catalog(folder / "library")
        self.recorded = 0
        self.intake = Intake(self.catalog, Watch(quiet_seconds=QUIET_SECONDS), self._count)

    def _count(self) -> None:
        self.recorded += 1

    def known(self) -> set[str]:
        """The names of the live files the catalog knows."""
        return {
            os.path.basename(path)
            for path, file in self.catalog.known_files(str(self.root)).items()
            if file.missing_since is None
        }

    def hint(self, path: Path, **details: bool) -> None:
        self.intake.follow([Hint("folder" if path.is_dir() else "file", str(self.root), str(path), **details)])

    def settle_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.known()
            self.intake.settle()
            time.sleep(0.02)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.catalog.close()


def age(path: Path) -> None:
    """Wait until nothing about a file, its inode included, is younger than the quiet time."""
    while time.time() - path.stat().st_ctime < QUIET_SECONDS + 0.05:
        time.sleep(0.02)


def test_old_files_are_recorded_by_the_scan_itself(bench: Bench) -> None:
    copy_photos(bench.root, "coffee.png")
    age(bench.root / "coffee.png")
    assert bench.intake.scan(str(bench.root))
    assert bench.known() == {"coffee.png"}
    assert (bench.recorded, bench.intake.settling) == (1, 0)
    assert not bench.intake.scan(str(bench.root))
    assert bench.recorded == 1


def test_new_files_settle_first_however_old_they_claim_to_be(bench: Bench) -> None:
    copy_photos(bench.root, "coffee.png")
    os.utime(bench.root / "coffee.png", (1_000_000_000, 1_000_000_000))
    bench.intake.scan(str(bench.root))
    assert bench.known() == set()
    assert bench.intake.settling == 1
    bench.settle_until(lambda: bench.known() == {"coffee.png"})
    assert bench.intake.settling == 0
    assert bench.intake.settle() is None


def test_a_file_that_grows_is_not_recorded_until_it_rests(bench: Bench) -> None:
    bench.intake = Intake(bench.catalog, Watch(quiet_seconds=2), lambda: None)  # longer than any pause of this machine
    data = locate("coffee.png").read_bytes()
    path = bench.root / "coffee.png"
    for end in range(100_000, len(data) + 100_000, 100_000):
        path.write_bytes(data[:end])
        bench.hint(path)
        bench.intake.settle()
        assert bench.known() == set()
    bench.settle_until(lambda: bench.known() == {"coffee.png"})
    assert bench.catalog.unidentified(1)[0].size == len(data)


def test_a_file_that_goes_while_it_settles_leaves_nothing(bench: Bench) -> None:
    copy_photos(bench.root, "coffee.png")
    bench.hint(bench.root / "coffee.png")
    (bench.root / "coffee.png").unlink()
    bench.settle_until(lambda: bench.intake.settling == 0)
    assert bench.known() == set()


def test_hints_on_folders_find_what_is_below(bench: Bench) -> None:
    copy_photos(bench.root / "album" / "inner", "coffee.png")
    copy_photos(bench.root / "other", "rocket.jpg")
    age(bench.root / "album" / "inner" / "coffee.png")
    bench.hint(bench.root / "album")
    assert bench.known() == {"coffee.png"}


def test_what_is_deleted_is_missing_after_a_hint_or_a_scan(bench: Bench) -> None:
    copy_photos(bench.root, "coffee.png", "rocket.jpg", "moon.png")
    bench.intake.scan(str(bench.root))
    bench.settle_until(lambda: len(bench.known()) == 3)
    (bench.root / "coffee.png").unlink()
    bench.hint(bench.root / "coffee.png")
    bench.settle_until(lambda: len(bench.known()) == 2)
    (bench.root / "rocket.jpg").unlink()
    assert bench.intake.scan(str(bench.root))
    assert bench.known() == {"moon.png"}


def test_a_root_that_is_away_is_an_obstacle_until_it_is_back(bench: Bench, tmp_path: Path) -> None:
    copy_photos(bench.root, "coffee.png")
    bench.intake.scan(str(bench.root))
    bench.settle_until(lambda: len(bench.known()) == 1)
    bench.root.rename(tmp_path / "away")
    bench.intake.scan(str(bench.root))
    assert bench.known() == {"coffee.png"}
    assert str(bench.root) in (bench.intake.obstacle(str(bench.root)) or "")
    (tmp_path / "away").rename(bench.root)
    bench.intake.scan(str(bench.root))
    assert bench.intake.obstacle(str(bench.root)) is None


def test_a_single_file_is_recorded_once(bench: Bench) -> None:
    copy_photos(bench.root, "coffee.png", "rocket.jpg")
    path = bench.root / "coffee.png"
    bench.intake.scan(str(path))
    bench.settle_until(lambda: bench.known() == {"coffee.png"})
    bench.intake.scan(str(path))
    assert bench.intake.settling == 0


@pytest.mark.parametrize("kind", ["text", "pipe", "dangling", "loop"])
def test_a_single_path_that_is_no_photo_is_refused(bench: Bench, kind: str) -> None:
    path = bench.root / "a.jpg"
    match kind:
        case "text":
            path = bench.root / "notes.txt"
            path.write_text("no photo", encoding="utf-8")
        case "pipe":
            os.mkfifo(path)
        case "dangling":
            path.symlink_to(bench.root / "nowhere.jpg")
        case _:
            path.symlink_to(path)
    with pytest.raises(NoSuchPath) as caught:
        bench.intake.scan(str(path))
    assert str(path) in caught.value.title
    assert caught.value.exit_status == 2


def test_paths_to_index_become_absolute_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute(["a", "./a/", tmp_path / "a"]) == [str(tmp_path / "a")]
    for wrong in ("b", "a\0b", "\ud800"):
        with pytest.raises(NoSuchPath):
            absolute(["a", wrong])
