"""Files get their identity from their content, and only from what the catalog knows them to be."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from daemon.identify import Identifier
from daemon.scan import look
from indexer.records import Kind
from indexer.stages import STAGES
from search.catalog import Catalog
from tests.sample_photos import copy_photos


class Bench:
    """A catalog, and an identifier over it that remembers what it was told."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog(folder / "library")
        self.look_again: list[str] = []
        self.digests: list[bytes] = []
        self.refusals = 0
        self.beginnings: dict[str, int] = {}
        self.went_on: list[tuple[str, str]] = []
        self.identifier = Identifier(
            self.catalog,
            stages=lambda: STAGES,
            threads=2,
            look_again=self.look_again.append,
            identified=self._identified,
            may_go_on=lambda: self.beginnings,
            went_on=lambda before, after: self.went_on.append((before, after)),
            refused=self._refused,
        )

    def _identified(self, digests: Collection[bytes]) -> None:
        self.digests.extend(digests)

    def _refused(self) -> None:
        self.refusals += 1

    def record(self, *paths: Path | str) -> None:
        for path in paths:
            stat = look(str(path))
            assert stat is not None
            self.catalog.record_files([stat])

    def run_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            self.identifier.step()
            time.sleep(0.01)

    def finish(self) -> None:
        self.run_until(lambda: not self.identifier.step())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.identifier.stop()
    bench.catalog.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    copy_photos(tmp_path / "photos", "coffee.png", "rocket.jpg")
    return tmp_path / "photos"


def test_the_sha256_of_its_content_names_a_photo(bench: Bench, photos: Path) -> None:
    bench.record(*photos.iterdir())
    bench.finish()
    assert bench.catalog.unidentified(10) == []
    for path in photos.iterdir():
        media_id = bench.catalog.media_at(str(path))
        assert media_id is not None
        [row] = bench.catalog.photos([media_id])
        assert row.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
        assert bytes.fromhex(row.content_hash) in bench.digests
    assert bench.catalog.counts().pending == 2


def test_copies_share_one_identity(bench: Bench, photos: Path) -> None:
    (photos / "copy.png").write_bytes((photos / "coffee.png").read_bytes())
    bench.record(*photos.iterdir())
    bench.finish()
    assert bench.catalog.media_at(str(photos / "copy.png")) == bench.catalog.media_at(str(photos / "coffee.png"))
    assert bench.catalog.counts().media == 2


@pytest.mark.parametrize("change", ["rewritten", "gone", "pipe", "folder"])
def test_a_file_that_is_no_longer_what_was_seen_is_looked_at_again_and_not_linked(
    bench: Bench, photos: Path, change: str
) -> None:
    path = photos / "coffee.png"
    bench.record(path)
    path.unlink()
    match change:
        case "rewritten":
            path.write_bytes((photos / "rocket.jpg").read_bytes())
        case "pipe":
            os.mkfifo(path)  # opening it must not wait for a writer
        case "folder":
            path.mkdir()
    bench.run_until(lambda: bool(bench.look_again))
    bench.finish()
    assert bench.look_again == [str(path)]
    assert bench.catalog.media_at(str(path)) is None
    assert bench.refusals == 0
    if change == "rewritten":
        bench.record(path)
        bench.finish()
        assert bench.catalog.media_at(str(path)) is not None


def test_a_file_that_cannot_be_read_is_listed_once_and_holds_nobody_up(
    bench: Bench, photos: Path, tmp_path: Path
) -> None:
    # A loop of links cannot be opened by anybody, root included.
    bench.record(*photos.iterdir())
    (photos / "coffee.png").unlink()
    (photos / "coffee.png").symlink_to(photos / "coffee.png")
    bench.finish()
    [problem] = bench.catalog.problems()
    assert problem.path == str(photos / "coffee.png")
    assert problem.title == "The file cannot be read: Too many levels of symbolic links."
    assert bench.refusals == 1
    assert bench.catalog.media_at(str(photos / "rocket.jpg")) is not None


def test_a_name_that_is_not_text_is_indexed_and_noted(bench: Bench, photos: Path) -> None:
    path = os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png")
    os.rename(photos / "coffee.png", path)
    bench.record(path)
    bench.finish()
    assert bench.catalog.media_at(path) is not None
    [problem] = bench.catalog.problems()
    assert problem.path == path
    assert "UTF-8" in problem.title
    assert bench.catalog.retry_problems() == 0
    assert len(bench.catalog.problems()) == 1


def test_the_content_says_of_which_kind_a_file_is_whatever_its_name(bench: Bench, photos: Path) -> None:
    wav, film = photos / "memo.wav", photos / "film.jpg"
    wav.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28))
    film.write_bytes(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + bytes(100_000))
    bench.record(wav, film, photos / "coffee.png")
    bench.finish()
    kinds = {}
    for path in (wav, film, photos / "coffee.png"):
        media_id = bench.catalog.media_at(str(path))
        assert media_id is not None
        [row] = bench.catalog.photos([media_id])
        kinds[path.name] = row.kind
    assert kinds == {"memo.wav": Kind.AUDIO, "film.jpg": Kind.VIDEO, "coffee.png": Kind.PHOTO}


def test_a_large_file_that_was_copied_with_its_times_is_told_by_a_sample(bench: Bench, tmp_path: Path) -> None:
    path, copy = tmp_path / "film.mp4", tmp_path / "copy"
    content = bytearray(os.urandom(6 << 20))
    path.write_bytes(content)
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    bench.record(path)
    bench.finish()
    first = bench.catalog.media_at(str(path))

    def replace(changed_at: int) -> None:
        content[changed_at] ^= 0xFF
        copy.write_bytes(content)
        os.utime(copy, ns=(1, 1_600_000_000_123_456_789))
        copy.replace(path)
        bench.record(path)
        bench.finish()

    replace(2 << 20)
    assert bench.catalog.media_at(str(path)) == first, "no more than a sample was read: it is outside of it"
    replace(0)
    assert bench.catalog.media_at(str(path)) != first
    assert bench.catalog.unidentified(10) == []


def test_a_file_that_the_system_does_not_give_is_tried_again_at_the_next_scan(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    bench.record(path)
    bench.catalog.record_problem(str(path), "The file cannot be read: Input/output error.", "Check it.", refused=True)
    assert bench.catalog.unidentified(10) == []
    assert bench.catalog.retry_refused(str(tmp_path)) == 1
    bench.finish()
    assert bench.catalog.problems() == []
    assert bench.catalog.media_at(str(path)) is not None


def test_a_recording_that_went_on_is_known_by_its_beginning_and_one_that_was_changed_is_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first, second = os.urandom(300_000), os.urandom(200_000)
    hashes = [hashlib.sha256(data).hexdigest() for data in (first[:1000], first, first + second)]
    bench.beginnings = {hashes[0]: 1000, hashes[1]: len(first), hashlib.sha256(second).hexdigest(): len(second)}
    grown, changed = tmp_path / "grown.ts", tmp_path / "changed.ts"
    grown.write_bytes(first + second)
    changed.write_bytes(b"?" + first[1:] + second)
    bench.record(grown, changed)
    bench.finish()
    assert bench.went_on == [(hashes[1], hashes[2])]
