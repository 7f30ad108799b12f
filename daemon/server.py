"""The HTTP server behind the socket: uvicorn, with bounds on how many may hold it and for how long."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from config.errors import ServiceError
from config.schema import Socket

KEEP_ALIVE_SECONDS = 5
GRACE_SECONDS = 3
"""How long requests in progress may take to end when the server stops."""


class Server(uvicorn.Server):
    """Serves `app` within `limits` and says when it listens.

    A client beyond `max_clients` is told so. One that has not sent a whole request head after `timeout_seconds` is cut
    off, or it could hold its place for ever.
    """

    def __init__(self, app: ASGIApp, limits: Callable[[], Socket], *, listening: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_bounded(limits),
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()


def _bounded(limits: Callable[[], Socket]) -> type[H11Protocol]:
    """uvicorn's protocol with these bounds; uvicorn wants a class, and has no place for its arguments."""

    class Bounded(H11Protocol):
        _surplus = False
        _head_deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._surplus = len(self.connections) > limits().max_clients
            self._await_head()

        def data_received(self, data: bytes) -> None:
            if self._surplus:
                # Only now: to close before the request is read would hide the answer from whoever is still sending.
                self.transport.write(_BUSY)
                self.transport.close()
                return
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._await_head()
            else:
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            if self._head_deadline is None:
                self._head_deadline = self.loop.call_later(limits().timeout_seconds, self.transport.close)

        def _stop_waiting(self) -> None:
            if self._head_deadline is not None:
                self._head_deadline.cancel()
                self._head_deadline = None

    return Bounded


def _busy() -> bytes:
    """The answer to a client too many, as it goes over the wire."""
    error = ServiceError(
        "The service has as many clients as it may.", "Try again in a moment, or raise socket.max_clients."
    )
    message = {"error": {"title": error.title, "remedy": error.remedy, "exit_status": error.exit_status}}
    body = json.dumps(message).encode("ascii")
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"Connection: close\r\n\r\n" + body


_BUSY = _busy()
