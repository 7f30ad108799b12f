"""Labels from lists that anybody can edit: given where a photo deserves them, and to no other photo."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import ConfigError
from indexer.models.captions import background_captions
from indexer.models.concepts import ConceptModel
from indexer.models.label_lists import label_lists
from indexer.models.labels import CAPTION_TEMPLATES, LabelStage, ensemble, load, templates_of
from indexer.models.listing import load_list, plan_for
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.models.text import TextEncoder
from indexer.models.text_tower import load_tower
from indexer.models.zero_shot import PER_LIST, LabelVectors, ZeroShot
from indexer.records import Tag
from indexer.stage import VectorStage
from tests.tiny_models import KINDS, Installed

Read = Callable[[str], NDArray[np.uint8]]

BUILTIN_SCALE = 20.0
"""The builtin space has no logit scale: it was not trained with one. This one serves to test the rule on real photos
and real words; dual encoders bring their own."""


class Batches:
    """The builtin text encoder, which pads a whole batch to its longest text, in small ones."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.concatenate(
            [self._encoder.encode_all(texts[start : start + 32]) for start in range(0, len(texts), 32)]
        )


@pytest.fixture(scope="module")
def at_scale(text_encoder: TextEncoder) -> Callable[[float], ZeroShot]:
    encoder = Batches(text_encoder)
    lists = {
        name: LabelVectors(labels, ensemble(encoder, labels, templates_of(name)))
        for name, labels in label_lists(()).items()
    }
    captions = ensemble(encoder, background_captions(), CAPTION_TEMPLATES)
    return lambda scale: ZeroShot(lists, captions, scale)


@pytest.fixture(scope="module")
def builtin(at_scale: Callable[[float], ZeroShot]) -> ZeroShot:
    return at_scale(BUILTIN_SCALE)


def tags_of(zero_shot: ZeroShot, model: ConceptModel, pixels: NDArray[np.uint8]) -> tuple[Tag, ...]:
    embedding = model.infer(model.prepare(pixels)[None])[0].embedding
    [tags] = zero_shot.tags(np.frombuffer(embedding.vector, "<f2").astype(np.float32)[None])
    return tags


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("coffee.png", "cup of coffee"),
        ("chelsea.png", "cat"),
        ("rocket.jpg", "rocket"),
        ("flower.jpg", "flower"),
        ("china.jpg", "tower"),
    ],
)
def test_the_right_label_wins_on_real_photos(
    builtin: ZeroShot, concept_model: ConceptModel, photo: Read, name: str, label: str
) -> None:
    tags = tags_of(builtin, concept_model, photo(name))
    assert tags[0].name == label
    assert tags[0].confidence > 0.8
    assert len(tags) <= 2
    assert [tag.confidence for tag in tags] == sorted((tag.confidence for tag in tags), reverse=True)


def test_what_shows_nothing_gets_no_label(builtin: ZeroShot, concept_model: ConceptModel) -> None:
    random = np.random.default_rng(0)
    nothing = {
        "noise": random.integers(0, 256, (300, 300, 3), np.uint8),
        "grey": np.full((300, 300, 3), 128, np.uint8),
        "blocks": np.kron(random.integers(0, 256, (8, 8, 3), np.uint8), np.ones((40, 40, 1), np.uint8)),
    }
    assert {name: tags_of(builtin, concept_model, pixels) for name, pixels in nothing.items()} == dict.fromkeys(
        nothing, ()
    )


@pytest.mark.parametrize("scale", [2 * BUILTIN_SCALE, 1000.0])
def test_a_model_that_is_too_sure_of_itself_still_sees_nothing_in_noise(
    at_scale: Callable[[float], ZeroShot], concept_model: ConceptModel, photo: Read, scale: float
) -> None:
    sure = at_scale(scale)
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    assert tags_of(sure, concept_model, noise) == ()
    assert tags_of(sure, concept_model, np.full((300, 300, 3), 128, np.uint8)) == ()
    assert "cat" in {tag.name for tag in tags_of(sure, concept_model, photo("chelsea.png"))}


def test_what_no_list_has_a_word_for_gets_no_label(builtin: ZeroShot, text_encoder: TextEncoder) -> None:
    shown = (
        "random noise",
        "a picture taken by accident",
        "a microscope image",
    )
    assert builtin.tags(np.stack([text_encoder.encode(text) for text in shown])) == [()] * len(shown)


@pytest.fixture(scope="module")
def clip(tiny: dict[str, Installed]) -> Installed:
    return tiny["clip"]


@pytest.fixture(scope="module")
def stage(clip: Installed) -> LabelStage:
    return load("labels:tiny-clip", clip.entry, clip.resources)


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_lies_where_a_label_does_gets_it(tiny: dict[str, Installed], kind: str) -> None:
    model = tiny[kind]
    name = f"labels:tiny-{kind}"
    stage = load(name, model.entry, model.resources)
    assert isinstance(stage, VectorStage)
    assert stage.space == model.plan.space
    assert stage.revision == model.plan.stages[name]
    encoder = load_tower(model.entry, model.resources)
    centre = ensemble(encoder, background_captions(), CAPTION_TEMPLATES).mean(axis=0)
    tagged = named = 0
    for list_name, labels in label_lists(()).items():
        photos = unit(ensemble(encoder, labels, templates_of(list_name)) - centre)
        for findings, label in zip(stage.analyse_vectors(photos), labels, strict=True):
            assert {tag.source for tag in findings.tags} <= {"zero-shot"}
            assert all(0.5 <= tag.confidence <= 1 for tag in findings.tags)
            assert len(findings.tags) <= 3 * PER_LIST
            tagged += bool(findings.tags)
            named += label.lower() in {tag.name for tag in findings.tags}
    # These networks know nothing, and to them many labels are like a dozen captions: those get none.
    assert tagged >= 10
    assert named >= 0.9 * tagged


