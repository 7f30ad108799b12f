"""One writer for a library, and no lock outlives its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.errors import LibraryBusy
from daemon.lock import LibraryLock

PROJECT = Path(__file__).resolve().parents[2]
SUBJECT_TO_PERMISSIONS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
HOLDER = (
    "import pathlib, sys, time\n"
    "from daemon.lock import LibraryLock\n"
    "lock = LibraryLock(pathlib.Path(sys.argv[1]))\n"
    "print('held', flush=True)\n"
    "time.sleep(600)\n"
)


def test_a_second_holder_is_told_who_the_first_is_and_a_kill_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "library" / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LibraryBusy) as caught:
            LibraryLock(path)
        assert f"(pid {holder.pid})" in caught.value.title
        assert str(path.parent) in caught.value.title
        holder.send_signal(signal.SIGKILL)
    with LibraryLock(path):
        assert path.read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_it_can_be_taken_again_once_it_is_let_go(tmp_path: Path) -> None:
    with LibraryLock(tmp_path / "lock"), pytest.raises(LibraryBusy):
        LibraryLock(tmp_path / "lock")
    LibraryLock(tmp_path / "lock").close()


def test_the_library_and_its_lock_are_private(tmp_path: Path) -> None:
    with LibraryLock(tmp_path / "library" / "lock"):
        assert (tmp_path / "library").stat().st_mode & 0o077 == 0
        assert (tmp_path / "library" / "lock").stat().st_mode & 0o077 == 0


def test_a_worker_or_any_other_child_does_not_inherit_it(tmp_path: Path) -> None:
    with LibraryLock(tmp_path / "lock"):
        child = subprocess.Popen(["sleep", "600"])
    try:
        LibraryLock(tmp_path / "lock").close()
    finally:
        child.kill()
        child.wait()


def test_a_library_on_a_read_only_disk_is_locked_all_the_same(tmp_path: Path) -> None:
    LibraryLock(tmp_path / "lock").close()
    (tmp_path / "lock").chmod(0o400)
    command = [*SUBJECT_TO_PERMISSIONS, sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LibraryBusy):
            LibraryLock(tmp_path / "lock")
        holder.kill()
