"""The running service over a real folder: what appears is found, what changes is followed, what goes is hidden."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.driver import PROGRAM, Reverie
from tests.sample_photos import copy_photos, locate

QUICK = {"REVERIE_WATCH__QUIET_SECONDS": "0.5", "REVERIE_PROCESSING__MAX_WAIT_SECONDS": "0.1"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def service(make_reverie: Callable[..., Reverie], photos: Path) -> Reverie:
    """A running service that watches an empty folder."""
    reverie = make_reverie(**QUICK)
    reverie.start(photos)
    return reverie


def names(reverie: Reverie) -> list[str]:
    """The names of all searchable photos."""
    return sorted(reverie.found("type:photo", "--limit", "100"))


def analysed(reverie: Reverie) -> int:
    """How many photos went through the networks since the service started."""
    return int(reverie.status()["service"]["pace"]["finished"])


def test_a_photo_copied_slowly_is_found_soon_after_and_never_indexed_half(
    make_reverie: Callable[..., Reverie], photos: Path
) -> None:
    reverie = make_reverie()
    reverie.start(photos)
    data = locate("coffee.png").read_bytes()
    with (photos / "holiday.png").open("wb") as file:
        for start in range(0, len(data), len(data) // 8):
            file.write(data[start : start + len(data) // 8])
            file.flush()
            time.sleep(0.7)  # a slow copy, not a wait for anything
            assert reverie.json("status")["counts"]["media"] == 0
    reverie.eventually(lambda: reverie.found("a cup of coffee on a table") == ["holiday.png"], within=10)
    status = reverie.json("status")
    assert status["counts"]["media"] == 1
    assert status["problems"] == []


def test_files_that_were_there_before_the_service_are_found(make_reverie: Callable[..., Reverie], photos: Path) -> None:
    copy_photos(photos / "2019" / "paris", "coffee.png")
    copy_photos(photos, "rocket.jpg")
    reverie = make_reverie(**QUICK)
    reverie.start(photos)
    reverie.eventually(lambda: names(reverie) == ["coffee.png", "rocket.jpg"], within=15)


def test_renaming_moving_and_copying_cost_no_analysis(service: Reverie, photos: Path) -> None:
    copy_photos(photos / "in", "coffee.png", "rocket.jpg")
    service.eventually(lambda: names(service) == ["coffee.png", "rocket.jpg"], within=15)
    before = analysed(service)

    (photos / "in" / "coffee.png").rename(photos / "in" / "espresso.png")
    service.eventually(lambda: names(service) == ["espresso.png", "rocket.jpg"], within=10)
    (photos / "in").rename(photos / "out")
    service.eventually(
        lambda: service.run("show", photos / "out" / "espresso.png").returncode == 0 and names(service), within=10
    )
    assert service.run("show", photos / "in" / "espresso.png").returncode == 1
    shutil.copy(photos / "out" / "rocket.jpg", photos / "launch.jpg")
    service.eventually(lambda: len(service.json("show", photos / "launch.jpg").get("paths", [])) == 2, within=10)
    os.link(photos / "launch.jpg", photos / "linked.jpg")
    service.eventually(lambda: len(service.json("show", photos / "launch.jpg").get("paths", [])) == 3, within=10)

    assert analysed(service) == before
    assert service.json("status")["counts"]["media"] == 2


def test_a_deleted_file_is_hidden_and_comes_back_without_analysis(service: Reverie, photos: Path) -> None:
    copy_photos(photos, "coffee.png")
    service.eventually(lambda: names(service) == ["coffee.png"], within=15)
    kept = photos.parent / "kept.png"
    (photos / "coffee.png").rename(kept)
    service.eventually(lambda: names(service) == [], within=10)
    before = analysed(service)
    kept.rename(photos / "back.png")
    service.eventually(lambda: names(service) == ["back.png"], within=10)
    assert analysed(service) == before


def test_a_replaced_file_is_what_it_is_now(service: Reverie, photos: Path) -> None:
    copy_photos(photos, "coffee.png")
    service.eventually(lambda: names(service) == ["coffee.png"], within=15)
    shutil.copyfile(locate("chelsea.png"), photos / "coffee.png")
    service.eventually(
        lambda: "cat" in [tag["name"] for tag in service.json("show", photos / "coffee.png").get("tags", [])], within=15
    )
    assert service.found("a cat") == ["coffee.png"]
    assert names(service) == ["coffee.png"]


def test_an_unmounted_root_is_not_a_deletion(service: Reverie, photos: Path) -> None:
    copy_photos(photos, "coffee.png")
    service.eventually(lambda: names(service) == ["coffee.png"], within=15)
    away = photos.parent / "away"
    photos.rename(away)
    service.eventually(lambda: service.status()["service"]["folders"][0]["mode"] == "missing", within=15)
    assert names(service) == ["coffee.png"]
    away.rename(photos)
    copy_photos(photos, "rocket.jpg")
    service.eventually(lambda: names(service) == ["coffee.png", "rocket.jpg"], within=20)


def test_a_changed_sidecar_is_read_again(service: Reverie, photos: Path) -> None:
    copy_photos(photos, "moon.png")
    service.eventually(lambda: names(service) == ["moon.png"], within=15)
    (photos / "moon.png.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>'
        '<rdf:li xml:lang="x-default">Grandmother\'s telescope</rdf:li></rdf:Alt></dc:title>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>",
        encoding="utf-8",
    )
    service.eventually(lambda: service.found("grandmother telescope") == ["moon.png"], within=15)


def test_a_second_service_is_refused_and_told_who_holds_the_library(service: Reverie, photos: Path) -> None:
    assert service.service is not None
    second = service.run("run", photos)
    assert second.returncode == 3
    assert f"pid {service.service.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_index_hands_the_work_to_the_running_service(service: Reverie, photos: Path, tmp_path: Path) -> None:
    copy_photos(tmp_path / "elsewhere", "coffee.png")
    told = service.json("index", tmp_path / "elsewhere")
    assert told["state"] == "done"
    assert told["done"] == 1
    assert names(service) == ["coffee.png"]


def test_the_worker_leaves_when_idle_and_search_still_answers(
    make_reverie: Callable[..., Reverie], photos: Path
) -> None:
    copy_photos(photos, "coffee.png")
    reverie = make_reverie(**QUICK, REVERIE_PROCESSING__IDLE_SECONDS="1")
    reverie.start(photos)
    reverie.eventually(lambda: names(reverie) == ["coffee.png"], within=15)
    reverie.eventually(lambda: reverie.status()["service"]["worker_pid"] is None, within=15)
    assert reverie.found("coffee") == ["coffee.png"]


def test_sigterm_ends_it_in_order_and_removes_the_socket(service: Reverie, photos: Path) -> None:
    copy_photos(photos, "coffee.png")
    log = service.stop()
    assert "Traceback" not in log
    assert not (service.library / "run" / "reverie.sock").exists()


def test_the_socket_speaks_http_and_is_private(service: Reverie) -> None:
    socket_path = service.library / "run" / "reverie.sock"
    assert socket_path.stat().st_mode & 0o777 == 0o660
    assert socket_path.parent.stat().st_mode & 0o007 == 0
    metrics = curl(socket_path, "/metrics")
    assert "reverie_media 0.0" in metrics
    assert '"openapi": "3.1.0"' in curl(socket_path, "/openapi.json")
    assert '"exit_status": 2' in curl(socket_path, "/v1/search?q=colour%3A")
    assert '"exit_status": 2' in curl(socket_path, "/v1/nothing")
    assert "larger than" in curl(socket_path, "/v1/index", "--data", '{"paths": ["' + "x" * 100_000 + '"]}')


def curl(socket_path: Path, route: str, *options: str) -> str:
    """What a client that knows nothing of us reads."""
    command = ["curl", "--silent", "--unix-socket", str(socket_path), *options, f"http://localhost{route}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def test_systemd_activation_is_served(make_reverie: Callable[..., Reverie], photos: Path, tmp_path: Path) -> None:
    reverie = make_reverie(**QUICK)
    socket_path = tmp_path / "activated.sock"
    activator = subprocess.Popen(
        ["systemd-socket-activate", "--listen", str(socket_path), *_passed(reverie), *PROGRAM, "run", str(photos)],
        env=reverie.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        reverie.eventually(socket_path.exists, within=10)
        assert '"pid"' in curl(socket_path, "/v1/status")
        assert not (reverie.library / "run" / "reverie.sock").exists()
    finally:
        activator.terminate()
        activator.communicate(timeout=20)
    assert socket_path.exists()


def _passed(reverie: Reverie) -> list[str]:
    """systemd-socket-activate starts with an empty environment: name what the program needs."""
    kept = ("HOME", "XDG_CACHE_HOME", "PATH")
    return [
        f"--setenv={name}={value}"
        for name, value in reverie.environment.items()
        if name.startswith("REVERIE_") or name in kept
    ]