def test_a_photo_like_the_captions_as_a_whole_gets_none(stage: LabelStage, clip: Installed) -> None:
    encoder = load_tower(clip.entry, clip.resources)
    middle = ensemble(encoder, background_captions(), CAPTION_TEMPLATES).mean(axis=0, keepdims=True)
    [findings] = stage.analyse_vectors(unit(middle))
    assert findings.tags == ()


def test_a_label_that_is_near_to_everything_is_given_no_more_easily() -> None:
    """Two labels about different things; the first wording is a little nearer to every photo there is."""
    random = np.random.default_rng(4)
    dimension = 64
    everything = np.eye(1, dimension, dtype=np.float32)
    captions = unit(random.normal(size=(300, dimension)).astype(np.float32) * 0.5 + 3 * everything)
    own = unit(random.normal(size=(2, dimension)).astype(np.float32))
    labels = unit(own + np.array([[1.0], [0.2]], np.float32) * everything)
    photos = unit(np.concatenate([own, unit(random.normal(size=(40, dimension)).astype(np.float32))]) + everything)
    zero_shot = ZeroShot({"things": LabelVectors(("near to all", "plain"), labels)}, captions, 20.0)
    raw = photos[2:] @ labels.T
    assert (raw[:, 0] > raw[:, 1]).mean() > 0.9, "the raw cosines prefer the first label whatever is shown"
    tags = zero_shot.tags(photos)
    assert [tag.name for tag in tags[0]] == ["near to all"]
    assert [tag.name for tag in tags[1]] == ["plain"]
    assert sum(len(found) for found in tags[2:]) == 0


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def with_lists(resources: Resources, folder: Path, **lists: str) -> Resources:
    """The same, with further lists in a folder of settings."""
    (folder / "labels").mkdir(parents=True)
    for name, text in lists.items():
        (folder / "labels" / f"{name}.txt").write_text(text, encoding="utf-8")
    return dataclasses.replace(resources, config_folders=(*resources.config_folders, folder))


def test_own_lists_replace_and_extend_the_shipped_ones(clip: Installed, tmp_path: Path) -> None:
    resources = with_lists(
        clip.resources, tmp_path, scenes="# boats\nSloop\n\nGrandma's house # in spring\n", places="the old mill\n"
    )
    lists = label_lists(resources.config_folders)
    assert lists["scenes"] == ("Sloop", "Grandma's house")
    assert lists["places"] == ("the old mill",)
    assert lists["objects"] == label_lists(())["objects"]
    stage = load("labels:tiny-clip", clip.entry, resources)
    encoder = load_tower(clip.entry, resources)
    centre = ensemble(encoder, background_captions(), CAPTION_TEMPLATES).mean(axis=0)
    photos = [
        ensemble(encoder, [word], templates_of(name))
        for name, word in (("scenes", "Sloop"), ("places", "the old mill"))
    ]
    found = stage.analyse_vectors(unit(np.concatenate(photos) - centre))
    assert "sloop" in {tag.name for tag in found[0].tags}
    assert "the old mill" in {tag.name for tag in found[1].tags}


def test_an_edited_list_makes_every_photo_owe_its_labels_again(clip: Installed, tmp_path: Path) -> None:
    resources = with_lists(clip.resources, tmp_path, scenes="beach\n")
    known = load_list(resources.config_folders)
    plan = plan_for("tiny-clip", known, Store(resources.models), resources.config_folders)
    changed = {stage for stage, revision in plan.stages.items() if revision != clip.plan.stages[stage]}
    assert changed == {"labels:tiny-clip"}


def test_empty_lists_give_no_labels(clip: Installed, tmp_path: Path) -> None:
    nothing = dict.fromkeys(label_lists(()), "# none\n")
    stage = load("labels:tiny-clip", clip.entry, with_lists(clip.resources, tmp_path, **nothing))
    [findings] = stage.analyse_vectors(np.eye(1, stage.space.dimension, dtype=np.float32))
    assert findings.tags == ()


def test_a_list_that_is_no_text_is_named(clip: Installed, tmp_path: Path) -> None:
    resources = with_lists(clip.resources, tmp_path)
    (tmp_path / "labels" / "mine.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"mine\.txt"):
        load("labels:tiny-clip", clip.entry, resources)


def test_shipped_lists_are_rich_and_clean() -> None:
    lists = label_lists(())
    assert {name: len(labels) >= 100 for name, labels in lists.items()} == dict.fromkeys(
        ("activities", "objects", "scenes"), True
    )
    for name, labels in lists.items():
        assert all(label == label.strip() and "{" not in label for label in labels)
        assert len(set(map(str.lower, labels))) == len(labels)
        assert len(templates_of(name)) >= 3
