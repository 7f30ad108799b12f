"""Answers in a space where photos and texts lie apart, as those of dual encoders do: the geometry is planted.

Every photo is the photos' common direction and what it shows, every text the texts' common direction and what it
says. So photos are far from all texts, and texts near to each other, whatever they mean.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.records import WHOLE, Analysis, Embedding, Kind, MediaInfo, PixelStats, Segment, Space, Stage, Tag
from search.calibration import BUILTIN, DUAL_ENCODER, standard_scores
from search.catalog import Catalog
from search.engine import Answer, Engine
from search.query import parse
from search.vectors import VectorIndex, drop_snapshots
from tests.search.library import stat

D = 512
SPACE = Space("planted@1/1", D)
THINGS = ("dog", "beach", "wedding", "man", "car", "concert", "mountain", "soup", "bicycle", "snow")
STATS = PixelStats(sharpness=0.5, exposure=0.5, contrast=0.5, quality=0.5, brightness=0.5, perceptual_hash=0)


def unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True), np.float32)


class Planted:
    """The geometry. `gap` is how much of a vector says only whether it is of a photo or of a text."""

    def __init__(self, gap: float = 1.5) -> None:
        self.chance = np.random.default_rng(7)
        self.gap = gap
        self.of_photos, self.of_texts = self.directions(2)
        self.things = dict(zip(THINGS, self.directions(len(THINGS)), strict=True))
        self.others = self.directions(300)
        self.captions = np.stack([self.text(thing) for thing in [*self.others[:295], *list(self.things.values())[:5]]])
        self.encoded: list[str] = []

    def directions(self, count: int) -> NDArray[np.float32]:
        return unit(self.chance.standard_normal((count, D)))

    def photo(self, shown: NDArray[np.float32], hub: float = 0.0) -> NDArray[np.float32]:
        """A picture of something: half of it is what no text says. A hub is near to every text."""
        content = 0.7 * shown + 0.7 * self.directions(1)[0]
        return unit(self.gap * self.of_photos + content + hub * self.of_texts)

    def text(self, said: NDArray[np.float32]) -> NDArray[np.float32]:
        return unit(self.gap * self.of_texts + 0.8 * said + 0.6 * self.directions(1)[0])

    def encode(self, words: str) -> NDArray[np.float32]:
        """The things a text names; nonsense points anywhere."""
        self.encoded.append(words)
        named = [self.things[word] for word in words.split() if word in self.things]
        return self.text(unit(np.sum(named, axis=0)) if named else self.directions(1)[0])


class Library:
    def __init__(self, directory: Path, planted: Planted) -> None:
        self.planted = planted
        self.catalog = Catalog(directory)
        self.index = VectorIndex(self.catalog, SPACE, directory)
        self.engine = Engine(
            self.catalog, self.index, planted.encode, labels=lambda: planted.captions, calibration=DUAL_ENCODER
        )

    def add(
        self,
        names: Sequence[str],
        vectors: Sequence[Sequence[NDArray[np.float32]]],
        *,
        tags: tuple[Tag, ...] = (),
        kind: Kind = Kind.PHOTO,
    ) -> None:
        """Photos with their vector, or films with one for each of their moments, which last ten seconds."""
        first = 0 if kind == Kind.PHOTO else 1
        stages = {Stage.DESCRIBE: 1, "embedding:planted": 1}
        files = [stat(f"/p/{name}.jpg") for name in names]
        self.catalog.record_files(files)
        self.catalog.identify([(one, one.inode.to_bytes(32, "big"), kind) for one in files], stages)
        number = {f"/p/{name}.jpg": at for at, name in enumerate(names)}
        self.catalog.store(
            [
                Analysis(
                    media_id=work.media_id,
                    stages=stages,
                    info=MediaInfo(kind=kind, format="JPEG" if first == 0 else "MP4", width=4, height=3),
                    segments=(
                        WHOLE,
                        *(
                            Segment(ordinal, 10.0 * (ordinal - 1), 10.0 * ordinal, 10.0 * ordinal - 5, 0.5, ordinal)
                            for ordinal in range(1, first + len(vectors[number[work.path]]))
                        ),
                    ),
                    tags={"embedding:planted": tags},
                    embeddings=tuple(
                        Embedding(SPACE, vector.astype("<f2").tobytes(), ordinal)
                        for ordinal, vector in enumerate(vectors[number[work.path]], first)
                    ),
                )
                for work in self.catalog.claim(len(names), slow=kind != Kind.PHOTO)
            ],
            [],
        )
        self.index.refresh()

    def fill(self) -> None:
        """Four photos of each thing but the last, and two hundred of something else."""
        shown = [thing for thing in THINGS[:-1] for _ in range(4)]
        self.add(
            [f"{thing}-{number}" for number, thing in enumerate(shown)],
            [[self.planted.photo(self.planted.things[thing])] for thing in shown],
        )
        self.add(
            [f"other-{number}" for number in range(200)],
            [[self.planted.photo(self.planted.others[number])] for number in range(200)],
        )

    def ask(self, text: str) -> Answer:
        return self.engine.search(parse(text, today=date(2026, 7, 15)))

    def names(self, text: str) -> list[str]:
        return [Path(result.path).stem for result in self.ask(text).results]


@pytest.fixture(params=[0.5, 1.5, 3.0])
def library(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Library]:
    made = Library(tmp_path, Planted(request.param))
    made.fill()
    yield made
    made.catalog.close()


def test_what_is_there_is_found_and_nothing_else_however_wide_the_gap(library: Library) -> None:
    for thing in THINGS[:-1]:
        answer = library.ask(thing)
        assert answer.confident, thing
        assert {Path(result.path).stem.partition("-")[0] for result in answer.results} == {thing}
        assert len(answer.results) == 4


def test_nonsense_and_what_is_not_there_are_no_confident_match(library: Library) -> None:
    for text in ("snow", "qwzx vbnm", "flurb", "zzyzx", "asdf jkl", "blorp the gnarf"):
        answer = library.ask(text)
        assert not answer.confident, text
        assert answer.note is not None
        assert "basic model" not in answer.note
        assert len(answer.results) <= 5


def test_a_photo_near_to_every_text_is_no_answer_to_every_question(tmp_path: Path) -> None:
    library = Library(tmp_path, Planted())
    library.fill()
    hub = library.planted.photo(library.planted.directions(1)[0], hub=3.0)
    library.add(["hub"], [[hub]])
    cosines = dict(library.index.search(library.planted.encode("dog"), 1))
    assert library.catalog.media_at("/p/hub.jpg") in cosines, "by its cosine alone it would be the first"
    assert "hub" not in library.names("dog")
    library.catalog.close()


def test_of_the_segments_of_a_film_the_best_counts(tmp_path: Path) -> None:
    library = Library(tmp_path, Planted())
    library.fill()
    things = library.planted.things
    others = [library.planted.photo(library.planted.directions(1)[0]) for _ in range(20)]
    shown = [library.planted.photo(things["soup"]), *others, library.planted.photo(things["snow"])]
    library.add(["film"], [shown], kind=Kind.VIDEO)
    for text, span in (("snow", (210, 220)), ("soup", (0, 10))):
        [film] = [one for one in library.ask(text).results if one.path == "/p/film.jpg"]
        assert [(one.start, one.end) for one in film.moments] == [span]
    assert library.names("snow") == ["film"]
    library.catalog.close()


def test_people_and_colours_need_no_special_care_here(tmp_path: Path) -> None:
    library = Library(tmp_path, Planted())
    library.fill()
    assert library.ask("man").confident
    red = library.planted.photo(library.planted.things["car"])
    library.add(["red"], [[red]], tags=(Tag("red", 0.9, "colour"),))
    assert library.names("red car")[0] == "red"
    assert library.planted.encoded[-1] == "red car", "the colour is not taken out of the text"
    library.catalog.close()


def test_similar_photos_are_those_that_share_more_than_being_photos(tmp_path: Path) -> None:
    library = Library(tmp_path, Planted())
    shown = library.planted.things["dog"]
    twin = unit(library.planted.photo(shown) + library.planted.photo(shown))
    library.add(["one", "two", "far"], [[twin], [unit(twin + 0.02 * library.planted.directions(1)[0])],
                                        [-library.planted.photo(shown)]])  # fmt: skip
    one = library.catalog.media_at("/p/one.jpg")
    assert one is not None
    answer = library.engine.similar(one)
    assert answer.confident
    assert [Path(result.path).stem for result in answer.results] == ["two"]
    library.catalog.close()


def test_captions_that_do_not_differ_say_nothing() -> None:
    photos = np.eye(3, 8, dtype=np.float32)
    captions = np.tile(np.eye(8, dtype=np.float32)[5], (10, 1))
    assert standard_scores(np.eye(8, dtype=np.float32)[0], photos, captions).tolist() == [0, 0, 0]


def test_two_engines_answer_side_by_side_while_one_space_is_still_filled(tmp_path: Path) -> None:
    """As a change of profile does it: the old space answers, the new one fills, is opened, and answers too."""
    old = Space("axes/1", 4)
    axes = np.eye(4, dtype=np.float32)
    library = Library(tmp_path, Planted())
    catalog = library.catalog
    stages: dict[str, int] = {Stage.DESCRIBE: 1, Stage.CONCEPTS: 1}
    files = [stat(f"/p/{number}.jpg") for number in range(60)]
    catalog.record_files(files)
    catalog.identify([(one, one.inode.to_bytes(32, "big"), Kind.PHOTO) for one in files], stages)
    catalog.store(
        [
            Analysis(
                media_id=work.media_id,
                stages=stages,
                info=MediaInfo(kind=Kind.PHOTO, format="JPEG", width=4, height=3),
                embeddings=(Embedding(old, axes[work.media_id % 4].astype("<f2").tobytes()),),
            )
            for work in catalog.claim(100)
        ],
        [],
    )
    before = Engine(
        catalog,
        VectorIndex(catalog, old, tmp_path),
        lambda words: axes[int(words.split()[-1])],
        labels=lambda: axes,
        calibration=BUILTIN,
    )
    expected = before.search(parse("axis 1", today=date(2026, 7, 15)), everything=True)
    assert len(expected.results) > 10
    catalog.ensure_jobs({**stages, "embedding:planted": 1})
    things = [library.planted.things[THINGS[number % 9]] for number in range(61)]
    wrong: list[Answer] = []
    filled = threading.Event()

    def ask() -> None:
        while not filled.is_set():
            answer = before.search(parse("axis 1", today=date(2026, 7, 15)), everything=True)
            if answer != expected:
                wrong.append(answer)

    asking = threading.Thread(target=ask)
    asking.start()
    opened: list[int] = []
    try:
        while claimed := catalog.claim(7):
            catalog.store(
                [
                    Analysis(
                        media_id=work.media_id,
                        stages={"embedding:planted": 1},
                        embeddings=(
                            Embedding(SPACE, library.planted.photo(things[work.media_id]).astype("<f2").tobytes()),
                        ),
                    )
                    for work in claimed
                ],
                [],
            )
            opened.append(len(VectorIndex(catalog, SPACE, tmp_path)))
            library.index.refresh()
            library.index.save()
    finally:
        filled.set()
        asking.join()
    assert wrong == []
    assert opened == [*range(7, 60, 7), 60]
    answer = library.ask("dog")
    assert answer.confident
    assert all(result.media_id % 9 == 0 for result in answer.results)
    assert before.search(parse("axis 1", today=date(2026, 7, 15)), everything=True) == expected
    [path] = tmp_path.glob("vectors-*.faiss")
    drop_snapshots(tmp_path, keep=[SPACE])
    assert path.exists()
    drop_snapshots(tmp_path, keep=[old])
    assert not path.exists()
    assert len(VectorIndex(catalog, SPACE, tmp_path)) == 60, "a snapshot is only a cache"
    catalog.close()
