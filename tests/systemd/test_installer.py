"""`reverie service`: what is written, what is kept, what is said."""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest

from config.errors import ReverieError, ServiceError
from config.settings import load
from daemon import installer

PROGRAM = Path("/opt/re verie/bin/reverie")
SETTINGS = load(environ={"HOME": "/home/ada"}, files=[])
UNITS = Path("/conf/systemd/user")


def carry_out(plan: installer.Plan, root: Path) -> str:
    out = io.StringIO()
    installer.carry_out(plan, out, systemd_runs=False, root=root)
    return out.getvalue()


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def service(*words: str) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    installer.add_parser(parser.add_subparsers())
    out = io.StringIO()
    status = installer.run(parser.parse_args(["service", *words]), SETTINGS, out)
    return status, out.getvalue()


def test_the_settings_it_begins_are_those_of_its_units(tmp_path: Path) -> None:
    said = carry_out(installer.system_install(PROGRAM, [Path("/srv/photos")], gpu=False), tmp_path)
    settings = load(environ={"HOME": "/home/ada"}, files=[tmp_path / "etc/reverie/config.yaml"])
    assert settings.folders == (Path("/srv/photos"),)
    assert settings.paths.library == Path("/var/lib/reverie")
    assert f"ListenStream={settings.paths.socket}\n" in (tmp_path / "etc/systemd/system/reverie.socket").read_text()
    assert (
        'ExecStart="/opt/re verie/bin/reverie" run\n' in (tmp_path / "etc/systemd/system/reveried.service").read_text()
    )
    assert "still to run: systemctl enable --now reverie.socket reveried.service\n" in said


def test_settings_that_are_there_are_kept(tmp_path: Path) -> None:
    plan = installer.user_install(PROGRAM, [Path("/new")], SETTINGS, UNITS)
    config = tmp_path / "conf/reverie/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("folders: [/mine]\n")
    assert f"kept as it was: {config}\n" in carry_out(plan, tmp_path)
    assert config.read_text() == "folders: [/mine]\n"


def test_uninstall_removes_the_units_and_nothing_else(tmp_path: Path) -> None:
    for install, uninstall in (
        (installer.system_install(PROGRAM, [], gpu=True), installer.system_uninstall()),
        (installer.user_install(PROGRAM, [], SETTINGS, UNITS), installer.user_uninstall(UNITS)),
    ):
        carry_out(install, tmp_path)
        assert "removed: " in carry_out(uninstall, tmp_path)
        assert "removed: " not in carry_out(uninstall, tmp_path)
    assert tree(tmp_path) == {"etc/reverie/config.yaml", "conf/reverie/config.yaml"}


def test_a_dry_run_shows_all_and_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(installer, "own_program", lambda: PROGRAM)
    for words in (["install"], ["install", "--user", "--folder", "photos"], ["uninstall"], ["uninstall", "--user"]):
        status, said = service(*words, "--dry-run")
        assert status == 0
        assert "would run: systemctl" in said
    assert tree(tmp_path) == set()


def test_the_machines_service_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "own_program", lambda: PROGRAM)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ServiceError, match="needs root") as raised:
        service("install")
    assert raised.value.remedy == "Run `sudo '/opt/re verie/bin/reverie' service install`, or use --user."


def test_what_the_services_user_cannot_reach_is_said() -> None:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is in folders that are closed to others
        Path(folder).chmod(0o755)
        photos = Path(folder, "ada", "photos")
        photos.mkdir(parents=True)
        assert installer.closed_to_others(photos) is None
        photos.parent.chmod(0o750)
        plan = installer.system_install(PROGRAM, [photos], gpu=False)
        assert any(f"cannot read {photos.parent}:" in advice for advice in plan.advice)


def test_a_path_systemd_cannot_hold_is_refused() -> None:
    with pytest.raises(ReverieError, match="cannot be given the path"):
        installer.system_install(Path("/opt/a\nb"), [], gpu=False)


def test_a_failing_command_is_named(tmp_path: Path) -> None:
    plan = installer.Plan(after=(("false", "--now"),))
    with pytest.raises(ServiceError, match="`false --now` failed"):
        installer.carry_out(plan, io.StringIO(), systemd_runs=True, root=tmp_path)


def test_the_running_program_is_found() -> None:
    found = installer.own_program()
    assert subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout.startswith(
        "reverie "
    )


def test_the_units_and_the_front_door_are_packaged() -> None:
    project = tomllib.loads((installer.TEMPLATES.parent / "pyproject.toml").read_text(encoding="utf-8"))
    packaged = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"])
    assert {"systemd", "reverie.py", "config", "daemon", "indexer", "search"} == packaged
