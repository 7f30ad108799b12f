"""Indexing and searching tell nobody: no socket but the service's own, and no file but Reverie's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.silence import SILENCE
from tests.e2e.driver import PROGRAM, Reverie
from tests.films import View, film
from tests.sample_photos import copy_photos

PROJECT = Path(PROGRAM[-1]).parent


class Watched:
    """The program as a user starts it, its sockets written down by strace.

    The environment is not that of the tests, which is silenced already, and may be one of continuous integration, for
    which some libraries make an exception.
    """

    def __init__(self, folder: Path, models: Path) -> None:
        self.home, self.temporary, self._trace = folder / "home", folder / "tmp", folder / "trace"
        for made in (self.home, self.temporary, folder / "cache"):
            made.mkdir()
        (folder / "cache" / "reverie").symlink_to(models.parent)
        self.reverie = Reverie(self.home / "library", folder / "cache")
        given = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.home), "TMPDIR": str(self.temporary)}
        ours = ("REVERIE_LIBRARY", "XDG_CACHE_HOME")
        self.reverie.environment = given | {name: self.reverie.environment[name] for name in ours}
        self.reverie.environment |= {"REVERIE_WATCH__QUIET_SECONDS": "0.1"}
        self.reverie.program = self.traced(*PROGRAM)

    def traced(self, *command: str) -> tuple[str, ...]:
        """A command whose sockets, and those of all its children, are written down. Signals reach it directly (-D)."""
        return ("strace", "-D", "-f", "-qq", "-A", "-o", str(self._trace), "-e", "trace=socket", *command)

    def sockets(self) -> set[str]:
        """The families of all sockets that were asked for."""
        return set(re.findall(r"\bsocket\((\w+)", self._trace.read_text(encoding="utf-8")))

    def left_behind(self) -> list[str]:
        """Files that are neither in the library nor in a folder of Reverie's own."""
        folders = (self.home, self.temporary, self._trace.parent / "cache")
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return [str(path) for path in files if not {"library", "reverie"} & set(path.parts)]


@pytest.fixture
def watched(tmp_path: Path, ready_models: Path) -> Watched:
    return Watched(tmp_path, ready_models)


def test_nothing_is_looked_up_and_nothing_is_left_behind(watched: Watched, tmp_path: Path) -> None:
    photos, reverie = tmp_path / "photos", watched.reverie
    copy_photos(photos, "coffee.png")
    film(photos / "rocket.mp4", [View("rocket.jpg", 3.0)], says=[(0.5, "The rocket is ready for the start.")])
    assert reverie.json("index", photos)["done"] == 2
    assert reverie.found("a cup of coffee on a table") == ["coffee.png"]

    reverie.start(photos)
    assert reverie.found("a rocket before its start said:rocket") == ["rocket.mp4"]
    reverie.stop()

    assert watched.sockets() == {"AF_UNIX"}
    assert watched.left_behind() == []


def test_a_socket_that_reaches_out_would_be_noticed(watched: Watched) -> None:
    reach = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()"
    subprocess.run(watched.traced(sys.executable, "-c", reach), check=True)
    watched.reverie.eventually(lambda: "AF_INET" in watched.sockets(), within=10)


@pytest.mark.parametrize("package", ["config", "daemon", "indexer", "search", "benchmarks", "reverie"])
def test_every_package_silences_before_it_imports(package: str) -> None:
    script = f"import {package}, os, sys; print(*(os.environ[name] for name in {list(SILENCE)!r}), sep='\\n')"
    loud = {name: value for name, value in os.environ.items() if name not in SILENCE} | {"DO_NOT_TRACK": "0"}
    said = subprocess.check_output([sys.executable, "-c", script], cwd=PROJECT, env=loud, text=True)
    assert said.splitlines() == list(SILENCE.values())
