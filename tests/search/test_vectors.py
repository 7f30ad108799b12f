"""The vector index answers as the catalog's own vectors do, whatever happened to either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import CatalogError
from indexer.records import Embedding, Segment, Space
from search.catalog import Catalog
from search.vectors import VectorIndex
from tests.search.library import SPACE, STAGES, add, analysis, index, stat, unit

Open = Callable[..., VectorIndex]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def catalog(library: Path) -> Iterator[Catalog]:
    catalog = Catalog(library)
    yield catalog
    catalog.close()


def photos(catalog: Catalog, first: int, last: int) -> list[int]:
    return index(catalog, *(stat(f"/p/{number}.jpg") for number in range(first, last)))


def truth(catalog: Catalog, query: NDArray[np.float32], k: int) -> list[int]:
    """The answer by looking at every visible vector."""
    visible = catalog.select_media("TRUE").tolist()
    vectors = catalog.vectors_of_media(SPACE, visible)
    order = np.argsort(-(vectors.data.astype(np.float32) @ query), kind="stable")
    return [int(media_id) for media_id in vectors.media_ids[order][:k]]


def answer(vectors: VectorIndex, query: NDArray[np.float32], k: int, **options: NDArray[np.int64]) -> list[int]:
    return [media_id for media_id, _ in vectors.search(query, k, **options)]


def test_an_exact_index_gives_the_true_order_and_cosines(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 300)
    vectors = VectorIndex(catalog, SPACE, library)
    for seed in range(10):
        query = unit(1000 + seed)
        assert answer(vectors, 5 * query, 10) == truth(catalog, query, 10)
    [(media_id, cosine)] = vectors.search(vectors.vectors_of([7])[0], 1)
    assert media_id == 7
    assert cosine == pytest.approx(1, abs=1e-3)
    assert len(vectors) == 300
    assert len(vectors.search(unit(1), 1000)) == 300


def test_only_allowed_media_answer(catalog: Catalog, library: Path) -> None:
    ids = photos(catalog, 0, 400)
    for vectors in (VectorIndex(catalog, SPACE, library), VectorIndex(catalog, SPACE, library, exact_up_to=10)):
        for allowed in (ids[::40], ids[:300], [], [10**6]):
            found = answer(vectors, unit(5), 20, allowed=np.array(allowed, dtype=np.int64))
            assert found == [one for one in truth(catalog, unit(5), 400) if one in allowed][:20]


def _film(catalog: Catalog, name: str, like: NDArray[np.float32], moments: int) -> int:
    """A film of moments that are all nearly like a vector."""
    [media_id] = add(catalog, stat(name))
    [work] = catalog.claim(1)
    noise = np.random.default_rng(media_id).standard_normal((moments, SPACE.dimension)) * 0.01
    vectors = (like + noise) / np.linalg.norm(like + noise, axis=1, keepdims=True)
    catalog.store(
        [
            replace(
                analysis(work.media_id),
                segments=tuple(Segment(ordinal) for ordinal in range(moments + 1)),
                embeddings=tuple(
                    Embedding(SPACE, vector.astype("<f2").tobytes(), ordinal)
                    for ordinal, vector in enumerate(vectors, 1)
                ),
            )
        ],
        [],
    )
    return media_id


def test_two_long_films_take_two_places_in_an_answer_and_name_their_best_moments(
    catalog: Catalog, library: Path
) -> None:
    query = unit(5005)
    ids = photos(catalog, 0, 100)
    films = [_film(catalog, name, query, 1500) for name in ("/p/a.mp4", "/p/b.mp4")]
    exact = VectorIndex(catalog, SPACE, library)
    found = exact.nearest(query, 40)
    assert {near.media_id for near in found[:2]} == set(films)
    assert [near.media_id for near in found[2:]] == [one for one in truth(catalog, query, 9999) if one in ids][:38]
    for near in found[:2]:
        own = catalog.vectors_of_media(SPACE, [near.media_id])
        cosines = own.data.astype(np.float32) @ query
        assert near.cosine == cosines.max()
        assert set(near.vector_ids) == set(own.ids[np.argsort(-cosines)[:4]].tolist())
    approximate = VectorIndex(catalog, SPACE, library, exact_up_to=100).nearest(query, 102)
    assert len(approximate) == 102
    assert {near.media_id for near in approximate[:2]} == set(films)


def test_an_approximate_index_finds_what_is_close_and_everything_when_asked_for_all(
    catalog: Catalog, library: Path
) -> None:
    photos(catalog, 0, 600)
    vectors = VectorIndex(catalog, SPACE, library, exact_up_to=100)
    own = vectors.vectors_of(range(1, 601))
    assert [answer(vectors, vector, 1) for vector in own[:50]] == [[number] for number in range(1, 51)]
    assert len(vectors.search(unit(1), 600)) == 600


def test_hidden_and_removed_photos_are_gone_at_once_and_new_ones_there_after_a_refresh(
    catalog: Catalog, library: Path
) -> None:
    photos(catalog, 0, 100)
    vectors = VectorIndex(catalog, SPACE, library)
    best, *_ = truth(catalog, unit(5), 1)
    catalog.record_missing([catalog.photos([best])[0].paths[0]])
    assert answer(vectors, unit(5), 10) == truth(catalog, unit(5), 10)
    assert best not in answer(vectors, unit(5), 100)
    catalog.purge_missing(1e12)
    assert answer(vectors, unit(5), 10) == truth(catalog, unit(5), 10)
    photos(catalog, 100, 130)
    vectors.refresh()
    assert len(vectors) == 129
    assert answer(vectors, unit(6), 10) == truth(catalog, unit(6), 10)


def test_a_crowd_of_hidden_near_copies_does_not_hide_the_rest(catalog: Catalog, library: Path) -> None:
    shown = photos(catalog, 0, 20)
    crowd = [stat(f"/crowd/{number}.jpg") for number in range(600)]
    add(catalog, *crowd)
    catalog.store([analysis(work.media_id, vector=unit(5)) for work in catalog.claim(1000)], [])
    vectors = VectorIndex(catalog, SPACE, library)
    catalog.record_missing([one.path for one in crowd])
    assert sorted(answer(vectors, unit(5), 20)) == shown


def test_a_photo_analysed_again_has_its_new_vector(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 50)
    vectors = VectorIndex(catalog, SPACE, library)
    catalog.ensure_jobs(dict.fromkeys(STAGES, 2))
    catalog.store([analysis(work.media_id, vector=unit(10_000 + work.media_id)) for work in catalog.claim(50)], [])
    vectors.refresh()
    assert len(vectors) == 50
    assert answer(vectors, unit(10_003), 1) == [3]
    assert answer(vectors, unit(7), 50) == truth(catalog, unit(7), 50)


@pytest.mark.parametrize("exact_up_to", [10, 10_000])
def test_a_snapshot_is_loaded_and_caught_up(catalog: Catalog, library: Path, exact_up_to: int) -> None:
    photos(catalog, 0, 200)
    VectorIndex(catalog, SPACE, library, exact_up_to=exact_up_to).save()
    [snapshot] = library.glob("vectors-*.faiss")
    catalog.record_missing([f"/p/{number}.jpg" for number in range(10)])
    catalog.purge_missing(1e12)
    photos(catalog, 200, 220)
    vectors = VectorIndex(catalog, SPACE, library, exact_up_to=exact_up_to)
    assert len(vectors) == 210
    assert len(answer(vectors, unit(5), 300)) == 210
    before = snapshot.stat()
    vectors.save()
    assert snapshot.stat().st_ino != before.st_ino
    published = snapshot.stat()
    vectors.save()
    assert snapshot.stat().st_ino == published.st_ino, "nothing changed, so nothing is written"
    assert list(library.glob(".vectors*")) == list(library.glob("*.corrupt-*")) == []


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "empty", "of another space", "of another catalog"])
def test_a_snapshot_in_doubt_is_kept_aside_and_rebuilt(catalog: Catalog, library: Path, damage: str) -> None:
    photos(catalog, 0, 100)
    VectorIndex(catalog, SPACE, library).save()
    [snapshot] = library.glob("vectors-*.faiss")
    content = bytearray(snapshot.read_bytes())
    if damage == "flipped bit":
        content[len(content) // 2] ^= 4
    elif damage == "truncated":
        del content[-200:]
    elif damage == "empty":
        content.clear()
    elif damage == "of another space":
        content = content.replace(b'"dimension": 16', b'"dimension": 99')
    else:
        other = Catalog(library / "other")
        photos(other, 0, 500)
        VectorIndex(other, SPACE, library / "other").save()
        other.close()
        content = bytearray((library / "other" / snapshot.name).read_bytes())
    snapshot.write_bytes(content)
    vectors = VectorIndex(catalog, SPACE, library)
    assert answer(vectors, unit(5), 10) == truth(catalog, unit(5), 10)
    assert len(vectors) == 100
    [aside] = library.glob("*.corrupt-*")
    assert aside.read_bytes() == bytes(content)
    vectors.save()
    assert len(VectorIndex(catalog, SPACE, library)) == 100


def test_many_removals_shrink_the_index(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 1000)
    vectors = VectorIndex(catalog, SPACE, library)
    vectors.save()
    [snapshot] = library.glob("vectors-*.faiss")
    large = snapshot.stat().st_size
    catalog.record_missing([f"/p/{number}.jpg" for number in range(500)])
    catalog.purge_missing(1e12)
    vectors.refresh()
    vectors.save()
    assert snapshot.stat().st_size < 0.6 * large
    assert answer(vectors, unit(5), 10) == truth(catalog, unit(5), 10)


def test_a_snapshot_from_before_the_newest_photos_were_forgotten_is_good(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 100)
    VectorIndex(catalog, SPACE, library).save()
    catalog.forget([f"/p/{number}.jpg" for number in range(60, 100)])
    vectors = VectorIndex(catalog, SPACE, library)
    assert answer(vectors, unit(5), 10) == truth(catalog, unit(5), 10)
    assert len(vectors) == 60
    assert list(library.glob("*.corrupt-*")) == []


def test_an_index_that_outgrows_exact_search_goes_on_answering(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 90)
    vectors = VectorIndex(catalog, SPACE, library, exact_up_to=100)
    photos(catalog, 90, 400)
    vectors.refresh()
    assert len(vectors) == 400
    assert len(answer(vectors, unit(5), 400)) == 400


def test_searches_go_on_while_the_index_changes(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 200)
    vectors = VectorIndex(catalog, SPACE, library, exact_up_to=300)
    done = threading.Event()
    wrong: list[list[int]] = []

    def search() -> None:
        while not done.is_set():
            found = answer(vectors, unit(5), 20)
            if len(found) != 20 or len(set(found)) != 20:
                wrong.append(found)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for searcher in searchers:
        searcher.start()
    for step in range(6):
        photos(catalog, 200 + 40 * step, 240 + 40 * step)
        catalog.record_missing([f"/p/{number}.jpg" for number in range(20 * step, 20 * step + 20)])
        catalog.purge_missing(1e12)
        vectors.refresh()
    done.set()
    for searcher in searchers:
        searcher.join()
    assert wrong == []
    assert len(vectors) == 320


@pytest.mark.parametrize(
    "vector", [np.zeros(16), np.full(16, np.nan), np.full(16, np.inf), np.ones(8), np.ones((1, 16))]
)
def test_a_query_without_a_direction_is_refused(catalog: Catalog, library: Path, vector: NDArray[np.float32]) -> None:
    photos(catalog, 0, 3)
    with pytest.raises(ValueError, match="vector"):
        VectorIndex(catalog, SPACE, library).search(vector.astype(np.float32), 1)


def test_spaces_do_not_mix_and_an_empty_one_answers_nothing(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 10)
    other = Space("model/Ü @2 : a very odd name", 16)
    empty = VectorIndex(catalog, other, library)
    assert empty.search(unit(1), 5) == []
    assert empty.vectors_of([1]).shape == (0, 16)
    empty.save()
    VectorIndex(catalog, SPACE, library).save()
    assert len(list(library.glob("vectors-*.faiss"))) == 2
    assert VectorIndex(catalog, other, library).search(unit(1), 5) == []


def test_a_snapshot_that_cannot_be_written_says_so_and_may_be_written_later(catalog: Catalog, library: Path) -> None:
    photos(catalog, 0, 10)
    vectors = VectorIndex(catalog, SPACE, library / "gone")
    with pytest.raises(CatalogError, match="cannot be written"):
        vectors.save()
    (library / "gone").mkdir()
    vectors.save()
    assert len(list((library / "gone").iterdir())) == 1


def test_an_index_may_be_opened_while_another_one_of_its_space_grows_and_is_saved(
    catalog: Catalog, library: Path
) -> None:
    photos(catalog, 1, 50)
    growing = VectorIndex(catalog, SPACE, library)
    done = threading.Event()

    def grow() -> None:
        try:
            for step in range(40):
                index(catalog, stat(f"/more/{step}.jpg"))
                growing.refresh()
                growing.save()
        finally:
            done.set()

    thread = threading.Thread(target=grow)
    thread.start()
    sizes = [len(VectorIndex(catalog, SPACE, library))]
    while not done.is_set():
        sizes.append(len(VectorIndex(catalog, SPACE, library)))
    thread.join()
    assert sizes == sorted(sizes)
    assert len(VectorIndex(catalog, SPACE, library)) == len(growing) > 80
    assert list(library.glob("*.corrupt-*")) == [], "no good snapshot is taken for a damaged one"
