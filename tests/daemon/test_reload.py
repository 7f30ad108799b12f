"""Settings that are read again: what is taken over, what waits, and what is refused."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings, load
from daemon.commands import interruptible
from daemon.reload import Reloader
from daemon.watcher import Watcher
from tests.daemon.ears import RULES, Ears, put
from tests.e2e.conftest import make_reverie as make_reverie  # noqa: PLC0414 - pytest finds fixtures by name
from tests.e2e.driver import Reverie
from tests.sample_photos import copy_photos


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


@pytest.fixture
def reloader(file: Path) -> Reloader:
    def read() -> Settings:
        return load(environ={"HOME": "/home/ada"}, files=[file])

    return Reloader(load(environ={"HOME": "/home/ada"}, files=[file]), read)


def test_what_changed_is_taken_over_and_what_cannot_be_is_named(reloader: Reloader, file: Path) -> None:
    file.write_text("folders: [/srv/photos]\nprocessing: {max_megapixels: 50}\nsocket: {path: /run/other.sock}\n")
    assert list(reloader.reload()) == ["folders", "processing.max_megapixels"]
    assert reloader.settings.folders == (Path("/srv/photos"),)
    [note] = reloader.notes
    assert "socket.path" in note["title"]
    assert list(reloader.reload()) == [], "nothing has changed since"
    assert reloader.notes == [note], "it still waits"
    file.write_text("folders: [/srv/photos]\n")
    assert list(reloader.reload()) == ["processing.max_megapixels"]
    assert reloader.notes == []


@pytest.mark.parametrize("text", ["folders: photos\n", "fodlers: []\n", "watch: {ignore: ['/']}\n", "a: [\n"])
def test_wrong_settings_leave_those_in_force(reloader: Reloader, file: Path, text: str) -> None:
    before = reloader.settings
    file.write_text(text)
    assert list(reloader.reload()) == []
    assert reloader.settings is before
    [note] = reloader.notes
    assert note["remedy"]


def test_a_root_that_stays_is_watched_without_a_gap_and_one_that_goes_no_more(tmp_path: Path) -> None:
    stays, goes, comes = (tmp_path / name for name in ("stays", "goes", "comes"))
    for root in (stays, goes, comes):
        root.mkdir()
    ears = Ears()
    watcher = Watcher([str(stays), str(goes)], RULES, notify=ears, poll_seconds=60, check_seconds=0.05)
    watcher.start()
    try:
        ears.wait_for_rescan(stays)
        ears.wait_for_rescan(goes)
        ears.forget()
        watcher.change([str(comes), str(stays)], RULES, poll_seconds=60)
        ears.wait_for_rescan(comes)
        put(goes / "a.jpg")
        put(stays / "b.jpg")
        ears.wait_for_file(stays / "b.jpg")
        assert [health.root for health in watcher.health()] == [str(comes), str(stays)]
        assert not {hint.root for hint in ears.hints if hint.kind == "rescan"} & {str(stays), str(goes)}
        assert str(goes / "a.jpg") not in ears.paths()
    finally:
        watcher.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_indexing_ends_in_order_however_it_is_interrupted(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(number)
        assert interrupted()
    assert signal.getsignal(number) == before


def test_sighup_has_a_running_service_watch_another_folder(
    make_reverie: Callable[..., Reverie], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    copy_photos(two, "coffee.png")
    one.mkdir()
    settings = tmp_path / ".config" / "reverie" / "config.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"folders: [{one}]\n")
    reverie = make_reverie(REVERIE_WATCH__QUIET_SECONDS="0.5")
    reverie.start()
    assert reverie.service is not None
    settings.write_text(f"folders: [{two}]\nprocessing: {{max_megapixels: 200}}\n")
    reverie.service.send_signal(signal.SIGHUP)
    reverie.eventually(lambda: reverie.found("type:photo") == ["coffee.png"], within=30)
    assert [folder["path"] for folder in reverie.json("status")["service"]["folders"]] == [str(two)]
    log = reverie.stop()
    assert "the settings were read again: folders, processing.max_megapixels" in log
