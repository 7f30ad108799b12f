"""The client's side of the service's socket: HTTP over a unix socket, JSON in and out, standard library only.

The command line imports this at every start, so nothing heavy may be imported here.
"""

from __future__ import annotations

import contextlib
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
        self.sock.connect(str(self._path))


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
        return self._read("GET", f"{route}?{query}" if query else route, None)

    def post(self, route: str, body: Json) -> Json:
        """POST a JSON object, read one back. Raises as `get` does."""
        return self._read("POST", route, body)

    def stream(self, route: str, body: Json) -> Iterator[Json]:
        """POST a JSON object and read the answer's lines, a JSON object each, as they come.

        Raises as `get` does; also where the last line does not say "done": http.client takes a service that hangs up
        between two lines for one that has said everything.
        """
        with self._ask("POST", route, body) as response:
            state = None
            for line in response:
                if line.strip():
                    message: Json = json.loads(line)
                    if "error" in message:
                        raise _remote(message["error"])
                    state = message.get("state")
                    yield message
            if state != "done":
                raise ConnectionError("it hung up before the end")

    def _read(self, method: str, route: str, body: Json | None) -> Json:
        with self._ask(method, route, body) as response:
            answer: Json = json.loads(response.read())
        return answer

    @contextlib.contextmanager
    def _ask(self, method: str, route: str, body: Json | None) -> Iterator[http.client.HTTPResponse]:
        """A good answer, to be read while the context lasts.

        http.client leaves the socket open when sending or the answer's head fails, and when the service would keep the
        connection: so it is closed here, whatever happens.
        """
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            with contextlib.closing(_UnixConnection(self._path, self._timeout)) as connection:
                connection.request(method, route, None if body is None else json.dumps(body), headers)
                with connection.getresponse() as response:
                    if response.status != http.HTTPStatus.OK:
                        raise _remote(json.loads(response.read()).get("error", {}))
                    yield response
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoService(
                "No Reverie service is running for this library.", "Start one with `reverie run`."
            ) from error
        except PermissionError as error:
            raise ServiceError(
                f"You may not talk to the service at {self._path}.",
                "Ask its owner to add you to the socket's group (`sudo usermod -aG reverie $USER`, then log in again).",
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _broken(error) from error


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
