"""The two HTTP calls of a model hub: what a revision consists of, and one file from a given byte on."""

from __future__ import annotations

import http
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from config.errors import ConfigError, PullFailed
from config.version import current_version
from indexer.models.listing import ModelEntry

DEFAULT_ENDPOINT: Final = "https://huggingface.co"
_LARGEST_LISTING = 16 << 20


class CutOff(Exception):
    """The connection broke while a file was coming: the same again, from where it stopped, may do."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A model hub, by its address."""

    endpoint: str = DEFAULT_ENDPOINT
    timeout_seconds: float = 30
    """A hub that says nothing for so long is given up."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Hub:
        """The hub that HF_ENDPOINT names (a mirror), else the public one. Raises ConfigError for what is no address."""
        endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"HF_ENDPOINT is {endpoint}, which is no address of a hub.", f"Unset it, or set {DEFAULT_ENDPOINT}."
            )
        return cls(endpoint)


@dataclass(frozen=True, slots=True)
class Expected:
    """What one file must be."""

    size: int
    sha256: str | None
    git_sha1: str | None


class _Lfs(msgspec.Struct):
    sha256: str
    size: int


class _Sibling(msgspec.Struct):
    rfilename: str
    size: int | None = None
    blob_id: str | None = msgspec.field(name="blobId", default=None)
    lfs: _Lfs | None = None


class _Listing(msgspec.Struct):
    sha: str
    siblings: list[_Sibling]


class Connection:
    """Asks one hub. Knows http and https, and follows redirects between these only."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.UnknownHandler(),
        ):
            self._opener.add_handler(handler)

    def listing(self, entry: ModelEntry) -> tuple[str, dict[str, Expected]]:
        """The commit of the entry's revision, and what each of its files must be.

        Raises PullFailed if the hub cannot be reached, has no such revision or lacks one of the files.
        """
        revision = entry.revision or entry.branch
        try:
            with self._ask(entry, f"api/models/{entry.repository}/revision/{revision}?blobs=true") as answer:
                listing = msgspec.json.decode(answer.read(_LARGEST_LISTING), type=_Listing)
        except (msgspec.DecodeError, http.client.HTTPException, OSError) as error:
            raise self._strange(entry, f"its answer cannot be read ({error})") from error
        if entry.revision not in (None, listing.sha):
            raise self._strange(entry, f"it answers with the commit {listing.sha}")
        siblings = {sibling.rfilename: sibling for sibling in listing.siblings}
        return listing.sha, {
            file.path: self._expected(entry, siblings.get(file.path), file.path) for file in entry.files
        }

    def open(self, entry: ModelEntry, commit: str, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """A stream of a file, and the byte at which it begins: 0 where the hub does not do parts.

        Raises PullFailed, or CutOff if the connection broke.
        """
        answer = self._ask(entry, f"{entry.repository}/resolve/{commit}/{quote(path)}", offset)
        begins = answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT and not begins:
            answer.close()
            raise self._strange(entry, "it sends another part of the file than it was asked for")
        return answer, offset if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0

    def _expected(self, entry: ModelEntry, sibling: _Sibling | None, path: str) -> Expected:
        if sibling is None:
            raise self._strange(entry, f"it has no {path} at {entry.revision or entry.branch}")
        listed = next(file for file in entry.files if file.path == path)
        size = sibling.lfs.size if sibling.lfs else sibling.size
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        # For a file in large-file storage the blob is only the pointer to it.
        git_sha1 = None if sibling.lfs else sibling.blob_id
        if size is None or not (sha256 or git_sha1 or listed.sha256):
            raise self._strange(entry, f"it does not say what {path} must be")
        return Expected(size, sha256, git_sha1)

    def _ask(self, entry: ModelEntry, path: str, offset: int = 0) -> http.client.HTTPResponse:
        url = f"{self._hub.endpoint}/{path}"
        headers = {"User-Agent": f"reverie/{current_version()}", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - this opener knows http and https only
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=self._hub.timeout_seconds)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(entry, error.code) from error
        except urllib.error.URLError as error:
            raise self._unreachable(entry, str(getattr(error.reason, "strerror", None) or error.reason)) from error
        except (http.client.HTTPException, OSError) as error:
            if offset:
                raise CutOff(str(error) or "the connection broke") from error
            raise self._unreachable(entry, str(error) or type(error).__name__) from error
        return answer

    def _unreachable(self, entry: ModelEntry, reason: str) -> PullFailed:
        return PullFailed(
            f"The model hub {self._hub.endpoint} cannot be reached: {reason}.",
            "Pull again when there is a connection: what was fetched is kept. A machine without one takes the files "
            f"from a folder: `reverie models pull {entry.name} --from DIR`.",
        )

    def _refused(self, entry: ModelEntry, status: int) -> PullFailed:
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or status == http.HTTPStatus.TOO_MANY_REQUESTS:
            return PullFailed(
                f"The model hub {self._hub.endpoint} is in trouble (HTTP {status}).",
                "Pull again later: what was fetched is kept.",
            )
        return self._strange(
            entry, f"it refuses {entry.repository} at {entry.revision or entry.branch} (HTTP {status})"
        )

    def _strange(self, entry: ModelEntry, reason: str) -> PullFailed:
        return PullFailed(
            f"The model hub {self._hub.endpoint} does not give {entry.name}: {reason}.",
            f"Check HF_ENDPOINT if you set it; else take the files from a folder: "
            f"`reverie models pull {entry.name} --from DIR`.",
        )
