"""The socket as a client meets it: every route, every refusal, and the document that describes them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.errors import ServiceError
from daemon.openapi import OPERATIONS
from search.client import Client, RemoteError
from tests.e2e.conftest import ready_models as ready_models  # noqa: PLC0414 - pytest finds fixtures by name
from tests.e2e.driver import Reverie
from tests.sample_photos import copy_photos, locate

CLIENTS = 6
ODD_NAME = b"caf\xe9.png"


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


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, ready_models: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    photos = folder / "photos"
    copy_photos(photos, "coffee.png", "chelsea.png", "rocket.jpg")
    shutil.copyfile(locate("horse.png"), os.fsencode(photos) + b"/" + ODD_NAME)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(3000))
    reverie = Reverie(
        folder / "library",
        ready_models.parent.parent,
        REVERIE_WATCH__QUIET_SECONDS="0.2",
        REVERIE_SOCKET__MAX_CLIENTS=str(CLIENTS),
        REVERIE_SOCKET__TIMEOUT_SECONDS="2",
        REVERIE_SOCKET__MAX_REQUEST_KILOBYTES="4",
    )
    reverie.start(photos)
    try:
        reverie.eventually(lambda: reverie.json("status")["counts"]["done"] == 4 and reverie.idle(), within=30)
        yield Api(reverie, photos)
    finally:
        if reverie.service is not None:
            log = reverie.stop()
            assert "Traceback" not in log, log


# -- what each route answers


def test_search_answers_with_reasons(api: Api) -> None:
    answer = api.get("/v1/search", q="a cup of coffee on a table", limit=2)
    assert answer["confident"]
    [result, *_] = answer["results"]
    assert result["path"] == str(api.photos / "coffee.png")
    assert result["kind"] == "photo"
    assert result["reasons"]
    assert Path(result["thumbnail"]).is_file()
    assert len(api.get("/v1/search", q="type:photo", limit=3)["results"]) == 3
    assert len(api.get("/v1/search", q="type:photo", all=1)["results"]) == 4


def test_similar_answers_with_other_photos(api: Api) -> None:
    answer = api.get("/v1/similar", path=str(api.photos / "coffee.png"), all=1)
    paths = [result["path"] for result in answer["results"]]
    assert paths
    assert str(api.photos / "coffee.png") not in paths


def test_show_tells_everything_also_of_a_name_that_is_not_text(api: Api) -> None:
    assert api.get("/v1/show", path=str(api.photos / "coffee.png"))["info"]["width"] == 600
    shown = api.get("/v1/show", path=os.fsencode(api.photos) + b"/" + ODD_NAME)
    assert [os.fsencode(path) for path in shown["paths"]] == [os.fsencode(api.photos) + b"/" + ODD_NAME]
    again = Client(api.socket).get("/v1/show", {"path": shown["paths"][0]})
    assert again == shown


def test_status_and_problems_name_what_cannot_be_read(api: Api) -> None:
    status = api.get("/v1/status")
    assert api.reverie.service is not None
    assert status["service"]["pid"] == api.reverie.service.pid
    assert [folder["mode"] for folder in status["service"]["folders"]] == ["inotify"]
    problems = api.get("/v1/problems")["problems"]
    assert [os.path.basename(problem["path"]) for problem in problems] == ["broken.jpg", os.fsdecode(ODD_NAME)]
    assert status["problems_total"] == 2
    assert status["problems"] == problems
    assert len(api.get("/v1/problems", limit=1)["problems"]) == 1


def test_index_streams_progress_to_its_end(api: Api, tmp_path: Path) -> None:
    copy_photos(tmp_path / "more", "coffee.png")  # known content: no analysis
    status, headers, body = api.ask("POST", "/v1/index", json.dumps({"paths": [str(tmp_path / "more")]}).encode())
    assert status == 200
    assert headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in body.splitlines()]
    assert lines[-1]["state"] == "done"
    assert {line["state"] for line in lines} <= {"scanning", "indexing", "done"}
    shown = api.get("/v1/show", path=str(tmp_path / "more" / "coffee.png"))
    assert len(shown["paths"]) == 2


def test_an_order_that_cannot_be_carried_out_ends_the_stream_with_an_error(api: Api) -> None:
    with pytest.raises(RemoteError, match=r"/etc/passwd is not a photo, video or sound"):
        list(Client(api.socket).stream("/v1/index", {"paths": ["/etc/passwd"]}))


def test_retry_says_how_many(api: Api) -> None:
    assert api.post("/v1/retry", {}) == {"retried": 1}
    api.reverie.eventually(api.reverie.idle, within=20)
    assert len(api.get("/v1/problems")["problems"]) == 2


def test_models_are_listed_and_the_profile_in_use_is_marked(api: Api) -> None:
    message = api.get("/v1/models")
    states = {profile["name"]: profile["state"] for profile in message["profiles"]}
    assert states.pop("builtin") == "in use"
    assert set(states.values()) == {"not installed"}
    assert {model["name"] for model in message["models"] if model["in_use"]} == {
        model["name"] for model in message["models"] if model["task"] == "concepts"
    }
    assert message["change"] is None


def test_what_a_change_costs_is_told_without_beginning_it(api: Api) -> None:
    cost = api.get("/v1/models/cost", profile="builtin")
    assert (cost["photos"], cost["vector_bytes"], cost["drops"]) == (0, 0, [])


def test_the_profile_in_use_is_changed_to_at_once_and_there_is_nothing_to_cancel(api: Api) -> None:
    lines = list(Client(api.socket).stream("/v1/models/use", {"profile": "builtin"}))
    assert [line["state"] for line in lines] == ["done"]
    assert api.post("/v1/models/cancel", {}) == {"cancelled": None}


def test_tags_and_saved_searches_are_kept_and_dropped(api: Api) -> None:
    path = str(api.photos / "rocket.jpg")
    api.post("/v1/tags", {"path": path, "add": ["launch day"]})
    assert [result["path"] for result in api.get("/v1/search", q='tag:"launch day"')["results"]] == [path]
    assert api.post("/v1/saved", {"name": "up", "query": 'tag:"launch day"'}) == {"saved": {"up": 'tag:"launch day"'}}
    assert [result["path"] for result in api.get("/v1/search", q="@up")["results"]] == [path]
    assert api.get("/v1/saved") == {"saved": {"up": 'tag:"launch day"'}}
    assert api.post("/v1/saved", {"name": "up", "query": ""}) == {"saved": {}}
    shown = api.post("/v1/tags", {"path": path, "remove": ["launch day"]})
    assert "launch day" not in [tag["name"] for tag in shown["tags"]]


def test_metrics_are_in_the_format_of_prometheus(api: Api) -> None:
    status, headers, body = api.ask("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["reverie_done"].samples[0].value == 4
    assert families["reverie_quarantined"].samples[0].value == 1
    assert families["reverie_batch_size"].samples[0].labels["device"] == "CPU"
    assert families["reverie_network_seconds"].samples[0].labels["stage"] == "concepts"
    assert "reverie_change_total" not in families
    assert families["reverie_vectors"].samples[0].labels["space"]
    assert all(family.type == "gauge" and family.documentation for family in families.values())


# -- what is refused


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


# -- the document


def test_the_document_is_sound_openapi(api: Api) -> None:
    document = api.get("/openapi.json")
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    schemas = document["components"]["schemas"]
    for reference in references(document):
        prefix, _, name = reference.rpartition("/")
        assert prefix == "#/components/schemas"
        assert name in schemas
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert all(operation["summary"] and "200" in operation["responses"] for operation in operations)


def references(node: object) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_route_is_in_the_document_and_answers(api: Api) -> None:
    described = {(operation.method.upper(), operation.route) for operation in OPERATIONS}
    document = api.get("/openapi.json")
    assert described == {(method.upper(), route) for route, item in document["paths"].items() for method in item}
    for route in document["paths"]:
        for method in ("GET", "POST"):
            status, _, _ = api.ask(method, f"{quote(route)}", b"{")
            assert (status != 405) == ((method, route) in described), (method, route, status)
            assert status != 404


def test_answers_are_as_the_document_says(api: Api) -> None:
    schemas = api.get("/openapi.json")["components"]["schemas"]
    coffee = str(api.photos / "coffee.png")
    for answer, name in (
        (api.get("/v1/search", q="coffee"), "SearchMessage"),
        (api.get("/v1/status"), "StatusMessage"),
        (api.get("/v1/status")["service"], "ServiceMessage"),
        (api.get("/v1/status")["stages"][0], "StageMessage"),
        (api.get("/v1/models"), "ModelsMessage"),
        (api.get("/v1/models")["models"][0], "KnownModelMessage"),
        (api.get("/v1/models")["profiles"][0], "ProfileMessage"),
        (api.get("/v1/models/cost", profile="builtin"), "CostMessage"),
        (api.get("/v1/show", path=coffee), "PhotoMessage"),
        (api.get("/v1/problems")["problems"][0], "ProblemMessage"),
        (api.get("/v1/search", q="coffee")["results"][0], "ResultMessage"),
    ):
        assert set(answer) == set(schemas[name]["properties"]), name
        assert set(schemas[name]["required"]) <= set(answer)
