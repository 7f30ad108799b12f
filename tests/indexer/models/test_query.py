"""Queries to vectors: the ones that transformers would give, without transformers in the process."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models import text_build
from indexer.models.builtin import load_labels
from indexer.models.captions import background_captions
from indexer.models.query import load_background, load_query_encoder
from indexer.models.space import SPACE
from indexer.models.text_build import read_tokenizer
from indexer.models.text_graph import shape_of, write_graph
from indexer.models.text_tower import GRAPH, PARITY, TextTower, load_tower, obtain_tower
from indexer.records import Plan, Stage
from tests.tiny_models import DIMENSION, KINDS, Installed

TEXTS = (
    "a cat",
    "Two Dogs, running on the BEACH!",
    "",
    "what's   in the box?",
    "Grüße aus München",
    "東京の夜",
    "😀",
    "cat " * 200,
)

CANONICAL = {
    "Two Dogs, running on the BEACH!": "two dogs running on the beach",
    "what's   in the box?": "whats in the box",
    "Grüße aus München": "grüße aus münchen",
    "cat " * 200: ("cat " * 200).strip(),
}
"""What SigLIP 1 was trained to see: lower case, no punctuation, single spaces."""


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tiny: dict[str, Installed]) -> Installed:
    return tiny[request.param]


def by_transformers(model: Installed, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors by the model and the tokenizer as transformers loads them, fed as their documentation says."""
    reference = transformers.AutoModel.from_pretrained(model.folder, local_files_only=True).eval()
    vectors = []
    for text in texts:
        with torch.inference_mode():
            features = reference.get_text_features(**_tokens(model, text)).pooler_output
        vectors.append(torch.nn.functional.normalize(features, dim=-1)[0].numpy())
    return np.stack(vectors)


def _tokens(model: Installed, text: str) -> dict[str, Any]:
    tokenizers: Any = transformers.AutoTokenizer
    if model.entry.name == "tiny-clip":
        tokenizer = tokenizers.from_pretrained(model.folder, local_files_only=True)
        return dict(tokenizer([text], padding="max_length", truncation=True, max_length=77, return_tensors="pt"))
    fixed = {"padding": "max_length", "truncation": True, "max_length": 64, "padding_side": "right"}
    if model.entry.name == "tiny-siglip2":
        tokenizer = tokenizers.from_pretrained(model.folder, local_files_only=True)
        return {"input_ids": tokenizer([text.lower()], return_tensors="pt", **fixed)["input_ids"]}
    # SigLIP's own tokenizer class needs SentencePiece, which is not installed.
    ends: Any = {"pad_token": "</s>", "eos_token": "</s>"}
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_file=str(model.folder / "tokenizer.json"), **ends)
    return {"input_ids": tokenizer([CANONICAL.get(text, text)], return_tensors="pt", **fixed)["input_ids"]}


def full_precision(model: Installed) -> TextTower:
    reference = transformers.AutoModel.from_pretrained(model.folder, local_files_only=True).eval()
    weights = {key: value.numpy() for key, value in reference.state_dict().items() if key.startswith("text_")}
    tokenizer, settings = read_tokenizer(model.folder, reference)
    graph = write_graph(weights, shape_of(reference.config), int8=False)
    return TextTower(graph, tokenizer, settings, model.plan.space, threads=1)


def test_the_graph_computes_what_transformers_does(model: Installed) -> None:
    ours = full_precision(model)
    expected = by_transformers(model, TEXTS)
    np.testing.assert_allclose(np.stack([ours.encode(text) for text in TEXTS]), expected, atol=1e-5)
    np.testing.assert_allclose(ours.encode_all(TEXTS), expected, atol=1e-5)
    assert np.std(expected, axis=0).max() > 0.05, "texts must differ, or this proves nothing"


def test_what_serves_stays_near_it(model: Installed) -> None:
    served = load_query_encoder(model.plan, model.resources)
    captions = background_captions()[:60]
    cosines = (np.stack([served.encode(text) for text in captions]) * by_transformers(model, captions)).sum(axis=1)
    assert cosines.min() > 0.97
    assert served.space == model.plan.space
    verdict = json.loads((obtain_tower(model.entry, model.resources) / PARITY).read_bytes())
    assert verdict["precision"] in served.runtime
    assert (verdict["precision"] == "int8") == (verdict["reason"] is None)


