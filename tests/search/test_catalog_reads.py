"""What search and `show` get to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.catalog import Catalog
from tests.search.library import STAGES, add, found, index, stat


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "library")
    yield catalog
    catalog.close()


def test_a_photo_row_tells_everything(catalog: Catalog) -> None:
    [one] = index(
        catalog,
        stat("/p/a.jpg"),
        tags=["tabby cat", "sofa"],
        title="Ida on Opa's sofa",
        keywords=("home", "été"),
        people=("Ida",),
        taken_at="2021-06-01T12:00:00",
        latitude=52.5,
        iso=400,
        rating=-1,
    )
    [row] = catalog.photos([one, 999])
    assert row.info is not None
    assert (row.info.title, row.info.keywords, row.info.people) == ("Ida on Opa's sofa", ("home", "été"), ("Ida",))
    assert (row.info.latitude, row.info.iso, row.info.rating, row.info.lens) == (52.5, 400, -1, None)
    assert row.pixels is not None
    assert row.pixels.perceptual_hash == -(2**63)
    assert {tag.name for tag in row.tags} == {"tabby cat", "sofa"}
    assert [(job.stage, job.state) for job in row.jobs] == [(stage, "done") for stage in STAGES]
    assert len(row.content_hash) == 64


def test_photos_come_in_the_order_asked(catalog: Catalog) -> None:
    ids = index(catalog, *(stat(f"/p/{number}.jpg") for number in range(5)))
    assert [row.media_id for row in catalog.photos(ids[::-1])] == ids[::-1]


@pytest.mark.parametrize(
    ("words", "column"),
    [
        ("sunset", "title"),
        ("waves", "description"),
        ("holiday", "keywords"),
        ("ida", "people"),
        ('"tabby cat"', "tags"),
        ("italien", "path"),
        ("canon", "camera"),
        ("italién", "path"),
        ("wave", "description"),
    ],
)
def test_every_word_is_found_where_it_stands(catalog: Catalog, words: str, column: str) -> None:
    [one] = index(
        catalog,
        stat("/photos/Italien_2019/IMG-1.jpg"),
        title="Sunset",
        description="The waves at night",
        keywords=("holiday",),
        people=("Ida",),
        tags=["tabby cat"],
        camera="Canon EOS 5D",
    )
    index(catalog, stat("/photos/other.jpg"))
    [match] = catalog.text_matches(words, 10)
    assert (match.media_id, match.columns) == (one, (column,))


def test_what_a_person_wrote_counts_more_than_a_guess(catalog: Catalog) -> None:
    [guess] = index(catalog, stat("/p/1.jpg"), tags=["beach"])
    [written] = index(catalog, stat("/p/2.jpg"), title="beach")
    index(catalog, *(stat(f"/q/{number}.jpg") for number in range(20)))
    first, second = catalog.text_matches("beach", 10)
    assert (first.media_id, second.media_id) == (written, guess)
    assert first.score > second.score


def test_hand_made_tags_are_found_until_replaced(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg"), tags=["cat"])
    catalog.set_authored_tags(one, ["felix", "cat"])
    assert found(catalog, "felix") == {one}
    [row] = catalog.photos([one])
    assert [(tag.name, tag.source) for tag in row.tags] == [
        ("cat", "authored"),
        ("felix", "authored"),
        ("cat", "imagenet"),
    ]
    catalog.set_authored_tags(one, [])
    assert (found(catalog, "felix"), found(catalog, "cat")) == (set(), {one})
    catalog.set_authored_tags(999, ["nobody"])


def test_a_photo_is_found_by_every_name_it_has(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/alpha.jpg", 3))
    catalog.record_files([stat("/q/beta.jpg", 3)])
    assert found(catalog, "alpha") == found(catalog, "beta") == {one}
    catalog.record_missing(["/p/alpha.jpg"])
    assert (found(catalog, "alpha"), found(catalog, "beta")) == (set(), {one})


def test_select_media_binds_its_values(catalog: Catalog) -> None:
    [old] = index(catalog, stat("/p/a.jpg"))
    [new] = index(catalog, stat("/p/b.jpg"), taken_at="2021-06-01T12:00:00")
    add(catalog, stat("/p/undescribed.jpg"))
    assert catalog.select_media("m.taken_at >= ?", ("2021",)).tolist() == [new]
    assert catalog.select_media("m.taken_at IS NULL OR FALSE").tolist() == [old]


def test_vectors_come_back_by_media(catalog: Catalog) -> None:
    ids = index(catalog, *(stat(f"/p/{number}.jpg") for number in range(3)))
    [space] = catalog.spaces()
    assert catalog.vectors_of_media(space, ids[::-1]).media_ids.tolist() == ids[::-1]
    newest, total = catalog.vector_totals(space)
    assert total == 3
    first = catalog.vectors_after(space, 0, limit=2)
    rest = catalog.vectors_after(space, int(first.ids[-1]))
    assert [*first.media_ids, *rest.media_ids] == ids
    assert rest.ids.tolist() == [newest]
    assert first.data.shape == (2, 16)
