"""A tiny model of sounds: its spectra are those of its makers, its labels have spans."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from config.errors import ModelError
from indexer.models.sounds import SoundsNetwork, load, network_ref, spectrum, unrolled
from indexer.runtime.samples import gate_samples
from indexer.stage import SoundStage
from tests import tiny_tasks
from tests.voices import RATE, chords, noise, silence, wind


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    tiny_tasks.install("ast", "sounds", tiny_tasks.save_sounds_model(root / "ast"), root / "models")
    return root


@pytest.fixture(scope="module")
def stage(root: Path) -> SoundStage:
    """Its threshold is so low that every label is told."""
    entry = tiny_tasks.install("any", "sounds", root / "ast", root / "models", threshold=0.0)
    return load("sounds:any", entry, tiny_tasks.resources(root))


def network(root: Path) -> SoundsNetwork:
    entry = tiny_tasks.install("ast", "sounds", root / "ast", root / "models")
    return SoundsNetwork(*network_ref(entry, tiny_tasks.resources(root)).arguments)


def test_spectra_are_those_of_its_makers(root: Path) -> None:
    ours = network(root)
    photos = gate_samples(Path("no thumbnails"), 3)
    made, theirs = np.asarray(ours.prepare(photos)[0], float), np.asarray(ours.reference_inputs(photos)[0], float)
    assert np.abs(made - theirs).max() < 1e-4
    extractor = tiny_tasks.transformers.ASTFeatureExtractor.from_pretrained(root / "ast", local_files_only=True)
    for sound in (chords(2), wind(1.3), silence(2), noise(0.5), noise(5), noise(0.02)):
        if len(sound) >= 400:  # theirs cannot take less than one frame
            theirs = extractor(sound, sampling_rate=RATE, return_tensors="np")["input_values"][0]
            assert np.abs(spectrum(sound, ours.settings) - theirs).max() < 1e-4
        assert np.isfinite(spectrum(sound, ours.settings)).all()


def test_labels_come_with_their_spans_the_surest_first(stage: SoundStage, root: Path) -> None:
    sound = np.concatenate([chords(2), silence(2), noise(2), wind(1.5), silence(0.5)])
    events = stage.listen(sound, ()).events
    assert {(event.start, event.end) for event in events} == {(0, 2), (4, 6), (6, 8)}, "silence says nothing"
    assert {event.kind for event in events} == {"sound"}
    model = tiny_tasks.transformers.AutoModelForAudioClassification.from_pretrained(
        root / "ast", local_files_only=True
    ).eval()
    extractor = tiny_tasks.transformers.ASTFeatureExtractor.from_pretrained(root / "ast", local_files_only=True)
    inputs = extractor(sound[4 * RATE : 6 * RATE], sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        probabilities = model(**inputs).logits.sigmoid()[0].tolist()
    expected = sorted(
        (
            (probability, name.lower())
            for name, probability in zip(tiny_tasks.SOUNDS.values(), probabilities, strict=True)
        ),
        reverse=True,
    )
    found = [(event.confidence, event.label) for event in events if event.start == 4]
    assert [label for _, label in found] == [label for _, label in expected]
    assert [sure for sure, _ in found] == pytest.approx([sure for sure, _ in expected], abs=1e-3)


def test_only_labels_that_are_sure_enough_are_told(root: Path, stage: SoundStage) -> None:
    sound = noise(2)
    surest = stage.listen(sound, ()).events[0].confidence
    for threshold, told in ((surest - 0.01, True), (min(1.0, surest + 0.01), False)):
        entry = tiny_tasks.install("sure", "sounds", root / "ast", root / "models", threshold=threshold)
        assert bool(load("sounds:sure", entry, tiny_tasks.resources(root)).listen(sound, ()).events) == told


def test_how_it_runs_is_told(stage: SoundStage) -> None:
    assert isinstance(stage, SoundStage)
    assert stage.report is not None
    assert (stage.report.stage, stage.report.model) == ("sounds:any", "any")


def test_a_model_of_another_kind_is_refused_with_its_reason(tmp_path: Path) -> None:
    resources = tiny_tasks.resources(tmp_path)
    folder = tiny_tasks.save_action_model("videomae", tmp_path / "videomae")
    with pytest.raises(ModelError, match='of the kind "videomae", which names no sounds'):
        load("sounds:v", tiny_tasks.install("v", "sounds", folder, resources.models), resources)
    other = tiny_tasks.save_sounds_model(tmp_path / "other")
    settings = json.loads((other / "preprocessor_config.json").read_text())
    (other / "preprocessor_config.json").write_text(json.dumps(settings | {"sampling_rate": 48_000}))
    with pytest.raises(ModelError, match="spectra that Reverie does not make"):
        load("sounds:o", tiny_tasks.install("o", "sounds", other, resources.models), resources)


def test_a_photo_for_the_gate_becomes_a_sound_as_loud_as_sounds_are() -> None:
    for photo in gate_samples(Path("no thumbnails"), 3):
        sound = unrolled(photo, 2 * RATE)
        assert (len(sound), sound.dtype) == (2 * RATE, np.dtype(np.float32))
        assert 0.01 < np.abs(sound).max() <= 1
