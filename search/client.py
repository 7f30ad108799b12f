"""The client's side of the service's socket: HTTP over a unix socket, JSON in and out, standard library only.

The command line imports this at every start, so nothing heavy may be imported here.
"""

from __future__ import annotations

import http
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from config.errors import NoService, ReverieError, ServiceError

Json = dict[str, Any]


class RemoteError(ServiceError):
    """An error the service met, passed on with the exit status it would have had here."""

    def __init__(self, title: str, remedy: str, exit_status: int) -> None:
        super().__init__(title, remedy)
        self.exit_status = exit_status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


class Client:
    """Asks a running service. One connection a request.

    Args:
        path: the service's socket.
        timeout: seconds without any answer after which a request is given up.
    """

    def __init__(self, path: Path, *, timeout: float = 60.0) -> None:
        self._path = path
        self._timeout = timeout

    def get(self, route: str, parameters: Mapping[str, object] | None = None) -> Json:
        """GET a JSON object.

        Raises:
            NoService: nothing listens.
            ServiceError: the service refused, with its title and remedy, or is not one we understand.
        """
        query = urlencode(
            {name: value for name, value in (parameters or {}).items() if value is not None}, errors="surrogateescape"
        )
        return self._read(self._request("GET", f"{route}?{query}" if query else route, None))

    def post(self, route: str, body: Json) -> Json:
        """POST a JSON object, read one back. Raises as `get` does."""
        return self._read(self._request("POST", route, body))

    def stream(self, route: str, body: Json) -> Iterator[Json]:
        """POST a JSON object and read the answer's lines, a JSON object each, as they come. Raises as `get` does."""
        response = self._request("POST", route, body)
        if response.status != http.HTTPStatus.OK:
            self._read(response)
        try:
            with response:
                for line in response:
                    if line.strip():
                        message: Json = json.loads(line)
                        if "error" in message:
                            raise _remote(message["error"])
                        yield message
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _broken(error) from error

    def _request(self, method: str, route: str, body: Json | None) -> http.client.HTTPResponse:
        connection = _UnixConnection(self._path, self._timeout)
        headers = {"Connection": "close"}  # the response then closes the socket once it has been read
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, route, None if body is None else json.dumps(body), headers)
            return connection.getresponse()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoService(
                "No Reverie service is running for this library.", "Start one with `reverie run`."
            ) from error
        except PermissionError as error:
            raise ServiceError(
                f"You may not talk to the service at {self._path}.",
                "Ask its owner to add you to the socket's group (`sudo usermod -aG reverie $USER`, then log in again).",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _broken(error) from error

    def _read(self, response: http.client.HTTPResponse) -> Json:
        try:
            with response:
                answer: Json = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _broken(error) from error
        if response.status != http.HTTPStatus.OK:
            raise _remote(answer.get("error", {}))
        return answer


def _remote(error: Json) -> ReverieError:
    return RemoteError(
        str(error.get("title", "The service refused.")),
        str(error.get("remedy", "")),
        int(error.get("exit_status", ServiceError.exit_status)),
    )


def _broken(error: Exception) -> ServiceError:
    return ServiceError(
        f"The service stopped answering ({error}).",
        "`journalctl -u reveried` may say why; `reverie run` starts it again.",
    )
