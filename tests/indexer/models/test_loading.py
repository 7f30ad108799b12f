"""A stage by its name: what is loaded, and what is said where it cannot be."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from config.errors import ModelError, StageFailed
from indexer.models.loading import MODULES, load_stage
from indexer.models.resources import Resources, RunPolicy
from indexer.records import Kind, MediaInfo, Stage
from indexer.stage import PhotoStage, View
from indexer.stages import STAGES


@pytest.fixture
def resources(tmp_path: Path, model_cache: Path) -> Resources:
    return Resources(
        models=tmp_path / "models",
        model_cache=model_cache,
        config_folders=(),
        thumbnails=tmp_path / "thumbnails",
        threads=2,
        policy=RunPolicy(batch_size=3),
    )


def test_the_builtin_network_is_a_stage_like_any_other(resources: Resources) -> None:
    stage = load_stage(Stage.CONCEPTS, resources)
    assert isinstance(stage, PhotoStage)
    assert (stage.name, stage.revision) == (Stage.CONCEPTS, STAGES[Stage.CONCEPTS])
    assert stage.report is not None
    assert (stage.report.stage, stage.report.batch_size) == (Stage.CONCEPTS, 3)
    assert (stage.report.device, stage.report.precision) == ("CPU", "fp32")
    pixels = np.random.default_rng(4).integers(0, 256, (240, 300, 3), dtype=np.uint8)
    info = MediaInfo(kind=Kind.PHOTO, format="PNG", width=300, height=240)
    prepared = stage.prepare(View(pixels, 300, 240, info))
    findings = stage.analyse([prepared] * 5)
    assert len(findings) == 5
    vectors = [np.frombuffer(one.embedding.vector, "<f2").astype(float) for one in findings if one.embedding]
    assert len(vectors) == 5
    assert all(float(vector @ vectors[0]) > 0.999 for vector in vectors)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dreaming:clip-vit-b-32", 'no task "dreaming"'),
        ("embedding:no-such-model", '"no-such-model" is in no list'),
        ("embedding:", '"" is in no list'),
        ("detection:dfine-s", "dfine-s is not installed"),
    ],
)
def test_what_is_unknown_is_said_with_what_is_known(resources: Resources, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        load_stage(name, resources)
    assert caught.value.remedy


def test_a_stage_that_no_package_brings_is_missed_alone(resources: Resources) -> None:
    with pytest.raises(StageFailed, match='No installed package has a stage "weather"'):
        load_stage("weather", resources)


def test_every_task_has_its_module() -> None:
    assert [module for module in MODULES.values() if find_spec(module) is None] == []
