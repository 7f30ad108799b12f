"""Tiny models of actions: classifiers that know three, and X-CLIP that takes any."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.action import NOTHING, ActionNetwork, evenly, moved
from indexer.models.listing import ModelEntry, stage_revision
from indexer.models.loading import load_stage
from indexer.models.store import Store
from indexer.runtime.samples import gate_samples
from indexer.stage import ClipStage
from tests import tiny_tasks

CHOICES = ("a dog runs", "Playing Guitar", "somebody swims")
ARCHITECTURES = {"videomae": (), "timesformer": (), "x-clip": CHOICES}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("actions")
    return {name: tiny_tasks.save_action_model(name, root / name) for name in ARCHITECTURES}


def clips() -> list[NDArray[np.uint8]]:
    """Two clips of four frames, wide and tall."""
    return [moved(photo, tiny_tasks.FRAMES) for photo in gate_samples(Path("no thumbnails"), 2)]


def by_the_makers(folder: Path, clip: NDArray[np.uint8], choices: tuple[str, ...]) -> dict[str, float]:
    """Probabilities by transformers' own processor, tokenizer and model."""
    processor = tiny_tasks.transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    inputs = processor(list(clip), return_tensors="pt")
    with torch.inference_mode():
        if choices:
            tokens = tiny_tasks.transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)(
                list(choices), padding=True, return_tensors="pt"
            )
            model = tiny_tasks.transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
            logits, names = model(**inputs, **tokens).logits_per_video, choices
        else:
            model = tiny_tasks.transformers.AutoModelForVideoClassification.from_pretrained(
                folder, local_files_only=True
            ).eval()
            logits, names = model(**inputs).logits, tuple(tiny_tasks.ACTIONS.values())
    return dict(zip(names, logits.softmax(dim=1)[0].tolist(), strict=True))


def installed(folder: Path, root: Path, **options: object) -> ModelEntry:
    """A saved model, listed as "tiny" in the user's own list and pulled."""
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / "doings.txt").write_text("\n".join(CHOICES))
    files = "\n".join(f"      - path: {path.name}" for path in sorted(folder.iterdir()))
    (root / "models.yaml").write_text(
        "models:\n  tiny:\n    task: action\n    title: t\n    about: a\n    licence: none\n"
        f"    repository: test/{folder.name}\n    revision: null\n    options: {json.dumps(options)}\n"
        f"    files:\n{files}\n"
    )
    return tiny_tasks.install("tiny", "action", folder, root / "models", **options)


