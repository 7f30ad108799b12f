"""What is forgotten on purpose, what stays, and what a kill in between leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.answers import NotIndexed
from daemon.forgetting import forget, remove_pictures
from indexer.pictures import Pictures
from indexer.records import Kind
from search.authored import Authored
from search.catalog import Catalog
from tests.search.library import STAGES, analysis, digest, found, index, stat


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "library")
    yield made
    made.close()


@pytest.fixture
def authored(tmp_path: Path) -> Authored:
    return Authored(tmp_path / "library")


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path / "thumbnails")


def content_of(catalog: Catalog, media_id: int) -> str:
    return catalog.photos([media_id])[0].content_hash


def shown(tmp_path: Path) -> int:
    return sum(1 for path in (tmp_path / "thumbnails").rglob("*") if path.is_file())


def test_a_folder_is_forgotten_with_all_that_was_derived(
    catalog: Catalog, authored: Authored, pictures: Pictures, tmp_path: Path
) -> None:
    one, two, copied, beside = index(
        catalog, stat("/p/a/1.jpg"), stat("/p/a/b/2.jpg"), stat("/p/a/3.jpg", 7), stat("/p/ab/4.jpg"), title="sunset"
    )
    catalog.record_files([stat("/q/3.jpg", 7)])
    catalog.record_missing(["/p/a/b/2.jpg"])
    authored.add_tags(content_of(catalog, one), ["best"])
    for media_id in (one, two, copied, beside):
        pictures.keep_thumbnail(content_of(catalog, media_id), b"jpeg")
        pictures.keep_keyframe(content_of(catalog, media_id), 1, b"jpeg")
    told = forget(catalog, authored, ["/p/a"], watched=(), dry_run=True)
    assert told == {"files": 3, "contents": 2, "shared": 1, "authored": 1, "again": []}
    assert found(catalog, "sunset") == {one, copied, beside}

    assert forget(catalog, authored, ["/p/a"], watched=(), dry_run=False) == told
    remove_pictures(catalog, pictures, tmp_path / "notes", in_hand=())
    assert found(catalog, "sunset") == {copied, beside}
    assert found(catalog, "p") == {beside}, "the path that is forgotten leads to nothing that has another"
    assert catalog.counts().vectors == {"test@1": 2}
    assert shown(tmp_path) == 4
    assert len(authored.contents()) == 1
    with pytest.raises(NotIndexed):
        forget(catalog, authored, ["/p/ab", "/p/a"], watched=(), dry_run=False)
    assert found(catalog, "p") == {beside}, "all or nothing"


def test_a_name_that_a_file_had_before_it_moved_does_not_keep_it(catalog: Catalog, authored: Authored) -> None:
    [one] = index(catalog, stat("/old/a.jpg"))
    moved, content = stat("/new/a.jpg"), bytes.fromhex(content_of(catalog, one))
    catalog.record_files([moved])
    catalog.identify([(moved, content, Kind.PHOTO)], STAGES)
    catalog.record_missing(["/old/a.jpg"])
    told = forget(catalog, authored, ["/new"], watched=(), dry_run=True)
    assert (told["files"], told["contents"], told["shared"]) == (1, 1, 0)
    assert forget(catalog, authored, ["/new"], watched=(), dry_run=False) == told
    assert (catalog.photos([one]), catalog.counts().missing) == ([], 0)


def test_more_paths_than_one_statement_takes_are_forgotten(catalog: Catalog, authored: Authored) -> None:
    paths = [f"/p/{number}.jpg" for number in range(11_000)]  # three values each: SQLite takes 32,766
    seen = [stat(path) for path in paths]
    catalog.record_files(seen)
    # One content, whose two paths lie far apart in the order.
    catalog.identify([(seen[0], digest("a"), Kind.PHOTO), (seen[-1], digest("a"), Kind.PHOTO)], STAGES)
    told = forget(catalog, authored, paths, watched=(), dry_run=True)
    assert (told["files"], told["contents"], told["shared"]) == (len(paths), 1, 0)
    assert forget(catalog, authored, paths, watched=(), dry_run=False) == told
    assert catalog.counts().files == catalog.counts().media == 0


def test_what_is_in_a_workers_hand_does_not_come_back(
    catalog: Catalog, authored: Authored, pictures: Pictures, tmp_path: Path
) -> None:
    [seen] = [stat("/p/a.jpg")]
    catalog.record_files([seen])
    catalog.identify([(seen, digest("a"), Kind.PHOTO)], STAGES)
    [work] = catalog.claim(1)
    forget(catalog, authored, ["/p/a.jpg"], watched=(), dry_run=False)
    remove_pictures(catalog, pictures, tmp_path / "notes", in_hand={work.media_id})
    pictures.keep_thumbnail(work.content_hash, b"jpeg")  # the worker is still at it
    catalog.store([analysis(work.media_id)], [])
    assert (catalog.counts().media, catalog.photos([work.media_id])) == (0, [])
    remove_pictures(catalog, pictures, tmp_path / "notes", in_hand=())
    assert shown(tmp_path) == 0
    assert catalog.forgotten() == {}


def test_content_that_was_indexed_again_keeps_its_pictures(
    catalog: Catalog, authored: Authored, pictures: Pictures, tmp_path: Path
) -> None:
    [one] = index(catalog, stat("/p/a.jpg"))
    content = content_of(catalog, one)
    forget(catalog, authored, ["/p/a.jpg"], watched=(), dry_run=False)
    [again] = index(catalog, stat("/p/a.jpg"))
    assert content_of(catalog, again) == content
    pictures.keep_thumbnail(content, b"jpeg")
    remove_pictures(catalog, pictures, tmp_path / "notes", in_hand=())
    assert (shown(tmp_path), catalog.forgotten()) == (1, {})


def test_what_is_still_there_in_a_watched_folder_is_said_to_come_back(
    catalog: Catalog, authored: Authored, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").touch()
    index(catalog, stat(f"{tmp_path}/a.jpg"), stat("/gone/b.jpg"))
    paths = [f"{tmp_path}/a.jpg", "/gone/b.jpg"]
    told = forget(catalog, authored, paths, watched=[str(tmp_path), "/gone"], dry_run=True)
    assert told["again"] == [f"{tmp_path}/a.jpg"]


def test_a_kill_at_any_statement_leaves_a_library_that_can_be_asked_again(
    catalog: Catalog, authored: Authored, pictures: Pictures, tmp_path: Path
) -> None:
    a, b, _ = index(catalog, stat("/p/a.jpg"), stat("/p/b.jpg"), stat("/q/c.jpg"), title="sunset")
    for media_id in (a, b):
        pictures.keep_thumbnail(content_of(catalog, media_id), b"jpeg")
    killed: list[Path] = []

    def copy(_: str) -> None:
        killed.append(tmp_path / f"killed-{len(killed)}")
        for name in ("library", "thumbnails"):
            shutil.copytree(tmp_path / name, killed[-1] / name)

    writer = catalog._database._writer
    assert writer is not None
    writer.set_trace_callback(copy)
    forget(catalog, authored, ["/p"], watched=(), dry_run=False)
    remove_pictures(catalog, pictures, tmp_path / "notes", in_hand=())
    writer.set_trace_callback(None)
    assert len(killed) > 10
    for folder in killed:
        again = Catalog(folder / "library")
        assert len(found(again, "sunset")) in {1, 3}, "the state before or after"
        if again.known_in("/p"):
            forget(again, authored, ["/p"], watched=(), dry_run=False)
        remove_pictures(again, Pictures(folder / "thumbnails"), tmp_path / "notes", in_hand=())
        assert len(found(again, "sunset")) == again.counts().media == 1
        assert [path for path in (folder / "thumbnails").rglob("*") if path.is_file()] == []
        again.close()
