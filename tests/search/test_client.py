"""The client when a service hangs up, falls silent or talks nonsense: an error for people, no socket left open."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.errors import NoService, ServiceError
from search.client import Client, Json

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Behaviour = Callable[[socket.socket], None]
Ask = Callable[[Client], object]


def get(client: Client) -> Json:
    return client.get("/v1/status")


def post_much(client: Client) -> Json:
    """More than the kernel keeps for a reader: the sending is certainly not over when the service hangs up."""
    return client.post("/v1/index", {"paths": ["x" * 4_000_000]})


def stream(client: Client) -> list[Json]:
    return list(client.stream("/v1/index", {"paths": []}))


def hang_up(_: socket.socket) -> None:
    """The caller closes."""


def read_request(connection: socket.socket) -> None:
    """To its end, and no further."""
    with connection.makefile("rb") as request:
        length = 0
        while (line := request.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert len(request.read(length)) == length


def answer(said: bytes) -> Behaviour:
    def say(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(said)

    return say


def fall_silent(connection: socket.socket) -> None:
    while connection.recv(65536):  # until the client has given up
        pass


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Behaviour], Path]]:
    """Starts a service that takes one connection, behaves as told and closes it; returns its socket."""
    started: list[tuple[socket.socket, threading.Thread]] = []

    def start(behave: Behaviour) -> Path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def take_one() -> None:
            connection, _ = listener.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=take_one)
        thread.start()
        started.append((listener, thread))
        return tmp_path / "s"

    yield start
    for listener, thread in started:
        thread.join()
        listener.close()


def left_open(act: Callable[[], object]) -> list[str]:
    """What Python says of the sockets that nobody had closed when they were thrown away."""
    gc.collect()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        act()
        gc.collect()
    return [str(one.message) for one in seen]


@pytest.mark.parametrize("ask", [get, post_much, stream])
@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(hang_up, id="hangs up at once"),
        pytest.param(read_request, id="hangs up after the request"),
        pytest.param(answer(b"nonsense\r\n\r\n"), id="is no web server"),
        pytest.param(
            answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Ty"), id="hangs up within the headers"
        ),
        pytest.param(answer(HEAD + b"Content-Length: 100\r\n\r\n" + b'{"a": '), id="hangs up within the answer"),
        pytest.param(answer(HEAD + b"Content-Length: 4\r\n\r\n" + b"text"), id="answers no JSON"),
        pytest.param(fall_silent, id="falls silent"),
    ],
)
def test_a_service_that_stops_answering_is_an_error_and_leaves_no_socket_open(
    serve: Callable[[Behaviour], Path], behave: Behaviour, ask: Ask
) -> None:
    client = Client(serve(behave), timeout=0.2)

    def attempt() -> None:
        with pytest.raises(ServiceError, match="The service stopped answering"):
            ask(client)

    assert left_open(attempt) == []


def test_a_connection_that_the_service_would_keep_is_closed(serve: Callable[[Behaviour], Path]) -> None:
    path = serve(answer(HEAD + b"Content-Length: 8\r\n\r\n" + b'{"a": 1}'))
    answers: list[Json] = []
    assert left_open(lambda: answers.append(get(Client(path)))) == []
    assert answers == [{"a": 1}]


def test_whoever_reads_no_further_closes_the_stream(serve: Callable[[Behaviour], Path]) -> None:
    path = serve(answer(HEAD + b"Connection: close\r\n\r\n" + b'{"state": "scanning"}\n{"state": "done"}\n'))

    def read_one() -> None:
        for message in Client(path).stream("/v1/index", {"paths": []}):
            assert message == {"state": "scanning"}
            break

    assert left_open(read_one) == []


@pytest.mark.parametrize(
    ("said", "got"),
    [(CHUNKED, 0), (CHUNKED + b'16\r\n{"state": "scanning"}\n\r\n', 1)],
    ids=["at once", "between lines"],
)
def test_a_stream_that_breaks_off_is_not_taken_for_its_end(
    serve: Callable[[Behaviour], Path], said: bytes, got: int
) -> None:
    messages: list[Json] = []
    with pytest.raises(ServiceError, match="The service stopped answering"):
        for message in Client(serve(answer(said))).stream("/v1/index", {"paths": []}):
            messages.append(message)
    assert messages == [{"state": "scanning"}] * got


def test_nobody_at_home_leaves_no_socket_open(tmp_path: Path) -> None:
    def attempt() -> None:
        with pytest.raises(NoService):
            get(Client(tmp_path / "none"))

    assert left_open(attempt) == []