def load(root: Path) -> ClipStage:
    """The stage of the installed model, as the worker gets it."""
    stage = load_stage("action:tiny", dataclasses.replace(tiny_tasks.resources(root), config_folders=(root,)))
    assert isinstance(stage, ClipStage)
    return stage


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_installed_model_names_what_its_makers_code_names(
    architecture: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    choices = ARCHITECTURES[architecture]
    installed(folders[architecture], tmp_path, threshold=0, **({"list": "doings"} if choices else {}))
    stage = load(tmp_path)
    found = stage.recognise([stage.prepare_clip(clip) for clip in clips()])
    assert stage.report is not None
    assert stage.report.stage == "action:tiny"
    assert stage.frames == tiny_tasks.FRAMES
    for events, clip in zip(found, clips(), strict=True):
        expected = by_the_makers(folders[architecture], clip, (*choices, *NOTHING) if choices else ())
        known = {name.lower(): score for name, score in expected.items() if name not in NOTHING}
        assert {event.label: event.confidence for event in events} == pytest.approx(known, abs=1e-4)
        assert [event.confidence for event in events] == sorted((event.confidence for event in events), reverse=True)
        assert {(event.kind, event.start, event.end) for event in events} <= {("action", 0.0, 0.0)}
    assert found[0] != found[1], "all clips look the same to it"


def test_only_actions_that_are_sure_enough_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    installed(folders["videomae"], tmp_path, threshold=0)
    every = load(tmp_path)
    (events,) = every.recognise([every.prepare_clip(clips()[0])])
    between = (events[0].confidence + events[1].confidence) / 2
    installed(folders["videomae"], tmp_path, threshold=between)
    strict = load(tmp_path)
    assert strict.recognise([strict.prepare_clip(clips()[0])]) == [events[:1]]
    assert strict.revision != every.revision


def test_another_list_of_actions_owes_the_stage_again(folders: dict[str, Path], tmp_path: Path) -> None:
    entry = installed(folders["x-clip"], tmp_path, list="doings")

    def revision() -> int:
        return stage_revision("action:tiny", entry, Store(tmp_path / "models"), [tmp_path])

    before = revision()
    (tmp_path / "labels" / "other.txt").write_text("a word")
    assert revision() == before
    (tmp_path / "labels" / "doings.txt").write_text("somebody sings")
    assert revision() != before


def test_a_list_that_is_not_there_is_said_with_those_that_are(folders: dict[str, Path], tmp_path: Path) -> None:
    installed(folders["x-clip"], tmp_path, list="nowhere")
    with pytest.raises(ModelError, match='"nowhere", which is empty or missing') as caught:
        load(tmp_path)
    assert "activities, doings" in caught.value.remedy


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_fed_is_what_the_makers_processor_would_feed(architecture: str, folders: dict[str, Path]) -> None:
    network = ActionNetwork("tiny", str(folders[architecture]), "key", *ARCHITECTURES[architecture])
    samples = gate_samples(Path("no thumbnails"), 3)
    (ours,), (theirs,) = network.prepare(samples), network.reference_inputs(samples)
    assert ours.shape == (3, *network.inputs[0].shape)
    np.testing.assert_allclose(ours.astype(float), theirs.astype(float), atol=1e-5)


def test_the_order_of_frames_matters(folders: dict[str, Path], tmp_path: Path) -> None:
    network = ActionNetwork("tiny", str(folders["videomae"]), "key")
    module = network.load()
    forward, backward = (torch.from_numpy(network.one(clip)[None]) for clip in (clips()[0], clips()[0][::-1]))
    with torch.inference_mode():
        assert not torch.allclose(module(forward), module(backward), atol=1e-4)


def test_x_clip_can_be_exported_with_a_free_batch_axis(folders: dict[str, Path]) -> None:
    network = ActionNetwork("tiny", str(folders["x-clip"]), "key", *CHOICES)
    module = network.load()
    (three,) = network.prepare(gate_samples(Path("no thumbnails"), 3))
    traced = torch.export.export(
        module, (torch.from_numpy(three[:2]),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    with torch.inference_mode():
        expected = module(torch.from_numpy(three))
        torch.testing.assert_close(traced.module()(torch.from_numpy(three)), expected, atol=1e-4, rtol=1e-4)


def test_frames_are_taken_evenly_and_short_clips_repeat_theirs() -> None:
    assert evenly(16, 4).tolist() == [2, 6, 10, 14]
    assert evenly(4, 4).tolist() == [0, 1, 2, 3]
    assert evenly(1, 4).tolist() == [0, 0, 0, 0]
    assert evenly(300, 8)[-1] < 300


def test_a_classifier_takes_no_list_and_x_clip_needs_one(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="does not take a list"):
        ActionNetwork("tiny", str(folders["videomae"]), "key", "swimming")
    with pytest.raises(ModelError, match="chooses from a list"):
        ActionNetwork("tiny", str(folders["x-clip"]), "key")
    keys = {ActionNetwork("tiny", str(folders["x-clip"]), "key", word).fingerprint for word in ("a", "b")}
    assert len(keys) == 2


def test_a_detector_names_no_actions(tmp_path: Path) -> None:
    folder = tiny_tasks.save_detector("yolos", tmp_path / "yolos")
    with pytest.raises(ModelError, match="names no actions"):
        ActionNetwork("tiny", str(folder), "key")
