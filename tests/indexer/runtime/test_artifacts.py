from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import ModelError
from indexer.runtime.artifacts import MANIFEST, ArtifactCache

PROJECT = Path(__file__).parents[3]
SLOW_BUILD = """
import sys, time
from pathlib import Path
from indexer.runtime.artifacts import ArtifactCache

def build(directory):
    (directory / "half").write_text("done by " + sys.argv[2])
    Path(sys.argv[1], "started-" + sys.argv[2]).touch()
    time.sleep(float(sys.argv[3]))
    (directory / "whole").write_text("done")

ArtifactCache(Path(sys.argv[1])).obtain("net-1", build)
"""


def writer(content: str) -> tuple[list[Path], Callable[[Path], None]]:
    """A build that writes one file, and the list of the directories it was called with."""
    calls: list[Path] = []

    def build(directory: Path) -> None:
        calls.append(directory)
        (directory / "data").write_text(content)

    return calls, build


def start(cache: Path, name: str, seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SLOW_BUILD, str(cache), name, str(seconds)], cwd=PROJECT)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_it_is_built_once(tmp_path: Path) -> None:
    calls, build = writer("weights")
    cache = ArtifactCache(tmp_path / "new" / "cache")
    first = cache.obtain("net-1", build)
    assert cache.obtain("net-1", build) == first
    assert (first / "data").read_text() == "weights"
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("name", "content"), [("data", "other"), ("data", "wei"), ("data", "weighus"), ("data", None), (MANIFEST, "{}")]
)
def test_damage_is_found_and_repaired(tmp_path: Path, name: str, content: str | None) -> None:
    calls, build = writer("weights")
    cache = ArtifactCache(tmp_path)
    damaged = cache.obtain("net-1", build) / name
    damaged.unlink()
    if content is not None:
        damaged.write_text(content)
    assert (cache.obtain("net-1", build) / "data").read_text() == "weights"
    assert len(calls) == 2


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def build(directory: Path) -> None:
        (directory / "half").touch()
        raise ModelError("No weights.")

    with pytest.raises(ModelError, match="No weights"):
        ArtifactCache(tmp_path).obtain("net-1", build)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_killed_build_leaves_no_half_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    process = start(tmp_path, "first", 60)
    wait_for(tmp_path / "started-first")
    process.kill()
    process.wait()
    assert not (tmp_path / "net-1").exists()
    _calls, build = writer("weights")
    assert (ArtifactCache(tmp_path).obtain("net-1", build) / "data").read_text() == "weights"
    assert not list(tmp_path.glob(".building-*"))


def test_two_processes_build_it_once(tmp_path: Path) -> None:
    first = start(tmp_path, "first", 0.5)
    wait_for(tmp_path / "started-first")
    second = start(tmp_path, "second", 0)
    assert (first.wait(30), second.wait(30)) == (0, 0)
    assert (tmp_path / "net-1" / "half").read_text() == "done by first"
    assert not (tmp_path / "started-second").exists()


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written") as caught:
        ArtifactCache(tmp_path / "file" / "cache").obtain("net-1", writer("")[1])
    assert "XDG_CACHE_HOME" in caught.value.remedy
