"""A bad file harms only itself: it is listed with a reason for people, and every other photo is found."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from indexer.media.formats import PHOTO_SUFFIXES
from tests.e2e.driver import PROGRAM, Reverie
from tests.sample_photos import copy_photos, locate

GOOD = {"coffee.png", "chelsea.png", "rocket.jpg"}
SUBJECT_TO_PERMISSIONS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Takes from root what lets it read any file."""

TRUNCATED = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tiff": "TIFF", "gif": "GIF", "avif": "AVIF", "heic": "HEIF"}
PYTHON_WORDS = ("Error", "Exception", "Traceback", "errno", "None", "0x", "<class", "object at", "()", "PIL", "numpy")
"""What must not be in a sentence for people."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claim_of_a_huge_picture() -> bytes:
    """A PNG of 60,000 x 60,000 pixels, in a hundred bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def make_broken(folder: Path) -> set[str]:
    """Files that cannot be indexed; returns their names."""
    folder.mkdir()
    pillow_heif.register_heif_opener()
    with Image.open(locate("coffee.png")) as photo:
        for suffix, name in TRUNCATED.items():
            path = folder / f"truncated.{suffix}"
            photo.save(path, name)
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
        photo.resize((1500, 1000)).save(folder / "large.jpg")
    chance = random.Random(5)
    for suffix in PHOTO_SUFFIXES:
        (folder / f"random{suffix}").write_bytes(chance.randbytes(20_000))
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("Dear diary, this is no photo at all.\n" * 20, encoding="utf-8")
    (folder / "page.png").write_text("<!doctype html><html><body>404 Not Found</body></html>", encoding="utf-8")
    (folder / "bomb.png").write_bytes(claim_of_a_huge_picture())
    shutil.copyfile(locate("moon.png"), folder / "forbidden.png")
    (folder / "forbidden.png").chmod(0)
    return {path.name for path in folder.iterdir()}


def make_harmless(folder: Path) -> None:
    """What is not a photo and not a problem: to open some of these would block for ever."""
    folder.mkdir()
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.jpg"))
    (folder / "notes.txt").write_text("not ours", encoding="utf-8")


@pytest.fixture(scope="module")
def broken_names() -> set[str]:
    return set()


@pytest.fixture(scope="module")
def reverie(tmp_path_factory: pytest.TempPathFactory, ready_models: Path, broken_names: set[str]) -> Reverie:
    """A library of good and bad photos, indexed by a user to whom permissions apply."""
    folder = tmp_path_factory.mktemp("broken")
    photos = folder / "photos"
    copy_photos(photos, *GOOD)
    shutil.copyfile(locate("astronaut.png"), photos / "really-a-png.jpg")
    shutil.copyfile(locate("horse.png"), os.fsencode(photos) + b"/caf\xe9.png")
    broken_names |= make_broken(photos / "broken")
    make_harmless(photos / "harmless")
    reverie = Reverie(
        folder / "library",
        ready_models.parent.parent,
        REVERIE_PROCESSING__MAX_MEGAPIXELS="1",
        REVERIE_WATCH__QUIET_SECONDS="0.1",
    )
    reverie.program = (*SUBJECT_TO_PERMISSIONS, *PROGRAM)
    finished = reverie.run("index", photos)
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    assert f"{len(broken_names)} could not be indexed" in finished.stdout
    return reverie


@pytest.fixture(scope="module")
def problems(reverie: Reverie) -> dict[str, dict[str, Any]]:
    """Every problem of the library, by file name."""
    return {os.path.basename(problem["path"]): problem for problem in reverie.json("status")["problems"]}


def test_every_broken_file_is_listed_and_nothing_else(
    broken_names: set[str], problems: dict[str, dict[str, Any]]
) -> None:
    assert set(problems) == broken_names | {"caf\udce9.png"}


def test_every_reason_is_a_sentence_with_a_way_out(problems: dict[str, dict[str, Any]]) -> None:
    for problem in problems.values():
        for sentence in (problem["title"], problem["remedy"]):
            assert sentence[0].isupper() or sentence[0] == "`", problem
            assert sentence.endswith("."), problem
            assert not [word for word in PYTHON_WORDS if word in sentence], problem


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.jpg", "empty"),
        ("text.jpg", "not a "),
        ("page.png", "not a "),
        ("bomb.png", "60,000 x 60,000 pixels"),
        ("large.jpg", "the limit is 1,000,000"),
        ("forbidden.png", "Permission denied"),
        ("caf\udce9.png", "UTF-8"),
        *[(f"truncated.{suffix}", "damaged") for suffix in TRUNCATED],
    ],
)
def test_the_reason_says_what_is_wrong(problems: dict[str, dict[str, Any]], name: str, reason: str) -> None:
    assert reason in problems[name]["title"]


def test_every_good_photo_is_found(reverie: Reverie) -> None:
    found = set(reverie.found("type:photo", "--limit", "100"))
    assert found == GOOD | {"really-a-png.jpg", "caf\udce9.png"}
    assert reverie.found("a cup of coffee on a table")[0] == "coffee.png"
    assert "really-a-png.jpg" in reverie.found("an astronaut")


def test_a_name_that_is_not_text_is_shown_and_can_be_asked_for(reverie: Reverie) -> None:
    [path] = [
        result["path"]
        for result in reverie.json("search", "type:photo", "--limit", "100")["results"]
        if result["path"].endswith("caf\udce9.png")
    ]
    assert reverie.json("show", path)["paths"] == [path]
    shown = reverie.run("show", path)
    assert shown.returncode == 0
    assert "caf\\udce9.png" in shown.stdout


def test_status_lists_them_for_people(reverie: Reverie, broken_names: set[str]) -> None:
    listing = reverie.run("status").stdout
    assert f"Problems ({len(broken_names) + 1}):" in listing
    for name in broken_names:
        assert f"/broken/{name}\n" in listing
    assert "Traceback" not in listing


def test_broken_files_are_left_alone_until_they_change(reverie: Reverie, broken_names: set[str]) -> None:
    photos = reverie.library.parent / "photos"
    # What the system refuses to let be read is tried at each scan; what is broken is not.
    again = "Everything is up to date. 1 could not be indexed: `reverie status` says why.\n"
    assert reverie.run("index", photos).stdout.startswith(again)
    (photos / "broken" / "empty.jpg").write_bytes(locate("flower.jpg").read_bytes())
    (photos / "broken" / "forbidden.png").chmod(0o644)
    assert f"{len(broken_names)} files" in reverie.run("retry").stdout
    finished = reverie.run("index", photos)
    assert "2 files indexed" in finished.stdout
    assert {"empty.jpg", "forbidden.png"} <= set(reverie.found("type:photo", "--limit", "100"))
    remaining = {os.path.basename(problem["path"]) for problem in reverie.json("status")["problems"]}
    assert remaining == broken_names - {"empty.jpg", "forbidden.png"} | {"caf\udce9.png"}
