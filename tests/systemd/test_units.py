"""The units as they are installed, judged by systemd's own tools."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.settings import load
from daemon import installer

ROOT = Path(__file__).parents[2]
PROGRAM = Path("/bin/true")
SETTINGS = load(environ={"HOME": "/home/ada"}, files=[])

EXPOSURE_LIMITS = {"cpu": 2.5, "gpu": 2.5}


def systemd(*command: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/" + command[0], *command[1:]],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_COLORS": "0", **(environ or {})},
    )


def installed(plan: installer.Plan, root: Path) -> Path:
    """Write a plan's files below `root`; returns the folder of the units."""
    installer.carry_out(plan, io.StringIO(), systemd_runs=False, root=root)
    return next(root.rglob("reveried.service")).parent


@pytest.mark.parametrize("gpu", [False, True])
def test_the_system_units_pass_systemds_check(tmp_path: Path, gpu: bool) -> None:  # noqa: FBT001
    units = installed(installer.system_install(PROGRAM, [], gpu=gpu), tmp_path)
    verified = systemd("systemd-analyze", "verify", str(units / "reveried.service"), str(units / "reverie.socket"))
    # It exits 0 with unknown keys, and complains about them.
    assert (verified.stderr, verified.returncode) == ("", 0)


def test_the_user_units_pass_systemds_check(tmp_path: Path) -> None:
    settings = load(environ={"HOME": "/home/ada"}, files=[], flags={"library": Path('/srv/100% "my" lib')})
    units = installed(installer.user_install(Path("/bin/true"), [], settings, Path("/conf/systemd/user")), tmp_path)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    command = ("systemd-analyze", "verify", "--user", str(units / "reveried.service"), str(units / "reverie.socket"))
    verified = systemd(*command, environ=environ)
    assert (verified.stderr, verified.returncode) == ("", 0)
    assert 'Environment="REVERIE_LIBRARY=/srv/100%% \\"my\\" lib"\n' in (units / "reveried.service").read_text()
    assert 'ListenStream=/srv/100%% "my" lib/run/reverie.sock\n' in (units / "reverie.socket").read_text()


@pytest.mark.parametrize("kind", EXPOSURE_LIMITS)
def test_the_service_is_well_enclosed(tmp_path: Path, kind: str) -> None:
    units = installed(installer.system_install(PROGRAM, [], gpu=kind == "gpu"), tmp_path)
    limit = EXPOSURE_LIMITS[kind]
    judged = systemd(
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={limit * 10:.0f}",
        str(units / "reveried.service"),
    )
    assert judged.returncode == 0, judged.stdout


def test_the_user_and_the_folders_are_made(tmp_path: Path) -> None:
    installed(installer.system_install(PROGRAM, [], gpu=False), tmp_path)
    (tmp_path / "etc/passwd").write_text("")
    (tmp_path / "etc/group").write_text("")
    made = systemd("systemd-sysusers", f"--root={tmp_path}", str(tmp_path / "etc/sysusers.d/reverie.conf"))
    assert made.returncode == 0, made.stderr
    assert "reverie:" in (tmp_path / "etc/passwd").read_text()
    made = systemd("systemd-tmpfiles", f"--root={tmp_path}", "--create", str(tmp_path / "etc/tmpfiles.d/reverie.conf"))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "run/reverie").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("name", ["reveried.service", "reveried.service.d/gpu.conf"])
def test_every_hardening_line_has_a_comment_above_it(name: str) -> None:
    lines = (ROOT / "systemd" / name).read_text().splitlines()
    explained = False
    for line in lines[lines.index("[Service]") + 1 :]:
        if line.startswith("[Install]"):
            break
        # A comment explains the lines below it up to the next blank line.
        explained = line.startswith("#") or (explained and bool(line))
        assert explained or not line or line.startswith("ExecStart="), line
