"""`reverie doctor` on real folders, sockets and packages."""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from config.settings import Settings, load
from daemon import doctor
from daemon.checks import Level, installation, machine
from daemon.checks.installation import check_extras, check_packages, check_weights, missing, requirements
from daemon.checks.machine import check_folders, check_library, check_service, check_watches
from daemon.mounts import Mount
from indexer.models.weights import CLASS_NAMES

ROOT = Path(__file__).parents[2]


def settings(home: Path, **flags: object) -> Settings:
    given = {key.replace("__", "."): value for key, value in flags.items()}
    return load(environ={"HOME": str(home)}, files=[], flags=given)


def examine(home: Settings, *words: str) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    out = io.StringIO()
    status = doctor.run(parser.parse_args(["doctor", *words]), home, out)
    return status, out.getvalue()


def test_a_machine_with_everything_is_healthy(tmp_path: Path) -> None:
    status, said = examine(settings(tmp_path))
    assert status == 0
    assert "error" not in said
    for name in ("Python", "packages", "weights", "library", "disk", "watches", "GPU", "service"):
        assert f" {name}: " in said


def test_a_plugin_that_cannot_be_used_is_a_warning_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weather-1.dist-info").mkdir()
    (tmp_path / "weather-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: weather\nVersion: 1\n")
    (tmp_path / "weather-1.dist-info" / "entry_points.txt").write_text("[reverie.stages]\nweather = no_weather:Stage\n")
    monkeypatch.syspath_prepend(tmp_path)
    status, said = examine(settings(tmp_path))
    assert status == 0
    assert 'warning plug-ins: "weather" is left out: it cannot be imported (ModuleNotFoundError' in said


def test_what_hinders_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "photos").touch()
    status, said = examine(settings(tmp_path, folders=[tmp_path / "photos"]), "--json")
    answer = json.loads(said)
    assert (status, answer["healthy"]) == (3, False)
    [error] = [check for check in answer["checks"] if check["level"] == "error"]
    assert error == {
        "name": "folders",
        "level": "error",
        "what": f"{tmp_path / 'photos'} is not a folder.",
        "fix": "Correct `folders` in the settings.",
    }


def test_an_unmounted_folder_is_a_warning(tmp_path: Path) -> None:
    [check] = check_folders(settings(tmp_path, folders=[tmp_path / "gone"]))
    assert (check.level, check.what) == (Level.WARNING, f"{tmp_path / 'gone'} is not there.")


CLOSED = """
import os, sys
from pathlib import Path
from config.settings import load
from daemon.checks.machine import check_folders, check_library
if os.geteuid() == 0:
    os.setuid(65534)
closed = Path(sys.argv[1])
settings = load(environ={"HOME": str(closed), "USER": "ada"}, files=[], flags={"folders": [closed / "photos"]})
for check in [*check_folders(settings), *check_library(settings)]:
    print(check.level, check.what, check.fix)
"""


def test_what_is_closed_to_the_user_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "photos").mkdir(parents=True)
    closed.chmod(0)
    try:
        said = subprocess.run(
            [sys.executable, "-c", CLOSED, str(closed)],
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "USER": "ada", "PYTHONPATH": str(ROOT)},
        ).stdout.splitlines()
    finally:
        closed.chmod(0o700)
    assert said[0] == (
        f"error {closed}/photos cannot be read: Permission denied. "
        f"As its owner: setfacl -R -m u:ada:rX,d:u:ada:rX {closed}/photos"
    )
    assert said[1].startswith(f"error {closed}/.local/share/reverie cannot be written: ")
    assert len(said) == 3


def test_the_watch_limit_counts_the_folders_below_those_watched(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/@eaDir/d").mkdir(parents=True)
    [check] = check_watches(settings(tmp_path, folders=[tmp_path / "a"]))
    assert check.level is Level.OK
    assert check.what.startswith("3 folders to watch, ")


def test_a_damaged_weight_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = CLASS_NAMES
    damaged = tmp_path / names.module / names.path
    damaged.parent.mkdir()
    (damaged.parent / "__init__.py").touch()
    damaged.write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    errors = [check for check in check_weights(settings(tmp_path)) if check.level is Level.ERROR]
    assert any(f"{damaged.name} of the package {names.package} is damaged" in check.what for check in errors)
    assert all(check.fix.startswith("Install it") for check in errors)


def test_the_programs_own_requirements_are_those_checked(tmp_path: Path) -> None:
    assert any(requirement.startswith("torch") for requirement in requirements(""))
    assert [requirement[:5] for requirement in requirements("raw")] == ["rawpy"]
    [check] = check_packages(settings(tmp_path))
    assert check.level is Level.OK
    assert missing(["Pillow<14,>=12.3", "no-such-package-here>=1"]) == ["no-such-package-here>=1"]


def test_an_absent_extra_comes_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "missing", list)
    raw, systemd = check_extras(settings(tmp_path))
    assert raw.level is Level.WARNING
    assert shlex.split(raw.fix)[:4] == [sys.executable, "-m", "pip", "install"]
    assert shlex.split(raw.fix)[4].startswith("rawpy")
    assert systemd.fix.startswith("sudo apt-get install gcc pkg-config libsystemd-dev && ")


def test_the_library_must_be_on_a_local_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {check.level for check in check_library(settings(tmp_path))} == {Level.OK}
    monkeypatch.setattr(machine, "read_mounts", lambda: (Mount("/", "ext4"), Mount(str(tmp_path.resolve()), "nfs4")))
    [check] = [check for check in check_library(settings(tmp_path)) if check.level is Level.ERROR]
    assert "is on a network filesystem (nfs4)" in check.what


def test_a_service_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            listener.accept()[0].close()

        silent = threading.Thread(target=hang_up)
        silent.start()
        [check] = check_service(settings(tmp_path, socket__path=path))
        silent.join()
    assert check.level is Level.ERROR
    [check] = check_service(settings(tmp_path, socket__path=path))
    assert (check.level, check.what) == (Level.OK, f"not running (no answer at {path})")
