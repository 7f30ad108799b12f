"""What systemd hears, on a real datagram socket; what it hands over, through the real systemd-socket-activate."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.notify import Notifier, listen_fds, watchdog_interval

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket in the place of systemd's, and its NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@reverie-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(5)
        yield receiver, name


def test_the_manager_hears_every_message(manager: tuple[socket.socket, str]) -> None:
    receiver, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    for call, heard in (
        (notifier.ready, b"READY=1"),
        (notifier.watchdog, b"WATCHDOG=1"),
        (notifier.stopping, b"STOPPING=1"),
        (lambda: notifier.extend(1.5), b"EXTEND_TIMEOUT_USEC=1500000"),
        (lambda: notifier.status("3 to do"), b"STATUS=3 to do"),
    ):
        call()
        assert receiver.recv(4096) == heard


def test_a_reload_says_when_it_began(manager: tuple[socket.socket, str]) -> None:
    receiver, address = manager
    Notifier({"NOTIFY_SOCKET": address}).reloading()
    state, moment = receiver.recv(4096).decode().split("\n")
    assert state == "RELOADING=1"
    assert 0 <= time.monotonic() - int(moment.removeprefix("MONOTONIC_USEC=")) / 1e6 < 5


def test_a_status_cannot_say_anything_else(manager: tuple[socket.socket, str]) -> None:
    receiver, address = manager
    Notifier({"NOTIFY_SOCKET": address}).status("/odd\nMAINPID=1\r\udcff")
    assert receiver.recv(4096) == b"STATUS=/odd MAINPID=1 \\udcff"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    Notifier(environ).ready()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environ: dict[str, str], seconds: float | None) -> None:
    assert watchdog_interval(environ, 7) == seconds


def test_descriptors_for_another_process_are_left_alone() -> None:
    assert listen_fds({}, 7) == []
    assert listen_fds({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, 7) == []
    assert listen_fds({"LISTEN_PID": "7", "LISTEN_FDS": "none"}, 7) == []


SERVER = """
import os, socket
from daemon.notify import listen_fds
[fd] = listen_fds(os.environ, os.getpid())
listener = socket.socket(fileno=fd)
client, _ = listener.accept()
client.sendall(b"inherited" if os.get_inheritable(fd) else b"our own")
client.close()
"""


def test_systemd_hands_over_a_listening_socket(tmp_path: Path) -> None:
    path = tmp_path / "reverie.sock"
    with subprocess.Popen(
        [
            "/usr/bin/systemd-socket-activate",
            f"--listen={path}",
            f"--setenv=PYTHONPATH={ROOT}",
            sys.executable,
            "-c",
            SERVER,
        ],
        stderr=subprocess.PIPE,
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while not path.exists():
                assert time.monotonic() < deadline, "systemd-socket-activate did not bind its socket"
                time.sleep(0.02)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(path))
                assert client.recv(100) == b"our own"
        finally:
            process.terminate()
