"""A bulk indexing on a Ray cluster of two actors: whatever becomes of an actor, the library is as one made at home."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.driver import Reverie
from tests.e2e.snapshot import assert_equal, knowledge
from tests.sample_photos import locate

RAY = Path(sys.executable).with_name("ray")
COPIES = 12
"""Of each photo, each a content of its own: work for some seconds, so that there is a midway."""


def make_photos(folder: Path) -> int:
    folder.mkdir()
    names = ("coffee.png", "rocket.jpg", "china.jpg", "flower.jpg", "chelsea.png")
    for name in names:
        data = locate(name).read_bytes()
        for number in range(COPIES):
            Path(folder, f"{number}-{name}").write_bytes(data + bytes([number]))  # what follows the picture is ignored
    Path(folder, "broken.jpg").write_bytes(locate("rocket.jpg").read_bytes()[:20_000])
    return len(names) * COPIES


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A cluster of one machine with room for two actors; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    head = subprocess.Popen(
        [
            *(str(RAY), "start", "--head", "--block", f"--port={port}", "--num-cpus=8", "--disable-usage-stats"),
            *("--include-dashboard=false", "--object-store-memory=100000000"),
        ],
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        assert head.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    head.terminate()
    head.wait(30)


def actors() -> list[int]:
    """Process ids of the actors that run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes().startswith(b"ray::Analyst"):
                found.append(int(process.name))
    return found


def test_a_cluster_indexes_as_one_machine_does_though_an_actor_is_killed(
    tmp_path: Path, make_reverie: Callable[..., Reverie], cluster: str
) -> None:
    count = make_photos(tmp_path / "photos")
    home, away = make_reverie("home"), make_reverie("away")
    assert home.run("index", tmp_path / "photos").returncode == 0

    indexing = subprocess.Popen(
        [*away.program, "index", "--ray", cluster, str(tmp_path / "photos")],
        env=away.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    away.eventually(lambda: len(actors()) == 2 and any((away.library / "thumbnails").rglob("*.jpg")), within=60)
    assert len(list((away.library / "thumbnails").rglob("*.jpg"))) < count, "too late to kill anything midway"
    os.kill(actors()[0], signal.SIGKILL)
    output, errors = indexing.communicate(timeout=100)
    assert indexing.returncode == 0, errors
    assert f"{count} files indexed" in output
    assert "1 could not be indexed" in output
    assert_equal(knowledge(away.library), knowledge(home.library))
    assert away.found("a cup of coffee")[0].endswith("coffee.png")


def test_a_cluster_that_is_not_there_is_said_to_be_so(reverie: Reverie, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos")
    finished = reverie.run("index", "--ray", "nonsense:address", tmp_path / "photos")
    assert finished.returncode == 3
    assert "No Ray cluster answers at nonsense:address" in finished.stderr
    assert "ray start --head" in finished.stderr
    assert "Traceback" not in finished.stderr
