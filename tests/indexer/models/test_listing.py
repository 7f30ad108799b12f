"""The list of models and profiles, and the plans made from it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from config.errors import ConfigError, ModelError
from indexer.models.builtin import describe_models
from indexer.models.listing import ModelList, load_list, models_of, plan_for, space_of, split_stage, stage_revision
from indexer.models.space import SPACE
from indexer.models.store import Store
from indexer.stages import STAGES

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
TINY = f"""
models:
  tiny:
    task: embedding
    title: Tiny
    about: For tests.
    licence: MIT
    repository: someone/tiny
    revision: "{COMMIT}"
    dimension: 8
    files:
      - path: config.json
      - path: model.safetensors
profiles:
  mine:
    about: For tests.
    stages: ["embedding:tiny", "labels:tiny"]
"""
ENTRY = "models.tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder with a list."""
    place = tmp_path / "config"
    place.mkdir()
    (place / "models.yaml").write_text(TINY)
    return place


def install(models: Path, name: str = "tiny", commit: str = COMMIT) -> None:
    """What a finished pull leaves, as far as plans read it."""
    place = models / name
    place.mkdir(parents=True)
    stored = {"size": 1, "sha256": "0" * 64}
    files = {"config.json": stored, "model.safetensors": stored}
    manifest = {"repository": "someone/tiny", "commit": commit, "files": files}
    (place / "manifest.json").write_text(json.dumps(manifest))


def plan_revision(folder: Path, models: Path, stage: str) -> int:
    return plan_for("mine", load_list([folder]), Store(models), [folder]).stages[stage]


def test_the_shipped_list_holds_what_it_promises() -> None:
    listed = load_list([])
    assert {"builtin", "standard", "quality"} <= set(listed.profiles)
    for entry in listed.models.values():
        assert entry.licence and entry.about, entry.name
        assert "AGPL" not in entry.licence, entry.name
        # Weights that nobody vouches for are said to be so where a person chooses.
        weights = [file for file in entry.files if file.path.startswith("model.")]
        if any(file.sha256 is None for file in weights):
            assert "recorded" in entry.about, entry.name
    for profile in listed.profiles.values():
        for entry in models_of(profile, listed):
            assert "non-commercial" not in entry.licence, (profile.name, entry.name)


def test_the_listed_packages_are_those_the_builtin_profile_uses() -> None:
    listed = load_list([])
    cards = {f"{card.package}=={card.version}" for card in describe_models()}
    builtin = models_of(listed.profiles["builtin"], listed)
    assert {entry.package for entry in builtin if entry.task == "concepts"} == cards
    store = Store(Path("/nowhere"))
    assert all(store.installed(entry) for entry in models_of(listed.profiles["builtin"], listed))


SPEECH = "speech:whisper-tiny-en"


def test_the_builtin_plan_is_what_every_library_starts_with(tmp_path: Path) -> None:
    plan = plan_for("builtin", load_list([]), Store(tmp_path), [])
    assert plan.space == SPACE
    assert plan.stages == STAGES | {SPEECH: plan.stages[SPEECH]}


