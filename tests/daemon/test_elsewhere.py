"""Known paths that no scan comes by: what is hidden, and what is kept because its disk may be away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.elsewhere import judge, look_elsewhere
from daemon.roots import configure, root_notes
from daemon.scan import look
from indexer.records import Kind
from search.catalog import Catalog, KnownFile
from tests.search.library import STAGES, digest, finish

OTHER_DISK = 987654


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "library")
    yield made
    made.close()


def put(catalog: Catalog, *paths: Path, **changes: int) -> None:
    """Files that are there and indexed, as `changes` of their stats have them."""
    stats = []
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path).encode())
        seen = look(str(path))
        assert seen is not None
        stats.append(replace(seen, **changes))  # type: ignore[arg-type]
    catalog.record_files(stats)
    catalog.identify([(one, digest(one.path), Kind.PHOTO) for one in stats], STAGES)
    finish(catalog)


def answers(catalog: Catalog) -> set[str]:
    """The names of the files that a search may answer with."""
    known = catalog.known_files("/").values()
    return {Path(file.path).name for file in known if file.missing_since is None}


def known(catalog: Catalog) -> list[KnownFile]:
    return list(catalog.known_files("/").values())


def test_deleted_files_and_folders_are_gone_and_others_stay(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, tmp_path / "a" / "deleted.jpg", tmp_path / "a" / "kept.jpg", tmp_path / "b" / "c" / "below.jpg")
    put(catalog, tmp_path / "scanned" / "other.jpg")
    (tmp_path / "a" / "deleted.jpg").unlink()
    (tmp_path / "scanned" / "other.jpg").unlink()
    shutil.rmtree(tmp_path / "b")
    assert look_elsewhere(catalog, [str(tmp_path / "scanned")]) == 2
    assert answers(catalog) == {"kept.jpg", "other.jpg"}
    assert catalog.counts().missing == 2, "what is known is kept for a while"


@pytest.mark.parametrize("mount_point", [True, False])
def test_what_was_on_another_disk_is_kept(catalog: Catalog, tmp_path: Path, mount_point: bool) -> None:  # noqa: FBT001
    put(catalog, tmp_path / "usb" / "a.jpg", tmp_path / "usb" / "b" / "c.jpg", device=OTHER_DISK)
    shutil.rmtree(tmp_path / "usb")
    if mount_point:
        (tmp_path / "usb").mkdir()
    assert look_elsewhere(catalog, []) == 0
    assert answers(catalog) == {"a.jpg", "c.jpg"}


def test_a_disk_mounted_under_another_number_is_the_same_disk(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, tmp_path / "usb" / "a.jpg", tmp_path / "usb" / "b.jpg", device=OTHER_DISK)
    (tmp_path / "usb" / "b.jpg").unlink()
    assert judge(known(catalog)).gone == [str(tmp_path / "usb" / "b.jpg")]


def test_a_link_that_leads_nowhere_keeps_what_was_behind_it(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    put(catalog, tmp_path / "link" / "a.jpg")
    shutil.rmtree(tmp_path / "disk")
    assert look_elsewhere(catalog, []) == 0


def test_a_root_that_is_another_folder_now_is_asked_about(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "usb's"
    catalog.ask_root(str(root))
    put(catalog, root / "a.jpg")
    status = root.stat()
    catalog.note_root(str(root), identity=(status.st_dev, status.st_ino + 1), unsure=0)
    (root / "a.jpg").unlink()
    assert look_elsewhere(catalog, []) == 0
    [note] = root_notes(catalog)
    assert note["title"] == f"{root} was emptied or deleted, or its disk is not mounted: 1 file in it is kept."
    assert f"""reverie forget '{tmp_path}/usb'"'"'s'""" in note["remedy"]
    catalog.forget([str(root)])
    assert root_notes(catalog) == []


def test_a_folder_of_the_settings_that_is_not_there_is_kept_until_it_is_named(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, tmp_path / "album" / "a.jpg")
    configure(catalog, [str(tmp_path / "album")], 30)
    shutil.rmtree(tmp_path / "album")
    assert look_elsewhere(catalog, []) == 0
    assert len(root_notes(catalog)) == 1
    put(catalog, tmp_path / "album" / "a.jpg")
    assert look_elsewhere(catalog, []) == 0
    assert root_notes(catalog) == []


# -- folders of the settings


def test_a_folder_taken_out_of_the_settings_is_hidden_and_back_when_it_is_put_back(
    catalog: Catalog, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    put(catalog, old / "a.jpg", old / "kept" / "b.jpg", new / "c.jpg", tmp_path / "by hand" / "d.jpg")
    catalog.ask_root(str(old / "kept"))
    assert configure(catalog, [str(old), str(new)], 30) == []
    [told] = configure(catalog, [str(new)], 30)
    assert told == (
        f"{old} is not among the folders of the settings any more: 1 file of it is hidden, and what is known is kept"
        " for 30 days."
    )
    assert answers(catalog) == {"b.jpg", "c.jpg", "d.jpg"}
    assert "taken out of the settings" in root_notes(catalog)[0]["title"]
    assert configure(catalog, [str(new)], 30) == []
    configure(catalog, [str(old), str(new)], 30)
    assert root_notes(catalog) == []
    seen = look(str(old / "a.jpg"))
    assert seen is not None
    catalog.record_files([seen])
    assert "a.jpg" in answers(catalog)
    assert catalog.unidentified(10) == []


def test_a_folder_that_is_named_again_after_it_was_taken_out_stays(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, tmp_path / "a" / "b.jpg")
    configure(catalog, [str(tmp_path / "a")], 30)
    configure(catalog, [], 30)
    catalog.ask_root(str(tmp_path / "a"))
    assert configure(catalog, [], 30) == []
    assert root_notes(catalog) == []


def test_a_dropped_root_is_forgotten_with_the_last_file_in_it(catalog: Catalog, tmp_path: Path) -> None:
    put(catalog, tmp_path / "a" / "b.jpg")
    configure(catalog, [str(tmp_path / "a")], 30)
    configure(catalog, [], 30)
    catalog.purge_missing(1e12)
    catalog.drop_empty_roots()
    assert catalog.roots() == []
