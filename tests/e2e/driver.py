"""Drives the installed program as a user does: processes, files, a real socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from config.errors import NoService, ServiceError
from config.paths import resolve
from search.client import Client

PROGRAM = (sys.executable, str(Path(__file__).resolve().parents[2] / "reverie.py"))

_T = TypeVar("_T")


class Reverie:
    """The program with a library of its own.

    Args:
        library: the state directory.
        model_cache: the folder `reverie/models` lies in ($XDG_CACHE_HOME), shared so that nothing is built twice.
        settings: further `REVERIE_*` variables.
    """

    def __init__(self, library: Path, model_cache: Path, **settings: str) -> None:
        self.library = library
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("REVERIE_", "XDG_", "LISTEN_"))
        } | {
            "HOME": str(library.parent),
            "REVERIE_LIBRARY": str(library),
            "XDG_CACHE_HOME": str(model_cache),
            **settings,
        }
        self.program: tuple[str, ...] = PROGRAM
        self.service: subprocess.Popen[str] | None = None

    def run(self, *arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return subprocess.run(
            [*self.program, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *arguments: str | Path) -> Any:
        """What a command prints with `--json`."""
        finished = self.run(*arguments, "--json")
        assert finished.stdout, finished.stderr
        return json.loads(finished.stdout)

    def status(self) -> Any:
        """What `reverie status --json` says; without a process of its own where a service answers, for those who
        ask again and again."""
        try:
            return self._ask_service()
        except NoService:
            return self.json("status")

    def found(self, query: str, *options: str) -> list[str]:
        """File names that a search answers with, best first."""
        return [Path(result["path"]).name for result in self.json("search", query, *options)["results"]]

    def start(self, *folders: Path, wait: bool = True) -> None:
        """Start the service in the background; wait until it answers."""
        self.service = subprocess.Popen(
            [*self.program, "run", *map(str, folders)],
            env=self.environment,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if wait:
            self.eventually(self._answers, within=30)

    def stop(self, signal_number: int = signal.SIGTERM) -> str:
        """End the service; returns what it logged."""
        assert self.service is not None
        self.service.send_signal(signal_number)
        _, log = self.service.communicate(timeout=30)
        self.service = None
        return log

    def go_on(self, seconds: float) -> None:
        """Let the service run for so long, or to its own end."""
        assert self.service is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.service.wait(seconds)

    def idle(self) -> bool:
        """Whether everything that was seen is done."""
        status = self.status()
        counts, service = status["counts"], status["service"]
        waiting = counts["unidentified"] + counts["pending"] + counts["running"]
        return not waiting and (service is None or (not service["settling"] and service["state"] == "idle"))

    def eventually(self, condition: Callable[[], _T], *, within: float) -> _T:
        """Poll until a condition holds; fail with the service's last state if it never does."""
        deadline = time.monotonic() + within
        while True:
            value = condition()
            if value:
                return value
            if self.service is not None and self.service.poll() is not None:
                raise AssertionError(f"the service ended: {self.service.communicate()[1]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {within} s; status: {self.run('status').stdout}")
            time.sleep(0.1)

    def _ask_service(self) -> Any:
        return Client(resolve(self.library, None, self.environment).socket).get("/v1/status")

    def _answers(self) -> bool:
        try:
            self._ask_service()
        except (NoService, ServiceError):
            return False
        return True