@pytest.mark.parametrize("text", ["", "   ", "word " * 5000, "\udcff cat", "a\0b"])
def test_any_text_becomes_a_unit_vector(model: Installed, text: str) -> None:
    vector = load_tower(model.entry, model.resources).encode(text)
    assert vector.shape == (DIMENSION,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_background_is_what_the_captions_say(model: Installed) -> None:
    background = load_background(model.plan, model.resources)
    captions = background_captions()
    assert background.shape == (len(captions), DIMENSION)
    encoder = load_query_encoder(model.plan, model.resources)
    for index in (0, 99, len(captions) - 1):
        assert background[index] @ encoder.encode(captions[index]) > 0.98


def test_captions_are_many_and_each_is_there_once() -> None:
    captions = background_captions()
    assert len(captions) >= 300
    assert all(caption == caption.strip() and "#" not in caption for caption in captions)


def test_it_is_built_in_a_child_once_and_then_opened_without_torch(tiny: dict[str, Installed], tmp_path: Path) -> None:
    model = tiny["clip"]
    program = (
        "import json, sys; from pathlib import Path\n"
        "from indexer.models.query import load_background, load_query_encoder\n"
        "from indexer.models.resources import Resources\n"
        "from indexer.records import Plan, Space\n"
        "given = json.loads(sys.argv[1])\n"
        "plan = Plan('tiny', Space(*given['space']), {'embedding:tiny-clip': 1})\n"
        "paths = [Path(path) for path in given['paths']]\n"
        "resources = Resources(models=paths[0], model_cache=paths[1], config_folders=(paths[2],),\n"
        "                      thumbnails=paths[3], threads=1)\n"
        "vector = load_query_encoder(plan, resources).encode('a cat')\n"
        "load_background(plan, resources)\n"
        "heavy = {'torch', 'transformers', 'cv2', 'onnx', 'PIL', 'safetensors'}\n"
        "print(json.dumps([sorted(heavy & set(sys.modules)), vector.tolist()]))"
    )
    resources = model.resources
    given = {
        "space": dataclasses.astuple(model.plan.space),
        "paths": [str(resources.models), str(tmp_path), str(resources.config_folders[0]), str(resources.thumbnails)],
    }
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy, vector = json.loads(done.stdout)
    assert heavy == []
    [built] = [path for path in tmp_path.iterdir() if path.is_dir()]
    before = (built / GRAPH).stat().st_mtime_ns
    again = load_query_encoder(model.plan, dataclasses.replace(resources, model_cache=tmp_path))
    assert (built / GRAPH).stat().st_mtime_ns == before
    np.testing.assert_allclose(again.encode("a cat"), vector, atol=1e-6)


def test_the_builtin_plan_has_the_builtin_encoder(model_cache: Path, tiny: dict[str, Installed]) -> None:
    resources = dataclasses.replace(tiny["clip"].resources, model_cache=model_cache)
    plan = Plan("builtin", SPACE, {Stage.CONCEPTS: 1})
    encoder = load_query_encoder(plan, resources)
    assert encoder.space == SPACE
    assert encoder.encode("a cat").shape == (SPACE.dimension,)
    np.testing.assert_array_equal(load_background(plan, resources), load_labels(model_cache, threads=1))


def test_another_revision_than_the_librarys_is_refused(tiny: dict[str, Installed]) -> None:
    model = tiny["clip"]
    other = dataclasses.replace(model.plan.space, name="tiny-clip@0123456789ab/1")
    with pytest.raises(ModelError, match="not the revision") as caught:
        load_query_encoder(dataclasses.replace(model.plan, space=other), model.resources)
    assert "models use" in caught.value.remedy


def test_what_is_not_there_is_named_with_the_way_out(tiny: dict[str, Installed], tmp_path: Path) -> None:
    model = tiny["clip"]
    gone = dataclasses.replace(model.resources, models=tmp_path)
    with pytest.raises(ModelError, match="not installed") as caught:
        load_query_encoder(model.plan, gone)
    assert "models pull tiny-clip" in caught.value.remedy
    unlisted = Plan("mine", model.plan.space, {"embedding:never-heard": 1})
    with pytest.raises(ModelError, match="never-heard"):
        load_query_encoder(unlisted, model.resources)
    with pytest.raises(ModelError, match="no embedding"):
        load_background(Plan("mine", model.plan.space, {"detection:some": 1}), model.resources)


def test_altered_weights_are_refused_before_anything_is_built(tiny: dict[str, Installed], tmp_path: Path) -> None:
    model = tiny["clip"]
    models = tmp_path / "models"
    shutil.copytree(model.resources.models, models)
    (models / "tiny-clip" / "tokenizer.json").write_text("{}")
    altered = dataclasses.replace(model.resources, models=models, model_cache=tmp_path / "cache")
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        load_query_encoder(model.plan, altered)


def test_a_model_that_is_not_what_its_entry_says_is_refused(
    tiny: dict[str, Installed], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text_build.main([str(tiny["clip"].folder), str(tmp_path), str(DIMENSION + 1), "1"]) == text_build.FAILED
    told = json.loads(capsys.readouterr().out)
    assert f"have {DIMENSION} values" in told["title"]
    assert "dimension" in told["remedy"]
    assert list(tmp_path.iterdir()) == []
