"""The OpenAPI 3.1 document of the socket's interface, made from the message types themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from config.version import current_version
from search import messages, model_messages

REFERENCE = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class _Operation:
    """One thing that can be asked."""

    method: str
    route: str
    summary: str
    answer: str
    parameters: tuple[tuple[str, str, bool], ...] = ()
    """(name, meaning, required)"""
    body: str | None = None
    content: str = "application/json"


_LIMIT = ("limit", "How many results at most.", False)
_ALL = ("all", "1: without cut-off, and near-identical photos one by one.", False)
_PATH = ("path", "The file's absolute path.", True)

OPERATIONS = (
    _Operation(
        "get",
        "/v1/search",
        "Find photos, moments of videos, and sounds by a query.",
        "SearchMessage",
        (("q", "The query.", True), _LIMIT, _ALL),
    ),
    _Operation(
        "get", "/v1/similar", "Find photos and videos like one that is indexed.", "SearchMessage", (_PATH, _LIMIT, _ALL)
    ),
    _Operation("get", "/v1/show", "Everything known about one file.", "PhotoMessage", (_PATH,)),
    _Operation("get", "/v1/transcript", "What is said in a video or sound.", "TranscriptMessage", (_PATH,)),
    _Operation(
        "get",
        "/v1/highlights",
        "The parts of a video or sound that are worth watching.",
        "HighlightsMessage",
        (_PATH, ("seconds", "How long they are together at most.", False)),
    ),
    _Operation("get", "/v1/status", "What the service is doing.", "StatusMessage"),
    _Operation("get", "/v1/problems", "Files with a problem, and why.", "Problems", (_LIMIT,)),
    _Operation(
        "post",
        "/v1/index",
        "Index files and folders; progress comes as one JSON object a line.",
        "ProgressMessage",
        body="IndexRequest",
        content="application/x-ndjson",
    ),
    _Operation("post", "/v1/retry", "Try files again that were given up on.", "Retried"),
    _Operation(
        "post",
        "/v1/forget",
        "Drop what is known of files and folders. The files are left alone, and so is what people made by hand.",
        "ForgottenMessage",
        body="ForgetRequest",
    ),
    _Operation("get", "/v1/models", "Profiles and models: known, installed, in use, being built.", "ModelsMessage"),
    _Operation(
        "get",
        "/v1/models/cost",
        "What a change to a profile would take.",
        "CostMessage",
        (("profile", "The profile's name.", True),),
    ),
    _Operation(
        "post",
        "/v1/models/use",
        "Change to a profile; progress comes as one JSON object a line. The change goes on when nobody listens.",
        "ProgressMessage",
        body="UseRequest",
        content="application/x-ndjson",
    ),
    _Operation("post", "/v1/models/cancel", "Stop a change in progress.", "Cancelled"),
    _Operation("post", "/v1/tags", "Add or remove hand-made tags.", "PhotoMessage", body="TagRequest"),
    _Operation("get", "/v1/saved", "The saved searches.", "Saved"),
    _Operation("post", "/v1/saved", "Save a search, or forget one.", "Saved", body="SaveRequest"),
    _Operation("get", "/metrics", "Figures for Prometheus.", "Text", content="text/plain"),
    _Operation("get", "/openapi.json", "This document.", "Document"),
)

_PLAIN_SCHEMAS: dict[str, dict[str, Any]] = {
    "Problems": {
        "type": "object",
        "properties": {"problems": {"type": "array", "items": {"$ref": REFERENCE.format(name="ProblemMessage")}}},
    },
    "Retried": {"type": "object", "properties": {"retried": {"type": "integer"}}},
    "Cancelled": {"type": "object", "properties": {"cancelled": {"type": ["string", "null"]}}},
    "Saved": {
        "type": "object",
        "properties": {"saved": {"type": "object", "additionalProperties": {"type": "string"}}},
    },
    "Text": {"type": "string"},
    "Document": {"type": "object"},
    "Error": {"type": "object", "properties": {"error": {"$ref": REFERENCE.format(name="ErrorMessage")}}},
}

_MESSAGES = (
    messages.SearchMessage,
    messages.PhotoMessage,
    messages.TranscriptMessage,
    messages.HighlightsMessage,
    messages.StatusMessage,
    messages.ProblemMessage,
    messages.ProgressMessage,
    messages.ForgottenMessage,
    model_messages.ModelsMessage,
    model_messages.CostMessage,
    messages.ErrorMessage,
)


def describe_api(requests: Mapping[str, type]) -> dict[str, Any]:
    """The document; `requests` are the body types by name."""
    _, schemas = msgspec.json.schema_components([*_MESSAGES, *requests.values()], ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.route, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Reverie", "version": current_version()},
        "paths": paths,
        "components": {"schemas": schemas | _PLAIN_SCHEMAS},
    }


def _describe(operation: _Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [
            {"name": name, "in": "query", "description": meaning, "required": required, "schema": {"type": "string"}}
            for name, meaning, required in operation.parameters
        ],
        "responses": {
            "200": {"description": "The answer.", "content": _content(operation.content, operation.answer)},
            "default": {"description": "What went wrong.", "content": _content("application/json", "Error")},
        },
    }
    if operation.body:
        described["requestBody"] = {"required": True, "content": _content("application/json", operation.body)}
    return described


def _content(media_type: str, schema: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REFERENCE.format(name=schema)}}}
