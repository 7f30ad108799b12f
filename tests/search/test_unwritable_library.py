"""A library on a disk that is full or may not be written: it answers, and what has to write says why it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUBJECT_TO_PERMISSIONS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()

LEAVE = """
import os, signal, sys
from pathlib import Path
from search.catalog import Catalog
from tests.search.library import index, stat
catalog = Catalog(Path(sys.argv[1]))
index(catalog, stat("/p/a.jpg"), tags=["cat"])
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
catalog.close()
"""

ASK = """
import sys
from pathlib import Path
from config.errors import CatalogError
from search.catalog import Catalog
from tests.search.library import add, found, stat
catalog = Catalog(Path(sys.argv[1]))
print(found(catalog, "cat"))
try:
    add(catalog, stat("/p/b.jpg"))
except CatalogError as error:
    print(error.title)
print(found(catalog, "cat"))
catalog.close()
"""

# A process that may make files of no size meets what a full disk does: SQLite's shared memory cannot grow.
FULL = """
import resource, signal, sys, threading
from pathlib import Path
from config.errors import CatalogError
from search.catalog import Catalog
from tests.search.library import add, found, stat
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
catalog = Catalog(Path(sys.argv[1]))
print(found(catalog, "cat"))
for _ in range(2):
    try:
        add(catalog, stat("/p/b.jpg"))
    except CatalogError as error:
        print("refused:", bool(error.remedy))
print(found(catalog, "cat"))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
add(catalog, stat("/p/b.jpg"))
print(found(catalog, "cat"), catalog.counts().files)
catalog.close()
"""


def run(code: str, *arguments: str | Path, through: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*through, sys.executable, "-B", "-c", code, *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def leave(library: Path, how: str) -> None:
    """A library with a picture of a cat, by a process that ended or was killed."""
    ended = run(LEAVE, library, how)
    assert ended.returncode == (-signal.SIGKILL if how == "killed" else 0), ended.stderr


@pytest.mark.parametrize(
    ("how", "lost"),
    [("ended", ()), ("killed", ()), ("killed", ("-shm",))],
    ids=["all folded into one file", "a hot log", "a hot log without its index"],
)
def test_a_library_that_may_not_be_written_answers_and_stays_as_it_is(
    tmp_path: Path, how: str, lost: tuple[str, ...]
) -> None:
    library = tmp_path / "library"
    leave(library, how)
    for suffix in lost:
        (library / f"catalog.sqlite3{suffix}").unlink()
    before = {path.name: path.read_bytes() for path in library.iterdir()}
    for path in library.iterdir():
        path.chmod(0o444)
    library.chmod(0o555)
    asked = run(ASK, library, through=SUBJECT_TO_PERMISSIONS)
    library.chmod(0o755)
    title = f"You may not write to {library / 'catalog.sqlite3'}."
    assert asked.stdout.splitlines() == ["{1}", title, "{1}"], asked.stderr
    assert {path.name: path.read_bytes() for path in library.iterdir()} == before


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_a_library_on_a_full_disk_answers_and_takes_changes_once_there_is_room(tmp_path: Path, how: str) -> None:
    leave(tmp_path, how)
    asked = run(FULL, tmp_path)
    expected = ["{1}", "refused: True", "refused: True", "{1}", "{1} 2"]
    assert asked.stdout.splitlines() == expected, asked.stderr
