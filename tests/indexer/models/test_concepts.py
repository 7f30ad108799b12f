from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.models.classes import PARENTS, tag_names
from indexer.models.concepts import ConceptModel, Concepts
from indexer.models.text import TextEncoder

Read = Callable[[str], NDArray[np.uint8]]

QUERIES = {
    "chelsea.png": "a cat",
    "coffee.png": "a cup of coffee on a table",
    "rocket.jpg": "rocket launch",
    "china.jpg": "chinese temple",
    "flower.jpg": "a flower in a garden",
    "motorcycle_left.png": "motorcycle in a garage",
    "clock_motion.png": "a clock on the wall",
    "coins.png": "old coins",
}


def look(model: ConceptModel, pixels: NDArray[np.uint8]) -> Concepts:
    return model.infer(model.prepare(pixels)[None])[0]


def vector(concepts: Concepts) -> NDArray[np.float32]:
    return np.frombuffer(concepts.embedding.vector, "<f2").astype(np.float32)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("chelsea.png", {"animal", "cat"}),
        ("coffee.png", {"espresso", "drink"}),
        ("motorcycle_left.png", {"motor scooter"}),
    ],
)
def test_a_photo_is_tagged_with_what_it_shows_and_wider_words(
    concept_model: ConceptModel, photo: Read, name: str, wanted: set[str]
) -> None:
    tags = look(concept_model, photo(name)).tags
    assert wanted <= {tag.name for tag in tags}
    assert {tag.source for tag in tags} == {"imagenet"}
    assert [tag.confidence for tag in tags] == sorted((tag.confidence for tag in tags), reverse=True)


def test_a_query_finds_its_photo_first(concept_model: ConceptModel, text_encoder: TextEncoder, photo: Read) -> None:
    photos = np.stack([vector(look(concept_model, photo(name))) for name in QUERIES])
    found = [list(QUERIES)[int(np.argmax(photos @ text_encoder.encode(query)))] for query in QUERIES.values()]
    assert found == list(QUERIES)


def test_both_sides_share_one_space(concept_model: ConceptModel, text_encoder: TextEncoder, photo: Read) -> None:
    embedding = look(concept_model, photo("coffee.png")).embedding
    assert embedding.space == concept_model.space == text_encoder.space
    assert len(embedding.vector) == 2 * embedding.space.dimension
    assert np.linalg.norm(np.frombuffer(embedding.vector, "<f2").astype(np.float32)) == pytest.approx(1, abs=1e-3)


def test_a_photo_gets_the_same_answer_in_any_batch(concept_model: ConceptModel, photo: Read) -> None:
    prepared = [concept_model.prepare(photo(name)) for name in ("coffee.png", "chelsea.png", "china.jpg")]
    alone = [concept_model.infer(views[None])[0] for views in prepared]
    together = concept_model.infer(np.stack(prepared))
    for one, other in zip(alone, together, strict=True):
        assert vector(one) @ vector(other) > 0.9999
        assert [tag.name for tag in one.tags] == [tag.name for tag in other.tags]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (3000, 2, 3), (224, 224, 3)])
def test_any_shape_and_an_empty_picture_have_a_vector(concept_model: ConceptModel, shape: tuple[int, ...]) -> None:
    blank = vector(look(concept_model, np.zeros(shape, np.uint8)))
    assert np.linalg.norm(blank) == pytest.approx(1, abs=1e-3)


def test_tag_names_are_what_a_person_types() -> None:
    names = tag_names()
    assert len(names) == 1000
    assert names[281] == "tabby cat"
    assert names[967] == "espresso"
    assert not [name for name in names if name != name.lower() or set(name) & set("(/,")]


def test_wider_words_name_known_classes() -> None:
    names = tag_names()
    assert {names[index] for index in PARENTS["cat"]} == {
        "tabby cat",
        "tiger cat",
        "persian cat",
        "siamese cat",
        "egyptian mau",
    }
    assert all(0 <= index < len(names) for members in PARENTS.values() for index in members)
    assert PARENTS["dog"] < PARENTS["animal"]
    assert PARENTS["car"] < PARENTS["vehicle"]
