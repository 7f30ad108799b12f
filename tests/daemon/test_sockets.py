"""The service's socket is private, and only ever replaces the socket of a service that has died."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from config.errors import ServiceError
from daemon.sockets import open_socket


def test_it_is_for_owner_and_group_only_from_the_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "run" / "reverie.sock"
    previous = os.umask(0)
    try:
        with open_socket(path, {}) as listener:
            assert path.stat().st_mode & 0o777 == 0o660
            assert path.parent.stat().st_mode & 0o777 == 0o750
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                with listener.accept()[0]:
                    pass
        assert os.umask(0) == 0  # put back as it was
    finally:
        os.umask(previous)


def test_the_socket_of_a_dead_service_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "reverie.sock"
    open_socket(path, {}).close()
    assert path.exists()
    with open_socket(path, {}), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_not_our_socket_is_left_in_place(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "reverie.sock"
    match kind:
        case "file":
            path.write_text("precious", encoding="utf-8")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "elsewhere.sock")
    with pytest.raises(ServiceError, match=r"in the way"):
        open_socket(path, {})
    assert path.is_symlink() == (kind == "link")
    assert os.path.lexists(path)


def test_a_folder_that_anybody_may_write_to_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ServiceError, match=r"anybody may write"):
        open_socket(shared / "reverie.sock", {})
    assert list(shared.iterdir()) == []


def test_a_path_that_cannot_be_bound_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"cannot be opened"):
        open_socket(tmp_path / ("x" * 120), {})
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"cannot be opened"):
        open_socket(tmp_path / "file" / "reverie.sock", {})
