"""What never enters, and what does."""

from __future__ import annotations

import pytest

from config.errors import ConfigError
from daemon.ignore import IgnoreRules


@pytest.mark.parametrize(
    "name",
    [
        "._IMG_0001.JPG",
        ".hidden.jpg",
        ".goutputstream-7GAX81",
        ".syncthing.a.jpg.tmp",
        "IMG_0001.jpg.part",
        "IMG_0001.JPG.CRDOWNLOAD",
        "album/2019/a.jpg.tmp",
        "~lock.jpg",
        "a.jpg~",
    ],
)
def test_half_files_and_droppings_are_left_out(name: str) -> None:
    assert IgnoreRules().skips_file(name)


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "2019/@EADIR",
        ".stversions",
        ".stfolder",
        "#recycle",
        ".Trash-1000",
        "__MACOSX",
        "lost+found",
        "$RECYCLE.BIN",
        ".~tmp~",
        ".rsync-partial",
        "a.jpg.download",
        ".git",
    ],
)
def test_folders_of_other_programs_are_left_out(name: str) -> None:
    assert IgnoreRules().skips_folder(name)


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "2019/tmp.jpg", "party.jpeg", "a~b.jpg", "lost.jpg", "part/a.jpg", "\udce9t\udce9.jpg", "a\nb.jpg"],
)
def test_ordinary_photos_enter(name: str) -> None:
    rules = IgnoreRules()
    assert not rules.skips_file(name)
    assert not rules.skips_folder(name.removesuffix(".jpg"))


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.gif", "a.gif", True),
        ("*.gif", "deep/er/a.gif", True),
        ("*.gif", "a.GIF", False),
        ("Screenshots", "phone/Screenshots", True),
        ("Screenshots", "Screenshots2", False),
        ("2019/raw", "2019/raw", True),
        ("2019/raw", "old/2019/raw", False),
        ("/Exports", "Exports", True),
        ("/Exports", "a/Exports", False),
        ("2019/*/proofs", "2019/may/proofs", True),
        ("2019/*/proofs", "2019/may/1/proofs", False),
        ("2019/**/proofs", "2019/may/1/proofs", True),
        ("2019/**/proofs", "2019/proofs", True),
        ("**/proofs/*.jpg", "a/b/proofs/1.jpg", True),
        ("**/proofs/*.jpg", "proofs/1.jpg", True),
        ("private/**", "private/a/b.jpg", True),
        ("IMG_000?.jpg", "IMG_0001.jpg", True),
        ("IMG_[0-9].jpg", "IMG_1.jpg", True),
        ("IMG_[!0-9].jpg", "IMG_1.jpg", False),
        ("[Ab].jpg", "A.jpg", True),
        ("a[.jpg", "a[.jpg", True),
        ("[[]x].jpg", "[x].jpg", True),
        ("été*", "été 2019.jpg", True),
        ("a+(1).jpg", "a+(1).jpg", True),
    ],
)
def test_own_globs(pattern: str, path: str, *, matches: bool) -> None:
    assert IgnoreRules([pattern]).skips_file(path) is matches
    assert IgnoreRules([pattern]).skips_folder(path) is matches


def test_a_glob_that_ends_in_a_slash_matches_folders_only() -> None:
    rules = IgnoreRules(["raw/"])
    assert rules.skips_folder("2019/raw")
    assert not rules.skips_file("2019/raw")


@pytest.mark.parametrize("pattern", ["", "  ", "/"])
def test_an_empty_glob_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        IgnoreRules([pattern])


def test_markers() -> None:
    assert IgnoreRules().is_marked(["a.jpg", ".nomedia"])
    assert not IgnoreRules().is_marked(["a.jpg", "nomedia"])
    assert IgnoreRules(markers=["skip.me"]).is_marked(["skip.me"])
    assert not IgnoreRules(markers=()).is_marked([".nomedia"])
