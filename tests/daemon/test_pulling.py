"""`reverie models pull`: what it says before it fetches, and when it asks."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from config.errors import PullFailed
from config.paths import Paths
from daemon.pulling import NotConfirmed, ask, pull_all
from tests.hub import COMMIT, HubServer

FILES = {"config.json": b"{}", "model.safetensors": bytes(100_000)}
REPOSITORY = "someone/finder"
GIGABYTE = 10**9


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({REPOSITORY: FILES}) as server:
        yield server


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A library whose list has one more model, "finder"."""
    entry = {
        "task": "detection",
        "title": "Finder",
        "about": "For tests.",
        "licence": "MIT",
        "repository": REPOSITORY,
        "revision": COMMIT,
        "files": [{"path": path} for path in FILES],
    }
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "models.yaml").write_text(yaml.safe_dump({"models": {"finder": entry}}))
    return Paths(tmp_path / "library", tmp_path / "cache", tmp_path / "socket", (tmp_path / "conf",))


def never(question: str) -> bool:
    raise AssertionError(question)


def pull(hub: HubServer, paths: Paths, tmp_path: Path, **options: object) -> object:
    environ = {"HF_ENDPOINT": hub.endpoint, "HOME": str(tmp_path)}
    return pull_all("finder", paths, environ, **{"folder": None, "confirm": never, **options})  # type: ignore[arg-type]


def test_what_comes_is_said_first_and_little_is_not_asked_about(
    hub: HubServer, paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(hub, paths, tmp_path) == {"pulled": ["finder"], "already": []}
    said = capsys.readouterr().err
    assert "To fetch: 100 kB" in said
    assert f"from {hub.endpoint}/{REPOSITORY} at {COMMIT[:12]}" in said
    assert pull(hub, paths, tmp_path) == {"pulled": [], "already": ["finder"]}
    assert capsys.readouterr().err == ""


def test_what_is_here_of_it_is_not_counted_again(
    hub: HubServer, paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.cut_after["model.safetensors"] = [60_000, 0]
    with pytest.raises(PullFailed):
        pull(hub, paths, tmp_path)
    capsys.readouterr()
    pull(hub, paths, tmp_path)
    said = capsys.readouterr().err
    assert "To fetch: 40 kB" in said
    assert "60 kB are here" in said


def test_more_than_a_gigabyte_is_asked_about(hub: HubServer, paths: Paths, tmp_path: Path) -> None:
    hub.faults.sizes["model.safetensors"] = 3 * GIGABYTE // 2
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(NotConfirmed):
        pull(hub, paths, tmp_path, confirm=no)
    assert asked == ["Fetch 1.5 GB?"]
    assert hub.requests == []
    with pytest.raises(PullFailed, match="to its end"):  # it was begun, and the hub has less than it said
        pull(hub, paths, tmp_path, confirm=lambda _: True)


def test_a_folder_is_taken_without_a_question(
    hub: HubServer, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.pulling.ASK_FROM", 10)
    usb = tmp_path / "usb"
    usb.mkdir()
    for path, content in FILES.items():
        (usb / path).write_bytes(content)
    assert pull(hub, paths, tmp_path, folder=usb) == {"pulled": ["finder"], "already": []}
    (paths.models / "finder" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(NotConfirmed):
        pull(hub, paths, tmp_path, confirm=lambda _: False)


def test_a_disk_without_room_is_named_before_anything_is_asked(
    hub: HubServer, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    hub.faults.sizes["model.safetensors"] = 3 * GIGABYTE // 2
    with pytest.raises(PullFailed, match=r"has 10 MB free, which is no room for finder: 1\.6 GB are needed") as failed:
        pull(hub, paths, tmp_path)
    assert failed.value.remedy
    assert hub.requests == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "answer"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_only_a_yes_is_one(monkeypatch: pytest.MonkeyPatch, typed: str, *, answer: bool) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert ask("Fetch 2.3 GB?") is answer


def test_where_nobody_can_answer_the_flag_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(NotConfirmed, match=r"2\.3 GB") as refused:
        ask("Fetch 2.3 GB?")
    assert "--yes" in refused.value.remedy
