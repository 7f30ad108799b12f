"""The socket as a client meets it: what every route answers, and the document that describes them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.openapi import OPERATIONS
from search.client import Client, RemoteError
from tests.daemon.api import ODD_NAME, Api
from tests.sample_photos import copy_photos


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
        "whisper-tiny-en",
        *(model["name"] for model in message["models"] if model["task"] == "concepts"),
    }
    assert message["change"] is None


def test_what_a_change_costs_is_told_without_beginning_it(api: Api) -> None:
    cost = api.get("/v1/models/cost", profile="builtin")
    assert (cost["photos"], cost["long_files"], cost["vector_bytes"], cost["drops"]) == (0, 0, 0, [])


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


def test_what_is_forgotten_is_gone_and_a_dry_run_only_tells(api: Api, tmp_path: Path) -> None:
    copy_photos(tmp_path / "short", "moon.png")
    copy_photos(tmp_path / "short", "coffee.png")
    api.ask("POST", "/v1/index", json.dumps({"paths": [str(tmp_path / "short")]}).encode())
    order = {"paths": [str(tmp_path / "short")]}
    told = api.post("/v1/forget", {**order, "dry_run": True})
    assert told == {"files": 2, "contents": 1, "shared": 1, "authored": 0, "again": []}
    shown = api.get("/v1/show", path=str(tmp_path / "short" / "moon.png"))
    assert Path(shown["thumbnail"]).is_file()
    assert api.post("/v1/forget", order) == told
    assert api.refusal("GET", f"/v1/show?path={quote(str(tmp_path))}/short/moon.png")[0] == 404
    assert api.refusal("POST", "/v1/forget", json.dumps(order).encode())[0] == 404
    assert api.refusal("POST", "/v1/forget", b'{"paths": ["\\ud800"]}')[0] == 404
    api.reverie.eventually(lambda: not Path(shown["thumbnail"]).exists(), within=10)
