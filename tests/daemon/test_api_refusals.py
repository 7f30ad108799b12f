"""The socket as a client meets it that asks wrongly, too much, too slowly or nonsense: it is told so, harms nobody."""

from __future__ import annotations

import json
import socket
import time

import pytest

from config.errors import ServiceError
from search.client import Client, RemoteError
from tests.daemon.api import CLIENTS, Api


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/v1/search", 400),
        ("GET", "/v1/search?q=", 400),
        ("GET", "/v1/search?q=boat&limit=0", 400),
        ("GET", "/v1/search?q=boat&limit=-1", 400),
        ("GET", "/v1/search?q=boat&limit=many", 400),
        ("GET", "/v1/search?q=boat&limit=10001", 400),
        ("GET", "/v1/search?q=boat&limit=99999999999999999999", 400),
        ("GET", "/v1/search?q=boat&limit=%D9%A1", 400),
        ("GET", f"/v1/search?q=boat&limit={'0' * 5000}1{'9' * 5000}", 400),
        ("GET", f"/v1/problems?limit=1{'0' * 5000}", 400),
        ("GET", "/v1/highlights?path=/a.mp4&seconds=1e999", 400),
        ("GET", "/v1/highlights?path=/a.mp4&seconds=nan", 400),
        ("GET", f"/v1/highlights?path=/a.mp4&seconds={'9' * 5000}", 400),
        ("GET", f"/v1/search?q=tag%3A{'a%2C' * 2000}&limit=0x10", 400),
        ("GET", "/v1/search?q=after%3Asometime", 400),
        ("GET", "/v1/search?q=%40nobody", 400),
        ("GET", "/v1/search?q=%FF", 400),
        ("GET", "/v1/similar", 400),
        ("GET", "/v1/similar?path=/not/there.jpg", 404),
        ("GET", "/v1/show?path=/etc/passwd", 404),
        ("GET", "/v1/show?path=%00", 404),
        ("GET", "/v1/models/cost", 400),
        ("GET", "/v1/models/cost?profile=nothing", 400),
        ("GET", "/v1/models/use", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("POST", "/v1/search?q=boat", 405),
        ("DELETE", "/v1/saved", 405),
    ],
)
def test_wrong_questions_get_an_error_for_people(api: Api, method: str, target: str, status: int) -> None:
    assert api.refusal(method, target)[0] == status


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/index", b""),
        ("/v1/index", b"{}"),
        ("/v1/index", b"[" * 3000),
        ("/v1/index", b'{"paths": [' + b"9" * 3000 + b"]}"),
        ("/v1/index", b'{"paths": [1e999]}'),
        ("/v1/index", b"\xff\xfe"),
        ("/v1/index", b'{"paths": "/photos"}'),
        ("/v1/index", b'{"paths": [], "force": true}'),
        ("/v1/index", b'{"paths": ["/not/there"]}'),
        ("/v1/index", b'{"paths": ["a\\u0000b"]}'),
        ("/v1/index", b'{"paths": ["/\\ud800"]}'),
        ("/v1/models/use", b"{}"),
        ("/v1/models/use", b'{"profile": "nothing"}'),
        ("/v1/models/use", b'{"profile": "clip-vit-b-32"}'),
        ("/v1/tags", b'{"add": ["x"]}'),
        ("/v1/tags", b'{"path": 7}'),
        ("/v1/tags", b'{"path": "/\\ud800", "add": ["x"]}'),
        ("/v1/saved", b'{"name": "x"}'),
        ("/v1/saved", b'{"name": "x", "query": "after:sometime"}'),
    ],
)
def test_wrong_orders_get_an_error_for_people_and_harm_nobody(api: Api, route: str, body: bytes) -> None:
    status, error = api.refusal("POST", route, body)
    assert status in {400, 404}
    assert error["exit_status"] in {1, 2}
    assert api.get("/v1/status")["service"]["trouble"] is None


def test_tags_that_are_no_text_are_refused(api: Api) -> None:
    body = json.dumps({"path": str(api.photos / "rocket.jpg"), "add": ["\ud800"]}).encode()
    assert api.refusal("POST", "/v1/tags", body)[0] == 400


def test_the_client_passes_on_what_the_service_says(api: Api) -> None:
    with pytest.raises(RemoteError) as caught:
        Client(api.socket).get("/v1/search", {"q": "after:sometime"})
    assert caught.value.exit_status == 2
    assert "sometime" in caught.value.title


def test_a_request_that_is_too_large_is_refused(api: Api) -> None:
    status, error = api.refusal("POST", "/v1/index", b'{"paths": ["' + b"x" * 5000 + b'"]}')
    assert status == 413
    assert error["title"] == "The request is larger than 4 kB."


def test_a_request_that_never_ends_is_ended(api: Api) -> None:
    with api.connect() as connection:
        connection.sendall(b"POST /v1/index HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"The request took longer than 2 seconds." in answer


def test_clients_that_say_nothing_are_sent_away(api: Api) -> None:
    silent = [api.connect() for _ in range(CLIENTS + 2)]
    try:
        for connection in silent:
            connection.sendall(b"GET /v1/status HTTP/1.1\r\nHost:")
        assert api.ask("GET", "/v1/status")[0] == 503
        api.reverie.eventually(lambda: api.ask("GET", "/v1/status")[0] == 200, within=20)
    finally:
        for connection in silent:
            connection.close()


def test_more_clients_than_it_takes_are_told_so(api: Api) -> None:
    waiting = [api.connect() for _ in range(CLIENTS)]
    try:
        for connection in waiting:
            connection.sendall(b"POST /v1/index HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert api.refusal("GET", "/v1/status")[0] == 503
        with pytest.raises(ServiceError, match=r"as many clients as it may"):
            Client(api.socket).get("/v1/status")
    finally:
        for connection in waiting:
            connection.close()
    api.reverie.eventually(lambda: api.ask("GET", "/v1/status")[0] == 200, within=10)


@pytest.mark.parametrize("nonsense", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_not_http_is_answered_and_forgotten(api: Api, nonsense: bytes) -> None:
    with api.connect() as connection:
        connection.sendall(nonsense)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    assert api.ask("GET", "/v1/status")[0] == 200


def read_all(connection: socket.socket) -> bytes:
    received = b""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        piece = connection.recv(65536)
        if not piece:
            return received
        received += piece
    raise AssertionError(received)


@pytest.mark.parametrize("route", ["/v1/models/cancel", "/v1/retry", "/v1/nothing"])
def test_an_answer_waits_for_the_whole_question(api: Api, route: str) -> None:
    with api.connect() as connection:
        connection.sendall(
            f"POST {route} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n".encode()
        )
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # were it answered and closed, the rest could not be sent any more
        connection.settimeout(30)
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 ")
