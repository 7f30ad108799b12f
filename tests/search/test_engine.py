"""What the engine answers, over a real catalog and index with few hand-made photos in a small space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from config.errors import QueryError
from indexer.records import Analysis, Embedding, Kind, MediaInfo, PixelStats, Space, Stage, Tag
from search.calibration import BUILTIN
from search.catalog import Catalog, FileStat
from search.engine import Answer, Engine
from search.query import parse
from search.vectors import VectorIndex

SPACE = Space("test/1", 4)
STAGES: dict[str, int] = {Stage.METADATA: 1, Stage.DESCRIBE: 1, Stage.PIXELS: 1, Stage.CONCEPTS: 1}
AXES = {"cat": 0, "boat": 1, "cake": 2, "lamp": 3}
LABELS = np.eye(4, dtype=np.float32)
INFO = MediaInfo(kind=Kind.PHOTO, format="JPEG", width=4, height=3)
STATS = PixelStats(sharpness=0.5, exposure=0.5, contrast=0.5, quality=0.5, brightness=0.5, perceptual_hash=0)


def encode(text: str) -> NDArray[np.float32]:
    """The words the little space knows, added up; of others it knows nothing."""
    vector = np.zeros(4, np.float32)
    for word in text.lower().split():
        if word in AXES:
            vector[AXES[word]] += 1
    return vector / np.linalg.norm(vector) if vector.any() else np.full(4, 0.5, np.float32)


class Library:
    """Photos added one by one."""

    def __init__(self, directory: Path) -> None:
        self.catalog = Catalog(directory)
        self.engine = Engine(
            self.catalog,
            VectorIndex(self.catalog, SPACE, directory),
            encode,
            labels=lambda: LABELS,
            # Four axes are far apart: the floor lies elsewhere than in a space of a thousand labels.
            calibration=replace(BUILTIN, floor=0.6, guess_floor=0.55),
        )
        self._index = self.engine._index
        self._count = 0

    def add(
        self,
        name: str,
        shows: str = "",
        *,
        info: MediaInfo = INFO,
        tags: dict[str, float] | None = None,
        counts: dict[str, int] | None = None,
        bits: int | None = None,
        quality: float = 0.5,
    ) -> str:
        self._count += 1
        path = f"/photos/{name}"
        stat = FileStat(path, 1, self._count, self._count, 1)
        self.catalog.record_files([stat])
        self.catalog.identify([(stat, self._count.to_bytes(32, "big"), Kind.PHOTO)], STAGES)
        [work] = self.catalog.claim(1)
        vector = encode(shows) + 0.001 * self._count * np.eye(4, dtype=np.float32)[3]
        vector = (vector / np.linalg.norm(vector)).astype("<f2")
        # Hashes that differ in half of their bits, unless told otherwise.
        hashed = bits if bits is not None else int.from_bytes(np.random.default_rng(self._count).bytes(7), "big")
        analysis = Analysis(
            media_id=work.media_id,
            stages=STAGES,
            info=info,
            pixels=replace(STATS, perceptual_hash=hashed, quality=quality),
            tags={
                Stage.CONCEPTS: tuple(Tag(tag, sure, "imagenet") for tag, sure in (tags or {}).items()),
                Stage.PIXELS: tuple(Tag(tag, 0.9, "detection", count=count) for tag, count in (counts or {}).items()),
            },
            embeddings=(Embedding(SPACE, vector.tobytes()),),
        )
        self.catalog.store([analysis], [])
        self._index.refresh()
        return path

    def ask(self, text: str, *, everything: bool = False) -> Answer:
        return self.engine.search(parse(text, today=date(2026, 7, 15)), everything=everything)

    def names(self, text: str, *, everything: bool = False) -> list[str]:
        return [Path(result.path).name for result in self.ask(text, everything=everything).results]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library(tmp_path)
    yield made
    made.catalog.close()


def test_the_nearest_come_first_and_the_irrelevant_not_at_all(library: Library) -> None:
    library.add("cake.jpg", "cake")
    library.add("both.jpg", "cat boat")
    library.add("cat.jpg", "cat")
    answer = library.ask("cat")
    assert answer.confident
    assert [Path(result.path).name for result in answer.results] == ["cat.jpg", "both.jpg"]
    assert library.names("cat", everything=True) == ["cat.jpg", "both.jpg", "cake.jpg"]


def test_what_the_library_does_not_have_is_no_confident_match(library: Library) -> None:
    library.add("cake.jpg", "cake")
    answer = library.ask("boat")
    assert not answer.confident
    assert answer.results == ()
    assert answer.note == "Nothing in the library matches well."


def test_an_empty_library_answers_nothing(library: Library) -> None:
    for text in ("boat", "after:2020", "similar:/photos/a.jpg boat"):
        if "similar" in text:
            with pytest.raises(QueryError):
                library.ask(text)
        else:
            assert not library.ask(text).confident


def test_words_the_space_cannot_know_find_no_look_alikes(library: Library) -> None:
    library.add("lamp.jpg", "lamp")
    answer = library.ask("a man running")
    assert not answer.confident
    assert answer.results == ()
    assert "people" in (answer.note or "")


def test_words_written_about_a_photo_find_it_whatever_it_shows(library: Library) -> None:
    library.add("a.jpg", "lamp", info=replace(INFO, title="Grandma's birthday", people=("Ann Lee",)))
    library.add("b.jpg", "lamp")
    answer = library.ask("birthday grandma")
    assert answer.confident
    assert [result.path for result in answer.results] == ["/photos/a.jpg"]
    assert answer.results[0].reasons[0] == "words in the title"
    assert library.names("ann") == ["a.jpg"]
    assert library.names('"birthday grandma"') == []


def test_a_tag_counts_by_its_whole_name(library: Library) -> None:
    library.add("sausage.jpg", "lamp", tags={"hot dog": 0.9})
    library.add("pet.jpg", "lamp", tags={"dog": 0.9})
    answer = library.ask("dogs")
    assert answer.confident
    assert [Path(result.path).name for result in answer.results] == ["pet.jpg"]
    assert "tag: dog" in answer.results[0].reasons


def test_colours_order_what_is_relevant_and_find_what_is_asked_for_by_colour_alone(library: Library) -> None:
    library.add("a.jpg", "cat", tags={"grey": 0.9})
    library.add("b.jpg", "cat", tags={"red": 0.3})
    library.add("c.jpg", "cake", tags={"red": 0.9})
    assert library.names("a crimson cat") == ["b.jpg", "a.jpg"]
    assert library.names("something red") == ["c.jpg", "b.jpg"]
    assert library.ask("something red").confident


def test_a_date_in_the_text_is_a_preference_and_a_filter_is_a_must(library: Library) -> None:
    library.add("old.jpg", "cat", info=replace(INFO, taken_at="2019-06-05T10:00:00"))
    library.add("new.jpg", "cat", info=replace(INFO, taken_at="2021-06-05T10:00:00"))
    assert library.names("cat in 2021") == ["new.jpg", "old.jpg"]
    assert library.names("cat in 2019") == ["old.jpg", "new.jpg"]
    answer = library.ask("cat after:2020")
    assert [Path(result.path).name for result in answer.results] == ["new.jpg"]
    assert "taken 2021-06-05 matches after:2020" in answer.results[0].reasons


def _varied(library: Library) -> None:
    library.add(
        "2019/Été_100%.jpg",
        "boat",
        info=replace(INFO, taken_at="2019-12-31T23:59:59", camera="Canon EOS 5D", lens="EF 50mm", rating=4),
        tags={"tabby cat": 0.9, "cat": 0.9},
    )
    library.add(
        "2020/b.png", "boat", info=replace(INFO, taken_at="2020-01-01T00:00:00", camera="NIKON D70"), tags={"dog": 0.9}
    )
    library.add("undated.jpg", "cake", info=replace(INFO, rating=2, title="cat food"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("after:2020", ["b.png"]),
        ("before:2020", ["Été_100%.jpg"]),
        ("date:2019", ["Été_100%.jpg"]),
        ("-after:2020", ["Été_100%.jpg", "undated.jpg"]),
        ("camera:canon", ["Été_100%.jpg"]),
        ("camera:canon,nikon", ["b.png", "Été_100%.jpg"]),
        ("-camera:canon", ["b.png", "undated.jpg"]),
        ("lens:50MM", ["Été_100%.jpg"]),
        ("tag:cat", ["Été_100%.jpg"]),
        ("tag:CATS", ["Été_100%.jpg"]),
        ("tag:tab*", ["Été_100%.jpg"]),
        ("tag:cat tag:dog", []),
        ("tag:cat OR tag:dog", ["b.png", "Été_100%.jpg"]),
        ("-tag:cat -tag:dog", ["undated.jpg"]),
        ("path:ÉTÉ", ["Été_100%.jpg"]),
        ("path:100%", ["Été_100%.jpg"]),
        ("path:_", ["Été_100%.jpg"]),
        ("path:2020/*.PNG", ["b.png"]),
        ("path:*.jpg", ["Été_100%.jpg", "undated.jpg"]),
        ("path:0/*.jpg", []),
        ("rating:4", ["Été_100%.jpg"]),
        ("rating:<3", ["undated.jpg"]),
        ("rating:1+", ["Été_100%.jpg", "undated.jpg"]),
        ("-rating:0+", ["b.png"]),
        ("type:photo", ["b.png", "Été_100%.jpg", "undated.jpg"]),
        ("type:photo sort:oldest", ["Été_100%.jpg", "b.png", "undated.jpg"]),
        ("type:photo limit:1", ["b.png"]),
        ("-cat", ["b.png"]),
        ('-"cat food"', ["b.png", "Été_100%.jpg"]),
        ('"cat food"', ["undated.jpg"]),
        ("tag:dog OR food", ["b.png", "undated.jpg"]),
        ("boat -camera:nikon", ["Été_100%.jpg"]),
        ("boat sort:date", ["b.png", "Été_100%.jpg"]),
        ("boat sort:-date", ["Été_100%.jpg", "b.png"]),
        ("cake OR boat camera:nikon", ["b.png"]),
    ],
)
def test_filters(library: Library, text: str, names: list[str]) -> None:
    _varied(library)
    assert library.names(text) == names
    assert library.ask(text).confident == bool(names)


def _burst(library: Library, second: int, bits: int, quality: float) -> str:
    info = replace(INFO, taken_at=f"2021-06-05T10:00:{second:02}")
    return library.add(f"{second}.jpg", "cat", info=info, bits=bits, quality=quality)


def test_a_burst_is_shown_by_its_best_shot(library: Library) -> None:
    for second, bits, quality in ((0, 0b0, 0.3), (2, 0b11, 0.9), (4, 0b111, 0.5)):
        _burst(library, second, bits, quality)
    for text in ("cat", "after:2021"):
        answer = library.ask(text)
        assert [(Path(result.path).name, result.collapsed) for result in answer.results] == [("2.jpg", 2)]
        assert len(library.names(text, everything=True)) == 3


def test_alike_at_another_time_is_a_burst_only_if_it_shows_the_same(library: Library) -> None:
    library.add("black-cat.jpg", "cat", bits=0)
    library.add("black-boat.jpg", "boat", bits=0)
    library.add("black-cat-small.jpg", "cat", bits=0)
    shown = library.ask("type:photo").results
    assert sorted(result.collapsed for result in shown) == [0, 1]


def test_different_motifs_within_seconds_are_no_burst(library: Library) -> None:
    _burst(library, 0, 0, 0.5)
    _burst(library, 1, 0x0FFF_FFFF, 0.5)
    assert len(library.names("cat")) == 2


def test_of_copies_the_one_is_shown_that_the_question_names(library: Library) -> None:
    first = library.add("one/a.jpg", "cat", tags={"cat": 0.9})
    known = library.catalog.known_files("/")[first]
    second, third = "/photos/two/b.jpg", "/photos/three/c.png"
    library.catalog.record_files([replace_path(known, path) for path in (second, third)])  # hard links
    assert [one.path for one in library.ask("cat").results] == [first]
    for text in ("path:two", "path:*/B.JPG", "cat path:/photos/two", "path:two OR path:nowhere", "two", '"two b"'):
        assert [one.path for one in library.ask(text).results] == [second], text
    assert [one.path for one in library.ask("cat three").results] == [third]
    assert [one.path for one in library.ask("path:photos path:*.png").results] == [third]


def replace_path(known: FileStat, path: str) -> FileStat:
    return FileStat(path, known.size, known.mtime_ns, known.inode, known.device)


def test_similar_photos_without_the_photo_itself(library: Library) -> None:
    first = library.add("a.jpg", "cat", tags={"red": 0.9})
    library.add("b.jpg", "cat", tags={"grey": 0.9})
    library.add("c.jpg", "cat", tags={"red": 0.9})
    library.add("d.jpg", "cake")
    media_id = library.catalog.media_at(first)
    assert media_id is not None
    answer = library.engine.similar(media_id)
    assert [Path(result.path).name for result in answer.results] == ["c.jpg", "b.jpg"]
    assert "the same colours: red" in answer.results[0].reasons
    assert library.names(f"similar:{first}") == ["c.jpg", "b.jpg"]
    assert library.names("similar:a.jpg tag:grey") == ["b.jpg"]
    with pytest.raises(QueryError, match=r"no photo or video of the library"):
        library.ask("similar:/photos/none.jpg")


def test_a_photo_like_no_other_has_nothing_similar(library: Library) -> None:
    library.add("cat.jpg", "cat")
    media_id = library.catalog.media_at(library.add("cake.jpg", "cake"))
    assert media_id is not None
    assert not library.engine.similar(media_id).confident


def test_every_answer_has_a_reason(library: Library) -> None:
    _varied(library)
    for text in ("boat", "cake", "after:2019", "cat food", "similar:b.png"):
        for result in library.ask(text, everything=True).results:
            assert result.reasons
            assert all(result.reasons)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.text(alphabet='ab*" :^-+(){}OR\0\udce9%_\\', max_size=30))
def test_no_text_reaches_the_database_as_syntax(library: Library, text: str) -> None:
    try:
        query = parse(text, today=date(2026, 7, 15))
        library.engine.search(query)
    except QueryError as error:
        assert error.remedy


def test_a_filter_for_an_amount_asks_for_at_least_so_many_where_somebody_counted(library: Library) -> None:
    library.add("one.jpg", "cat", counts={"dog": 1})
    library.add("two.jpg", "cat", counts={"dog": 2, "person": 4, "wine glass": 2})
    library.add("five.jpg", "cat", counts={"dog": 5})
    library.add("guessed.jpg", "cat", tags={"dog": 0.9})
    assert set(library.names("tag:dog")) == {"one.jpg", "two.jpg", "five.jpg", "guessed.jpg"}
    for text in ('tag:"2 dogs"', 'tag:"two dogs"', 'tag:"2 dog"', 'tag:"2 do*"'):
        assert set(library.names(text)) == {"two.jpg", "five.jpg"}
    assert library.names('tag:"3 people"') == library.names('tag:"two wine glasses"') == ["two.jpg"]
    assert set(library.names('-tag:"2 dogs"')) == {"one.jpg", "guessed.jpg"}
    assert library.names('tag:"6 dogs"') == []
    reasons = {Path(one.path).name: one.reasons for one in library.ask('tag:"2 dogs"').results}
    assert reasons["five.jpg"] == ('tag: dog (5) matches tag:"2 dogs"',)


def test_an_amount_in_the_words_is_preferred_where_somebody_counted(library: Library) -> None:
    library.add("one.jpg", counts={"dog": 1})
    library.add("five.jpg", counts={"dog": 5})
    library.add("two.jpg", counts={"dog": 2, "person": 1})
    for text in ("two dogs", "2 dogs"):
        answer = library.ask(text)
        assert answer.confident
        assert [Path(one.path).name for one in answer.results] == ["two.jpg", "five.jpg", "one.jpg"]
        assert "tag: dog (2)" in answer.results[0].reasons
    assert library.names("two dogs and one person")[0] == "two.jpg"
    assert not library.ask("three cups").confident
    assert library.names("dog")[0] in {"one.jpg", "two.jpg", "five.jpg"}, "without an amount, each is as good"


def test_a_tag_called_after_an_amount_is_a_tag_like_any_other(library: Library) -> None:
    path = library.add("a.jpg", "cat")
    found = library.catalog.media_at(path)
    assert found is not None
    library.catalog.set_authored_tags(found, ["4 seasons"])
    assert library.names('tag:"4 seasons"') == ["a.jpg"]


def test_what_any_network_saw_is_what_a_photo_looks_like(library: Library) -> None:
    library.add("a.jpg", "cat", counts={"sofa": 1})
    assert "looks like: sofa" in library.ask("cat").results[0].reasons
