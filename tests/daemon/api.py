"""A service over four photos for tests, and its socket as a program without our client sees it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.e2e.driver import Reverie

CLIENTS = 6
"""As many as the service takes at a time."""
ODD_NAME = b"caf\xe9.png"
"""Of one of its photos: no UTF-8."""


class Api:
    """A running service over four photos, and its socket."""

    def __init__(self, reverie: Reverie, photos: Path) -> None:
        self.reverie = reverie
        self.photos = photos
        self.socket = reverie.library / "run" / "reverie.sock"

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(30)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def ask(self, method: str, target: str, body: bytes | None = None) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of the answer to one request."""
        with contextlib.closing(http.client.HTTPConnection("localhost")) as connection:
            connection.sock = self.connect()
            connection.request(method, target, body)
            with connection.getresponse() as response:
                return response.status, response.headers, response.read()

    def get(self, route: str, **parameters: str | bytes | int) -> Any:
        """The JSON of an answer that must be a good one."""
        status, headers, body = self.ask("GET", f"{route}?{urlencode(parameters)}")
        assert status == 200, body
        assert headers["content-type"] == "application/json"
        return json.loads(body)

    def post(self, route: str, body: object) -> Any:
        status, _, answer = self.ask("POST", route, json.dumps(body).encode())
        assert status == 200, answer
        return json.loads(answer)

    def refusal(self, method: str, target: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """The status and the error of an answer that must be a refusal, in the shape that all refusals have."""
        status, headers, answer = self.ask(method, target, body)
        assert status >= 400, answer
        assert headers["content-type"] == "application/json"
        message = json.loads(answer)
        assert set(message) == {"error"}
        error = message["error"]
        assert set(error) == {"title", "remedy", "exit_status"}
        assert error["title"].endswith(".")
        assert "Traceback" not in error["title"]
        return status, error
