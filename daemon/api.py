"""The socket's HTTP interface: routes, limits and errors. What is answered is made in daemon.answers."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.errors import ReverieError, ServiceError
from config.schema import Socket
from config.settings import Settings
from daemon.answers import HIGHLIGHT_SECONDS, Answers
from daemon.metrics import render_metrics
from daemon.openapi import describe_api
from search.messages import MAX_RESULTS, ErrorMessage, ForgottenMessage, ProgressMessage, StatusMessage
from search.model_messages import CostMessage, ModelsMessage

logger = logging.getLogger(__name__)

MAX_SECONDS = 86_400

STREAM_SECONDS = 0.5
"""How often an indexing stream has a line."""


_T = TypeVar("_T")


class Host(Protocol):
    """What the interface needs of the service beyond its answers."""

    def status(self) -> StatusMessage: ...

    def index(self, paths: list[str]) -> Callable[[], ProgressMessage]:
        """Begin indexing these paths; the returned function tells how far it is (state "done" at the end)."""

    def retry(self) -> int: ...

    def forget(self, paths: list[str], *, dry_run: bool) -> ForgottenMessage:
        """Drop what is known of absolute paths and all below them; a dry run only tells what that would be."""

    def models(self) -> ModelsMessage: ...

    def cost(self, profile: str) -> CostMessage: ...

    def use(self, profile: str) -> Callable[[], ProgressMessage]:
        """Begin to change to a profile; the returned function tells how far that is, as that of `index` does."""

    def cancel(self) -> str | None:
        """Stop a change in progress; the name of the profile it was to."""


class IndexRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Index these files and folders now."""

    paths: list[str]


class ForgetRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Drop what is known of these absolute paths, with all below them; a dry run only tells what that would be."""

    paths: list[str]
    dry_run: bool = False


class UseRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Change to this profile."""

    profile: str


class TagRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Change a file's hand-made tags."""

    path: str
    add: list[str] = []
    remove: list[str] = []


class SaveRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Keep a query under a name; an empty query forgets the name."""

    name: str
    query: str


class _Json(Response):
    """ASCII JSON: a path's odd bytes are lone surrogates, which UTF-8 cannot carry but JSON escapes can."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=True).encode("ascii")