def test_a_users_list_adds_and_replaces(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "system"
    other.mkdir()
    (other / "models.yaml").write_text(TINY.replace("title: Tiny", "title: The system's"))
    shipped = load_list([])
    listed = load_list([other, folder, tmp_path / "absent"])
    assert listed.models["tiny"].title == "Tiny"
    assert load_list([folder, other]).models["tiny"].title == "The system's"
    assert set(shipped.models) < set(listed.models)
    assert models_of(listed.profiles["mine"], listed) == (listed.models["tiny"],)


def test_a_user_can_change_a_shipped_profile(folder: Path) -> None:
    (folder / "models.yaml").write_text(TINY.replace("  mine:", "  standard:"))
    assert load_list([folder]).profiles["standard"].stages == ("embedding:tiny", "labels:tiny")


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        (("task: embedding", "task: painting"), f"{ENTRY}.task", "'detection'"),
        (("licence: MIT", "license: MIT"), f"{ENTRY}.licence", "required"),
        (("dimension: 8", "dimension: eight"), f"{ENTRY}.dimension", "integer"),
        (("dimension: 8", "dimension: null"), ENTRY, "has a dimension"),
        ((COMMIT, "main"), f"{ENTRY}.revision", "pattern"),
        (("someone/tiny", "https://elsewhere/tiny"), f"{ENTRY}.repository", "pattern"),
        (("path: config.json", "path: ../config.json"), f"{ENTRY}.files.0.path", "within the repository"),
        (("path: config.json", "path: /etc/passwd"), f"{ENTRY}.files.0.path", "within the repository"),
        (("path: config.json", "path: manifest.json"), f"{ENTRY}.files.0.path", "within the repository"),
        (("path: config.json", "path: model.safetensors"), ENTRY, "listed twice"),
        (("model.safetensors", "pytorch_model.bin"), ENTRY, "nothing that can hold code"),
        (("model.safetensors", "model.bin"), ENTRY, "nothing that can hold code"),
        (("model.safetensors", "model.pt"), ENTRY, "nothing that can hold code"),
        (("model.safetensors", "modeling.py"), ENTRY, "nothing that can hold code"),
        (("repository: someone/tiny", "package: tiny==1.0"), ENTRY, "one of a package does not"),
        (("repository: someone/tiny", ""), ENTRY, "one source"),
        (('"embedding:tiny", ', ""), "profiles.mine.stages", "one embedding"),
        (('"embedding:tiny"', '"embedding:tiny", concepts'), "profiles.mine.stages", "one embedding"),
        (('"labels:tiny"', '"labels:huge"'), "profiles.mine.stages", 'no model "huge"'),
        (('"labels:tiny"', '"labels:clip-vit-b-32"'), "profiles.mine.stages", "does not make"),
        (('"labels:tiny"', '"painting:tiny"'), "profiles.mine.stages", 'no task "painting"'),
        (('"labels:tiny"', '"detection:tiny"'), "profiles.mine.stages", "for embedding, not for detection"),
        (('"labels:tiny"', "labels"), "profiles.mine.stages", "neither"),
        (('"labels:tiny"', '"embedding:tiny"'), "profiles.mine.stages", "twice"),
        (("profiles:", "models:"), "line 14", '"models" is there twice'),
        (("  mine:", "  mine: ["), "line 17", "not YAML"),
    ],
)
def test_a_wrong_list_is_refused_by_file_and_key(folder: Path, change: tuple[str, str], key: str, reason: str) -> None:
    text = TINY.replace(*change)
    assert text != TINY
    (folder / "models.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_list([folder])
    assert str(folder / "models.yaml") in refused.value.title
    assert key in refused.value.title
    assert reason in refused.value.title
    assert refused.value.remedy


def test_speech_may_have_ctranslate2s_own_format(folder: Path) -> None:
    text = TINY.replace("task: embedding", "task: speech").replace("    dimension: 8\n", "")
    text = text.replace("model.safetensors", "model.bin").partition("profiles:")[0]
    (folder / "models.yaml").write_text(text)
    assert load_list([folder]).models["tiny"].files[1].path == "model.bin"


def test_stages_are_split_into_task_and_model() -> None:
    assert split_stage("embedding:clip-vit-b-32") == ("embedding", "clip-vit-b-32")
    for stage in ("concepts", "embedding:", ":clip"):
        with pytest.raises(ValueError, match="no stage of a model"):
            split_stage(stage)


def test_a_plan_names_the_commit_in_its_space(folder: Path, tmp_path: Path) -> None:
    listed, store = load_list([folder]), Store(tmp_path / "models")
    with pytest.raises(ModelError) as missing:
        plan_for("mine", listed, store, [folder])
    assert "tiny" in missing.value.title
    assert "reverie models pull mine" in missing.value.remedy

    install(tmp_path / "models")
    plan = plan_for("mine", listed, store, [folder])
    assert plan.space == space_of(listed.models["tiny"], store)
    assert plan.space.name == f"tiny@{COMMIT[:12]}/1"
    assert plan.space.dimension == 8
    assert set(plan.stages) == {"metadata", "describe", "pixels", "sound", "embedding:tiny", "labels:tiny"}
    assert all(0 < revision < 2**31 for revision in plan.stages.values())
    assert plan == plan_for("mine", load_list([folder]), Store(tmp_path / "models"), [folder])
    stage = "embedding:tiny"
    assert plan.stages[stage] == stage_revision(stage, listed.models["tiny"], store, [folder])


def test_an_unknown_profile_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as unknown:
        plan_for("better", load_list([]), Store(tmp_path), [])
    assert "builtin, standard, quality" in unknown.value.remedy


def test_a_profile_that_names_a_plugin_which_is_not_there(folder: Path, tmp_path: Path) -> None:
    (folder / "models.yaml").write_text(TINY.replace('"labels:tiny"', "captions"))
    install(tmp_path / "models")
    with pytest.raises(ModelError, match="captions"):
        plan_for("mine", load_list([folder]), Store(tmp_path / "models"), [folder])


def test_labels_are_owed_again_when_a_label_list_changes(folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    install(models)
    labels, embedding = (plan_revision(folder, models, stage) for stage in ("labels:tiny", "embedding:tiny"))
    (folder / "labels").mkdir()
    (folder / "labels" / "pets.txt").write_text("a parrot\n")
    changed = plan_revision(folder, models, "labels:tiny")
    assert changed != labels
    assert plan_revision(folder, models, "embedding:tiny") == embedding
    (folder / "labels" / "pets.txt").unlink()
    assert plan_revision(folder, models, "labels:tiny") == labels


def test_a_stage_is_owed_again_when_its_options_or_its_weights_change(folder: Path, tmp_path: Path) -> None:
    listed, store = load_list([folder]), Store(tmp_path / "models")
    install(tmp_path / "models")
    entry = dataclasses.replace(listed.models["tiny"], revision=None)
    install(tmp_path / "other", commit=COMMIT[::-1])
    stage = "embedding:tiny"
    revisions = {
        stage_revision(stage, entry, store, []),
        stage_revision(stage, dataclasses.replace(entry, options={"size": 4}), store, []),
        stage_revision(stage, entry, Store(tmp_path / "other"), []),
    }
    assert len(revisions) == 3


def test_the_size_of_a_download_is_known_before_it(folder: Path) -> None:
    listed: ModelList = load_list([folder])
    assert listed.models["tiny"].size is None
    small = listed.models["whisper-small"]
    assert small.size == sum(file.size or 0 for file in small.files)
