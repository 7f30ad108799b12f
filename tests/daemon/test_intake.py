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
from daemon.passed_over import PassedOver
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
        self.passed_over = PassedOver(folder / "library")
        self.intake = Intake(
            self.catalog, Watch(quiet_seconds=QUIET_SECONDS), self._count, passed_over=self.passed_over
        )

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


TRANSPORT_STREAM = (b"G\x40\x00\x10" + bytes(184)) * 30
PROGRAM_TEXT = b"export const answer = 42;\n" * 200


def test_a_file_whose_suffix_leaves_it_open_is_told_by_its_content(bench: Bench) -> None:
    (bench.root / "tv.ts").write_bytes(TRANSPORT_STREAM)
    (bench.root / "cut.TS").write_bytes(TRANSPORT_STREAM[100:])
    (bench.root / "MOV001.MOD").write_bytes(b"\x00\x00\x01\xba" + bytes(2000))
    (bench.root / "index.ts").write_bytes(PROGRAM_TEXT)
    (bench.root / "go.mod").write_bytes(b"module example.org/x\n")
    (bench.root / "song.mod").write_bytes(b"ID3 a tune".ljust(20, b" ") + b"GGGG" * 1000)
    bench.intake.scan(str(bench.root))
    bench.settle_until(lambda: bench.known() == {"tv.ts", "cut.TS", "MOV001.MOD"})
    assert bench.passed_over.counts() == {".mod": 2, ".ts": 1}


def test_such_a_file_is_told_when_it_is_noticed_alone_and_again_when_it_changes(bench: Bench) -> None:
    tv, text = bench.root / "tv.ts", bench.root / "index.ts"
    tv.write_bytes(TRANSPORT_STREAM)
    text.write_bytes(PROGRAM_TEXT)
    bench.hint(text)
    bench.hint(tv)
    bench.settle_until(lambda: bench.known() == {"tv.ts"} and not bench.intake.settling)
    text.write_bytes(TRANSPORT_STREAM * 2)
    bench.hint(text)
    bench.settle_until(lambda: bench.known() == {"tv.ts", "index.ts"})


def test_a_file_that_is_named_is_told_by_its_content_and_stays_when_its_folder_is_scanned(bench: Bench) -> None:
    strange = bench.root / "strange.xyz"
    strange.write_bytes(locate("rocket.jpg").read_bytes())
    age(strange)
    bench.intake.scan(str(bench.root))
    assert (bench.known(), bench.passed_over.counts()) == (set(), {".xyz": 1})
    bench.intake.scan(str(strange))
    bench.settle_until(lambda: bench.known() == {"strange.xyz"})
    bench.intake.scan(str(bench.root))
    assert (bench.known(), bench.passed_over.counts()) == ({"strange.xyz"}, {})


@pytest.mark.parametrize("content", [b"MAC addresses of the house\n", b"P1 and P2 are parsers", b"", b"%PDF-1.7\n\x00"])
def test_a_file_that_is_named_and_no_media_file_is_refused(bench: Bench, content: bytes) -> None:
    (bench.root / "strange.xyz").write_bytes(content)
    with pytest.raises(NoSuchPath, match="not a photo, video or sound"):
        bench.intake.scan(str(bench.root / "strange.xyz"))


def test_what_is_passed_over_is_counted_by_suffix_and_remembered(bench: Bench) -> None:
    inner, hidden = bench.root / "inner", bench.root / ".git"
    for folder in (inner, hidden):
        folder.mkdir()
    for name in ("a.pdf", "b.PDF", "README", "a.xmp", "b.aae", "c.srt", "d.json", ".hidden.xyz", "half.jpg.part"):
        (bench.root / name).write_bytes(b"x")
    (inner / "c.pdf").write_bytes(b"x")
    (hidden / "pack").write_bytes(b"x")
    bench.intake.scan(str(inner))
    bench.intake.scan(str(bench.root))
    assert PassedOver(bench.root.parent / "library").counts() == {".pdf": 3, "": 1}
    bench.intake.scan(str(inner))
    assert bench.passed_over.counts() == {".pdf": 3, "": 1}, "a folder below a root is not counted twice"
    (bench.root / "README").unlink()
    bench.intake.scan(str(bench.root))
    assert bench.passed_over.counts() == {".pdf": 3}


def test_a_small_copy_stays_out_beside_its_recording_and_comes_in_without_it(bench: Bench) -> None:
    copy, film = (bench.root / f"{name}.insv" for name in ("LRV_20230701_120000_01_001", "VID_20230701_120000_00_001"))
    for path in (copy, film):
        path.write_bytes(b"a film")
        age(path)
    bench.intake.scan(str(bench.root))
    assert bench.known() == {film.name}
    bench.hint(copy)
    bench.settle_until(lambda: not bench.intake.settling)
    assert bench.known() == {film.name}
    with pytest.raises(NoSuchPath, match="small copy"):
        bench.intake.scan(str(copy))
    film.unlink()
    bench.intake.scan(str(bench.root))
    assert bench.known() == {copy.name}
