"""Photos to vectors by CLIP and SigLIP: the vectors that transformers would give, whatever runs the network."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.dual_encoder import EmbeddingStage, ImageNetwork, image_network, load
from indexer.models.served import ServedNetwork
from indexer.records import Kind, MediaInfo, Space
from indexer.runtime.onnx_cpu import OnnxFp32
from indexer.runtime.torch_cpu import open_reference
from indexer.stage import Findings, PhotoStage, View
from tests import tiny_models
from tests.tiny_models import DIMENSION, KINDS, SIDE, Installed

Read = Callable[[str], NDArray[np.uint8]]

FLOAT16 = 1e-3
"""What rounding to half precision may change in a value below 1, twice over."""


def view(pixels: NDArray[np.uint8]) -> View:
    height, width = pixels.shape[:2]
    return View(pixels, width, height, MediaInfo(kind=Kind.PHOTO, format="JPEG", width=width, height=height))


def vectors_of(findings: list[Findings]) -> NDArray[np.float32]:
    embeddings = [one.embedding for one in findings if one.embedding is not None]
    return np.stack([np.frombuffer(embedding.vector, "<f2").astype(np.float32) for embedding in embeddings])


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tiny: dict[str, Installed]) -> Installed:
    return tiny[request.param]


@pytest.fixture(scope="module")
def network(model: Installed) -> ImageNetwork:
    return image_network(str(model.folder))


@pytest.fixture(scope="module")
def stage(model: Installed, network: ImageNetwork) -> EmbeddingStage:
    """On the reference alone, so that no faster runtime is built in the background."""
    return EmbeddingStage(
        "embedding:tiny",
        revision=1,
        space=model.plan.space,
        transform=network.transform,
        served=cast(ServedNetwork, open_reference(network, threads=1)),
    )


def pictures(photo: Read) -> list[NDArray[np.uint8]]:
    """Wide, square, grey, tiny, and a strip."""
    random = np.random.default_rng(5)
    return [
        *(photo(name) for name in ("coffee.png", "chelsea.png", "astronaut.png", "moon.png")),
        random.integers(0, 256, (2, 3, 3), np.uint8),
        random.integers(0, 256, (90, 30, 3), np.uint8),
    ]


def by_transformers(folder: Path, photos: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """The vectors by the model and the processor as transformers loads them, from end to end."""
    processors: Any = transformers.AutoImageProcessor
    processor = processors.from_pretrained(folder, local_files_only=True, backend="pil")
    reference = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    inputs = processor(photos, return_tensors="pt", input_data_format="channels_last")
    with torch.inference_mode():
        features = reference.get_image_features(**inputs).pooler_output
    vectors: NDArray[np.float32] = torch.nn.functional.normalize(features, dim=-1).numpy()
    return vectors


def test_an_installed_model_gives_the_vectors_that_transformers_gives(model: Installed, photo: Read) -> None:
    name = f"embedding:{model.entry.name}"
    stage = load(name, model.entry, model.resources)
    try:
        found = stage.analyse([stage.prepare(view(picture)) for picture in pictures(photo)])
        report = stage.report
    finally:
        stage.close()
    assert isinstance(stage, PhotoStage)
    assert stage.revision == model.plan.stages[name]
    assert stage.short_side == SIDE
    [space] = {one.embedding.space for one in found if one.embedding}
    assert space == stage.space == model.plan.space
    assert space.dimension == DIMENSION
    assert model.entry.name in space.name
    vectors = vectors_of(found)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    expected = by_transformers(model.folder, pictures(photo))
    np.testing.assert_allclose(vectors, expected, atol=FLOAT16)
    assert (expected @ expected.T).min() < 0.95, "pictures must differ, or this proves nothing"
    assert report is not None
    assert (report.stage, report.model, report.batch_size) == (name, model.entry.name, 2)


def test_a_photo_has_the_same_vector_in_any_batch(stage: EmbeddingStage, photo: Read) -> None:
    prepared = [stage.prepare(view(picture)) for picture in pictures(photo)]
    alone = np.concatenate([vectors_of(stage.analyse([one])) for one in prepared])
    np.testing.assert_allclose(vectors_of(stage.analyse(prepared)), alone, atol=FLOAT16)


def test_what_is_fed_is_what_the_makers_processor_would_feed(network: ImageNetwork, photo: Read) -> None:
    ours, theirs = (
        made[0].astype(float) for made in (network.prepare(pictures(photo)), network.reference_inputs(pictures(photo)))
    )
    assert ours.shape == theirs.shape == (len(pictures(photo)), *network.inputs[0].shape)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_the_reference_holds_nothing_of_the_text_side(network: ImageNetwork) -> None:
    assert not [name for name, _ in network.load().named_parameters() if "text_model" in name]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # the exporter's own
def test_it_can_be_exported_with_a_free_batch(tiny: dict[str, Installed], tmp_path: Path, photo: Read) -> None:
    # SigLIP has all that CLIP has, and an attention in its head; an export takes seconds.
    model = tiny["siglip"]
    network = image_network(str(model.folder))
    samples = network.prepare(pictures(photo))
    OnnxFp32().build(network, tmp_path, resources=model.resources, samples=samples, source=None)
    [vectors] = OnnxFp32().open(network, tmp_path, resources=model.resources)(*samples)
    np.testing.assert_allclose(network.judged((vectors,)), by_transformers(model.folder, pictures(photo)), atol=1e-4)


def test_other_weights_are_another_network_and_another_space(tiny: dict[str, Installed]) -> None:
    networks = [image_network(str(model.folder)) for model in tiny.values()]
    assert len({network.fingerprint for network in networks}) == len(networks)
    spaces = {model.plan.space for model in tiny.values()}
    assert len(spaces) == len(networks)
    commit = tiny["clip"].plan.space.name.partition("@")[2].partition("/")[0]
    assert tiny["clip"].plan.space == Space(f"tiny-clip@{commit}/1", DIMENSION)
    assert len(commit) == 12


def test_an_entry_with_the_wrong_dimension_is_refused(tmp_path: Path) -> None:
    wrong = tiny_models.install("clip", tmp_path, dimension=DIMENSION + 1)
    with pytest.raises(ModelError, match=f"have {DIMENSION} values") as caught:
        load("embedding:tiny-clip", wrong.entry, wrong.resources)
    assert "dimension" in caught.value.remedy


def test_damaged_weights_are_not_loaded(tiny: dict[str, Installed], tmp_path: Path) -> None:
    model = tiny["clip"]
    models = tmp_path / "models"
    shutil.copytree(model.resources.models, models)
    weights = models / model.entry.name / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"model\.safetensors") as caught:
        load("embedding:tiny-clip", model.entry, dataclasses.replace(model.resources, models=models))
    assert "models pull tiny-clip" in caught.value.remedy


def test_a_model_of_another_kind_is_refused_and_those_that_are_known_are_named(
    tiny: dict[str, Installed], tmp_path: Path
) -> None:
    """SigLIP 2 with naturally flexible resolution takes patches, not pictures of one shape."""
    shutil.copytree(tiny["siglip2"].folder, tmp_path / "naflex")
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.Siglip2Config(
        text_config={**shape, "vocab_size": 10, "projection_size": 8},
        vision_config={**shape, "num_patches": 4, "patch_size": 8},
    )
    transformers.Siglip2Model(config).save_pretrained(tmp_path / "naflex")
    with pytest.raises(ModelError, match="siglip2") as caught:
        image_network(str(tmp_path / "naflex")).load()
    assert "NaFlex" in caught.value.remedy
