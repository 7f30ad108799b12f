"""A model hub on this machine: the two calls of the real one, over real HTTP, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

COMMIT = "1234567890abcdef1234567890abcdef12345678"


@dataclass
class Faults:
    """What goes wrong, by the path of a file."""

    cut_after: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which the connection is closed; one is used up by each request for the file."""
    stall_after: dict[str, int] = field(default_factory=dict)
    """Bytes after which nothing more comes, until the server stops."""
    altered: set[str] = field(default_factory=set)
    """Files of which another byte comes than the listing's checksum was made of."""
    no_ranges: bool = False
    """Every request is answered with the whole file."""
    status: int | None = None
    """Everything is refused with this status."""
    busy: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Status and headers; one is used up by each request, whatever it is for."""
    sizes: dict[str, int] = field(default_factory=dict)
    """What the listing says instead of the true size."""
    renamed: dict[str, str] = field(default_factory=dict)
    """A repository's old name to its new one, to which a relative 307 leads."""
    store: str = ""
    """The address of another host that has the bytes of the files."""
    only_for: str | None = None
    """The hub answers who shows this token, and 401 to everybody else."""


class HubServer:
    """Serves repositories at one commit each. A context manager."""

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]], commit: str = COMMIT) -> None:
        self.repositories = repositories
        self.commit = commit
        self.faults = Faults()
        self.requests: list[tuple[str, str | None]] = []
        """(path of a file, its Range header), in the order of arrival."""
        self.tokens: list[tuple[str, str | None]] = []
        """(path, Authorization header) of every request."""
        self.stalled = threading.Event()
        """Set when a response has stalled."""
        self._stop = threading.Event()
        hub = self

        class Handler(_Handler):
            server_of_files = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def endpoint(self) -> str:
        """The address, as HF_ENDPOINT has it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range headers of the requests for one file."""
        return [asked for requested, asked in self.requests if requested == path]

    def wait_for_stop(self) -> None:
        """Block until the server stops."""
        self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_of_files: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub = self.server_of_files
        path = unquote(urlsplit(self.path).path)
        shown = self.headers["Authorization"]
        hub.tokens.append((path, shown))
        if hub.faults.status is not None:
            self._send(hub.faults.status, b"no")
        elif hub.faults.busy:
            status, headers = hub.faults.busy.pop(0)
            self._send(status, b"busy", headers)
        elif hub.faults.only_for and shown != f"Bearer {hub.faults.only_for}" and not path.startswith("/store/"):
            self._send(401, b"no")
        elif old := next((name for name in hub.faults.renamed if f"/{name}/" in path), None):
            self._send(307, b"", {"Location": self.path.replace(old, hub.faults.renamed[old])})
        elif found := re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", path):
            self._listing(found[1], found[2])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            # As the real hub does: the bytes come from elsewhere.
            self._send(302, b"", {"Location": f"{hub.faults.store}/store/{found[1]}/{found[2]}/{found[3]}"})
        elif found := re.fullmatch(r"/store/([^/]+/[^/]+)/([^/]+)/(.+)", path):
            self._file(found[1], found[2], found[3])
        else:
            self._send(404, b"no")

    def _listing(self, repository: str, revision: str) -> None:
        hub = self.server_of_files
        files = hub.repositories.get(repository)
        if files is None or revision not in (hub.commit, "main"):
            self._send(404, b"no")
            return
        siblings = []
        for path, content in files.items():
            size = hub.faults.sizes.get(path, len(content))
            git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            sibling: dict[str, object] = {"rfilename": path, "size": size, "blobId": git}
            if path.endswith((".safetensors", ".bin")):
                sibling["blobId"] = "0" * 40  # of the pointer
                sibling["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}
            siblings.append(sibling)
        self._send(200, json.dumps({"id": repository, "sha": hub.commit, "siblings": siblings}).encode())

    def _file(self, repository: str, revision: str, path: str) -> None:
        hub = self.server_of_files
        content = hub.repositories[repository].get(path)
        if content is None or revision != hub.commit:
            self._send(404, b"no")
            return
        asked = self.headers["Range"]
        hub.requests.append((path, asked))
        if path in hub.faults.altered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        headers = {}
        status = 200
        if asked and not hub.faults.no_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        cuts = hub.faults.cut_after.get(path)
        self._send(status, content, headers, cut=cuts.pop(0) if cuts else None, stall=hub.faults.stall_after.get(path))

    def _send(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] = {},
        *,
        cut: int | None = None,
        stall: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: cut if stall is None else stall])
        if stall is not None:
            self.server_of_files.stalled.set()
            self.server_of_files.wait_for_stop()
        if cut is not None or stall is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class says so
        """Nothing: the tests read `requests`."""