def build_app(answers: Answers, host: Host, settings: Callable[[], Settings]) -> ASGIApp:
    """The application behind the socket.

    Args:
        answers: the library.
        host: the service around it.
        settings: those in force. How many results there are when a request does not say, how long it may take, and how
            large it may be.
    """

    async def search(request: Request) -> Response:
        text = _required(request, "q")
        return _Json(
            await run_in_threadpool(
                answers.search, text, limit=_limit(request, settings().search.limit), everything=_flag(request, "all")
            )
        )

    async def similar(request: Request) -> Response:
        path = _required(request, "path")
        return _Json(
            await run_in_threadpool(
                answers.similar, path, limit=_limit(request, settings().search.limit), everything=_flag(request, "all")
            )
        )

    async def show(request: Request) -> Response:
        return _Json(await run_in_threadpool(answers.show, _required(request, "path")))

    async def transcript(request: Request) -> Response:
        return _Json(await run_in_threadpool(answers.transcript, _required(request, "path")))

    async def highlights(request: Request) -> Response:
        path, seconds = _required(request, "path"), _seconds(request, HIGHLIGHT_SECONDS)
        return _Json(await run_in_threadpool(answers.highlights, path, seconds=seconds))

    async def status(_: Request) -> Response:
        return _Json(await run_in_threadpool(host.status))

    async def problems(request: Request) -> Response:
        return _Json({"problems": await run_in_threadpool(answers.problems, _limit(request, 1000))})

    async def metrics(_: Request) -> Response:
        message = await run_in_threadpool(host.status)
        return Response(render_metrics(message), media_type="text/plain; version=0.0.4")

    async def index(request: Request) -> Response:
        order = await _body(request, IndexRequest)
        tell = await run_in_threadpool(host.index, order.paths)
        return StreamingResponse(_lines(tell), media_type="application/x-ndjson")

    async def retry(_: Request) -> Response:
        return _Json({"retried": await run_in_threadpool(host.retry)})

    async def forget(request: Request) -> Response:
        order = await _body(request, ForgetRequest)
        return _Json(await run_in_threadpool(host.forget, order.paths, dry_run=order.dry_run))

    async def models(_: Request) -> Response:
        return _Json(await run_in_threadpool(host.models))

    async def cost(request: Request) -> Response:
        return _Json(await run_in_threadpool(host.cost, _required(request, "profile")))

    async def use(request: Request) -> Response:
        order = await _body(request, UseRequest)
        tell = await run_in_threadpool(host.use, order.profile)
        return StreamingResponse(_lines(tell), media_type="application/x-ndjson")

    async def cancel(_: Request) -> Response:
        return _Json({"cancelled": await run_in_threadpool(host.cancel)})

    async def tag(request: Request) -> Response:
        order = await _body(request, TagRequest)
        return _Json(await run_in_threadpool(answers.tag, order.path, add=order.add, remove=order.remove))

    async def saved(request: Request) -> Response:
        if request.method == "POST":
            order = await _body(request, SaveRequest)
            await run_in_threadpool(answers.save, order.name, order.query)
        return _Json({"saved": await run_in_threadpool(answers.saved)})

    async def openapi(_: Request) -> Response:
        bodies = (IndexRequest, ForgetRequest, UseRequest, TagRequest, SaveRequest)
        return _Json(describe_api({kind.__name__: kind for kind in bodies}))

    app = Starlette(
        routes=[
            Route("/v1/search", search),
            Route("/v1/similar", similar),
            Route("/v1/show", show),
            Route("/v1/transcript", transcript),
            Route("/v1/highlights", highlights),
            Route("/v1/status", status),
            Route("/v1/problems", problems),
            Route("/v1/index", index, methods=["POST"]),
            Route("/v1/retry", retry, methods=["POST"]),
            Route("/v1/forget", forget, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/cost", cost),
            Route("/v1/models/use", use, methods=["POST"]),
            Route("/v1/models/cancel", cancel, methods=["POST"]),
            Route("/v1/tags", tag, methods=["POST"]),
            Route("/v1/saved", saved, methods=["GET", "POST"]),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
        ],
        exception_handlers={ReverieError: _refuse, HTTPException: _refuse_http, Exception: _apologise},
    )
    return _Limits(app, lambda: settings().socket)


class _Limits:
    """Bounds a request's body and time, whatever route it asks for. Streams have no time limit once they began."""

    def __init__(self, app: ASGIApp, limits: Callable[[], Socket]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits = self._limits()
        max_bytes = limits.max_request_kilobytes * 1000
        received = 0
        whole = began = False

        async def noting_receive() -> Message:
            nonlocal received, whole
            message = await receive()
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            return message

        async def bounded_receive() -> Message:
            message = await noting_receive()
            if received > max_bytes:
                raise HTTPException(413, f"The request is larger than {limits.max_request_kilobytes} kB.")
            return message

        async def noting_send(message: Message) -> None:
            nonlocal began
            # Who closes a unix socket with a part of the question unread resets it: the answer would be lost.
            while not whole and received <= max_bytes:
                await noting_receive()
            began = True
            deadline.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(limits.timeout_seconds) as deadline:
                await self._app(scope, bounded_receive, noting_send)
        except TimeoutError:
            if not began:
                error = ServiceError(
                    f"The request took longer than {limits.timeout_seconds:.0f} seconds.",
                    "Ask for less, or try again later.",
                )
                await _Json(_error(error), status_code=503)(scope, receive, send)


async def _lines(tell: Callable[[], ProgressMessage]) -> AsyncIterator[bytes]:
    """One JSON object a line, until the work is done."""
    while True:
        try:
            message = await run_in_threadpool(tell)
        except ReverieError as error:
            yield json.dumps(_error(error)).encode() + b"\n"
            return
        yield json.dumps(message).encode() + b"\n"
        if message["state"] == "done":
            return
        await asyncio.sleep(STREAM_SECONDS)


async def _body(request: Request, kind: type[_T]) -> _T:
    try:
        # json, unlike msgspec's own decoder, reads the lone surrogates that a path may need.
        return msgspec.convert(json.loads(await request.body()), type=kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise HTTPException(400, f"The request's body is wrong: {error}.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The client left before the request was whole.") from error


def _required(request: Request, name: str) -> str:
    """A query parameter, with bytes that are not UTF-8 kept as surrogate escapes, as paths need."""
    query: str = request.scope["query_string"].decode("latin-1")
    values = parse_qs(query, errors="surrogateescape").get(name)
    if not values:
        raise HTTPException(400, f"The parameter {name!r} is missing.")
    return values[0]


def _limit(request: Request, default: int) -> int:
    text = request.query_params.get("limit", str(default))
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0  # int refuses thousands of digits by an exception
    if not 1 <= number <= MAX_RESULTS:
        raise HTTPException(400, f"The parameter 'limit' must be a whole number from 1 to {MAX_RESULTS}.")
    return number


def _seconds(request: Request, default: float) -> float:
    text = request.query_params.get("seconds", str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_SECONDS:  # written so that NaN is refused too
        raise HTTPException(400, f"The parameter 'seconds' must be a number above 0, and {MAX_SECONDS} at most.")
    return seconds


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "") in {"1", "true", "yes"}


def _error(error: ReverieError) -> dict[str, ErrorMessage]:
    return {"error": {"title": error.title, "remedy": error.remedy, "exit_status": error.exit_status}}


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ReverieError)  # noqa: S101 - what the handler is registered for
    return _Json(_error(error), status_code={1: 404, 2: 400}.get(error.exit_status, 500))


async def _refuse_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    titles = {404: "There is no such route.", 405: "This route does not take that method."}
    title = titles.get(error.status_code, str(error.detail))
    wrong_use = ReverieError(title, "See /openapi.json for what can be asked.")
    wrong_use.exit_status = 2  # the command line's word for wrong use
    return _Json(_error(wrong_use), status_code=error.status_code)


async def _apologise(_: Request, error: Exception) -> Response:
    """The traceback goes to the log; the client gets a sentence."""
    logger.error("unforeseen error in a request", exc_info=error)
    return _Json(
        _error(ServiceError("Something went wrong inside the service.", "`journalctl -u reveried` says what.")),
        status_code=500,
    )
