"""Where the library, the cache and the socket are, in every kind of environment."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from config.paths import config_files, resolve
from config.settings import load

HOME = {"HOME": "/home/ada"}
LONG = Path("/srv") / ("x" * 100)


def test_the_defaults_are_in_the_home_folder() -> None:
    paths = resolve(None, None, HOME)
    assert paths.library == Path("/home/ada/.local/share/reverie")
    assert paths.model_cache == Path("/home/ada/.cache/reverie/models")
    assert paths.socket == paths.library / "run" / "reverie.sock"
    assert config_files(HOME) == (Path("/etc/reverie/config.yaml"), Path("/home/ada/.config/reverie/config.yaml"))


def test_xdg_variables_move_them_unless_they_are_relative() -> None:
    xdg = {"XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "/conf"}
    paths = resolve(None, None, HOME | xdg)
    assert paths.library == Path("/data/reverie")
    assert paths.model_cache == Path("/home/ada/.cache/reverie/models")
    assert config_files(HOME | xdg)[-1] == Path("/conf/reverie/config.yaml")


def test_a_service_uses_the_directories_systemd_made() -> None:
    service = {"STATE_DIRECTORY": "/var/lib/reverie:/var/lib/more", "CACHE_DIRECTORY": "/var/cache/reverie"}
    paths = resolve(None, None, HOME | service)
    assert paths.library == Path("/var/lib/reverie")
    assert paths.model_cache == Path("/var/cache/reverie/models")


def test_a_configured_library_holds_everything() -> None:
    paths = load(environ=HOME | {"REVERIE_LIBRARY": "~/lib"}, files=[]).paths
    assert paths.library == Path("/home/ada/lib")
    for path in (paths.catalog, paths.authored, paths.thumbnails, paths.lock, paths.socket):
        assert path.is_relative_to(paths.library)


def test_the_socket_of_a_long_library_can_be_bound(tmp_path: Path) -> None:
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)} if len(str(tmp_path)) < 70 else {}
    path = resolve(LONG, None, HOME | runtime).socket
    assert path.parent.name.startswith("reverie")
    assert path != resolve(LONG / "other", None, HOME | runtime).socket
    assert path == resolve(LONG, None, HOME | runtime).socket
    fallback = resolve(LONG, None, HOME | {"XDG_RUNTIME_DIR": f"/{'r' * 100}"}).socket
    assert fallback.parent == Path(f"/tmp/reverie-{os.getuid()}")  # noqa: S108


def test_the_longest_path_that_is_kept_in_the_library_is_the_longest_the_kernel_takes(tmp_path: Path) -> None:
    room = 107 - len(str(tmp_path)) - len("/run/reverie.sock") - 1
    library = tmp_path / ("x" * room)
    inside = resolve(library, None, HOME).socket
    assert len(os.fsencode(inside)) == 107
    inside.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(inside))
    assert not resolve(tmp_path / ("x" * (room + 1)), None, HOME).socket.is_relative_to(tmp_path)
