"""Searches over real photos with the builtin networks: do people find what they mean, and is nonsense refused?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from indexer.media.photo import Limits, decode_photo
from indexer.models.builtin import SPACE, load_concept_model, load_labels, load_text_encoder
from indexer.models.pixels import measure
from indexer.records import Analysis, Kind, MediaInfo, Stage
from search.catalog import Catalog, FileStat
from search.engine import Answer, Engine
from search.query import parse
from search.vectors import VectorIndex
from tests.sample_photos import PHOTOS, locate

STAGES: dict[str, int] = {Stage.METADATA: 1, Stage.DESCRIBE: 1, Stage.PIXELS: 1, Stage.CONCEPTS: 1}
LIMITS = Limits(max_pixels=100_000_000, max_bytes=100_000_000)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Engine]:
    """The sample photos, indexed under numbers, so that their names do not give the answer away."""
    directory = tmp_path_factory.mktemp("library")
    catalog = Catalog(directory)
    model = load_concept_model(model_cache, threads=2)
    for number, name in enumerate(PHOTOS):
        data = locate(name).read_bytes()
        stat = FileStat(f"/photos/{number}", len(data), 1, number, 1)
        catalog.record_files([stat])
        catalog.identify([(stat, hashlib.sha256(data).digest(), Kind.PHOTO)], STAGES)
        [work] = catalog.claim(1)
        photo = decode_photo(data, limits=LIMITS)
        stats, seen = measure(
            photo.pixels, width=photo.width, height=photo.height, format=photo.format, has_camera=False
        )
        [concepts] = model.infer(model.prepare(photo.pixels)[None])
        analysis = Analysis(
            media_id=work.media_id,
            stages=STAGES,
            info=MediaInfo(kind=Kind.PHOTO, format=photo.format, width=photo.width, height=photo.height),
            pixels=stats,
            tags={Stage.PIXELS: seen, Stage.CONCEPTS: concepts.tags},
            embeddings=(concepts.embedding,),
        )
        catalog.store([analysis], [])
    encoder = load_text_encoder(model_cache, threads=2)
    labels = load_labels(model_cache, threads=2)
    yield Engine(catalog, VectorIndex(catalog, SPACE, directory), encoder.encode, labels=lambda: labels)
    catalog.close()


def ask(engine: Engine, text: str) -> Answer:
    return engine.search(parse(text, today=date(2026, 7, 15)))


def names(answer: Answer) -> list[str]:
    return [list(PHOTOS)[int(Path(result.path).name)] for result in answer.results]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a cup of coffee on a table", "coffee.png"),
        ("espresso", "coffee.png"),
        ("a tabby cat", "chelsea.png"),
        ("cats", "chelsea.png"),
        ("a motorbike in a garage", "motorcycle_left.png"),
        ("a motor scooter", "motorcycle_left.png"),
        ("rocket before launch", "rocket.jpg"),
        ("a chinese temple", "china.jpg"),
    ],
)
def test_a_description_finds_its_photo_first(engine: Engine, text: str, name: str) -> None:
    answer = ask(engine, text)
    assert answer.confident
    assert names(answer)[0] == name
    assert answer.results[0].reasons


@pytest.mark.parametrize("text", ["black and white photos", "something grey", "flower -tag:cat"])
def test_what_pixels_tell_is_found(engine: Engine, text: str) -> None:
    answer = ask(engine, text)
    assert answer.confident
    assert "chelsea.png" not in names(answer)


@pytest.mark.parametrize(
    "text",
    [
        "asdf qwerty zxcv",
        "quantum tax invoice of the moon council",
        "the 2nd law of thermodynamics",
        "jgkdls",
        "a man",
        "people talking",
        "municipal pension reform",
    ],
)
def test_nonsense_and_what_the_model_cannot_know_is_no_confident_match(engine: Engine, text: str) -> None:
    answer = ask(engine, text)
    assert not answer.confident
    assert answer.note


def test_nothing_here_is_similar_to_a_cup_of_coffee(engine: Engine) -> None:
    [coffee, *_] = ask(engine, "espresso").results
    assert not engine.similar(coffee.media_id).confident
