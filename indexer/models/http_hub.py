"""The two HTTP calls of a model hub: what a revision consists of, and one file from a given byte on."""

from __future__ import annotations

import email.utils
import http
import http.client
import itertools
import re
import time
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPMessage
from io import BufferedIOBase
from typing import IO, Final
from urllib.parse import quote, urlsplit

import msgspec

from config.errors import PullFailed
from config.version import current_version
from indexer.models.hub_access import Hub
from indexer.models.listing import ModelEntry
from indexer.models.sources import Expected, Offer

_LARGEST_LISTING = 16 << 20
_BUSY: Final = frozenset(
    {
        http.HTTPStatus.TOO_MANY_REQUESTS,
        http.HTTPStatus.INTERNAL_SERVER_ERROR,
        http.HTTPStatus.BAD_GATEWAY,
        http.HTTPStatus.SERVICE_UNAVAILABLE,
        http.HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What may pass by itself."""
_TRIES: Final = 6
"""How often one request is made. Without a word of the hub the pauses are 1, 2, 4, 8 and 16 seconds."""
_LONGEST_WAIT: Final = 330.0
"""Seconds that one pull of a model waits in all. The hub counts requests in windows of 300 seconds (its documentation,
"Hub rate limits")."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


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


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and shows the token only to the host that it was meant for."""

    def redirect_request(  # noqa: PLR0917 - as the base class has it
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        followed = super().redirect_request(req, fp, code, msg, headers, newurl)
        if followed is not None:
            followed.remove_header("Proxy-authorization")  # the proxy of the next host, if any, gets its own
            token = req.unredirected_hdrs.get("Authorization")
            if token and _origin(newurl) == _origin(req.full_url):
                followed.add_unredirected_header("Authorization", token)
        return followed


class RemoteHub:
    """Asks one hub. Knows http and https, and follows redirects between these only.

    Proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._token = hub.token
        self._waited = 0.0
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            _Redirect(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.UnknownHandler(),
        ):
            self._opener.add_handler(handler)

    def offer(self, entry: ModelEntry) -> Offer:
        """The commit of the entry's revision, and what each of its files must be.

        Raises PullFailed if the hub cannot be reached, has no such revision or lacks one of the files.
        """
        revision = entry.revision or entry.branch
        try:
            with self._ask(entry, f"api/models/{entry.repository}/revision/{revision}?blobs=true") as answer:
                listing = msgspec.json.decode(answer.read(_LARGEST_LISTING), type=_Listing)
        except (msgspec.DecodeError, http.client.HTTPException, OSError) as error:
            raise self._strange(entry, f"its answer cannot be read ({error})") from error
        if entry.revision not in (None, listing.sha) or not _COMMIT.fullmatch(listing.sha):
            raise self._strange(entry, f"it answers with the commit {listing.sha}")
        siblings = {sibling.rfilename: sibling for sibling in listing.siblings}
        files = {file.path: self._expected(entry, siblings.get(file.path), file.path) for file in entry.files}
        return Offer(listing.sha, files, f"{self._hub.endpoint}/{entry.repository} at {listing.sha[:12]}")

    def open(self, entry: ModelEntry, commit: str | None, path: str, offset: int) -> tuple[BufferedIOBase, int]:
        """A stream of a file, and the byte at which it begins: 0 where the hub does not do parts. Raises PullFailed."""
        answer = self._ask(entry, f"{entry.repository}/resolve/{commit or entry.branch}/{quote(path)}", offset)
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
        """The answer to one request, which is made again while the hub is busy. Raises PullFailed."""
        for attempt in itertools.count(1):
            try:
                return self._request(path, offset)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == http.HTTPStatus.UNAUTHORIZED and self._token:
                        self._token = None  # it may be out of date, and no listed model needs one
                    elif error.code not in _BUSY:
                        raise self._refused(entry, error.code) from error
                    elif not self._waits(attempt, asked := _asked_wait(error.headers)):
                        raise self._busy(error.code, asked) from error
            except (http.client.HTTPException, OSError, ValueError) as error:  # ValueError: a redirect to no address
                # A file that was coming is asked for again: the connection may be back in a moment.
                if not (offset and self._waits(attempt, None)):
                    raise self._unreachable(entry, _reason(error)) from error
        raise AssertionError("unreachable")

    def _request(self, path: str, offset: int) -> http.client.HTTPResponse:
        headers = {"User-Agent": f"reverie/{current_version()}", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        url = f"{self._hub.endpoint}/{path}"
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - this opener knows http and https only
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        answer: http.client.HTTPResponse = self._opener.open(request, timeout=self._hub.timeout_seconds)
        return answer

    def _waits(self, attempt: int, asked: float | None) -> bool:
        """Wait as long as the hub asks for, else longer each time; False, at once, if that would be too long."""
        seconds = 2.0 ** (attempt - 1) if asked is None else asked
        if attempt == _TRIES or self._waited + seconds > _LONGEST_WAIT:
            return False
        self._waited += seconds
        self._hub.pause(seconds)
        return True

    def _busy(self, status: int, asked: float | None) -> PullFailed:
        when = "" if asked is None else f", in {max(1, round(asked / 60))} min as it says"
        return PullFailed(
            f"The model hub {self._hub.endpoint} is busy or in trouble (HTTP {status}).",
            f"Pull again later{when}: what was fetched is kept.",
        )

    def _unreachable(self, entry: ModelEntry, reason: str) -> PullFailed:
        proxy = _proxy_of(self._hub.endpoint)
        by = f" through the proxy {proxy}" if proxy else ""
        return PullFailed(
            f"The model hub {self._hub.endpoint} cannot be reached{by}: {reason}.",
            "Pull again when there is a connection: what was fetched is kept. A machine without one takes the files "
            f"from a folder: `reverie models pull {entry.name} --from DIR`.",
        )

    def _refused(self, entry: ModelEntry, status: int) -> PullFailed:
        reason = f"it refuses {entry.repository} at {entry.revision or entry.branch} (HTTP {status})"
        if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
            return self._strange(entry, reason, "If it wants an account, set HF_TOKEN to a token of yours. ")
        return self._strange(entry, reason)

    def _strange(self, entry: ModelEntry, reason: str, advice: str = "") -> PullFailed:
        return PullFailed(
            f"The model hub {self._hub.endpoint} does not give {entry.name}: {reason}.",
            f"{advice}Check HF_ENDPOINT if you set it; else take the files from a folder: "
            f"`reverie models pull {entry.name} --from DIR`.",
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _asked_wait(headers: Message) -> float | None:
    """Seconds for which a busy hub asks: Retry-After (RFC 9110, section 10.2.3), else the rest of its window, which it
    gives as `RateLimit: "resolvers";r=0;t=55`. None if it does not say."""
    asked = (headers.get("Retry-After") or "").strip()
    if seconds := _SECONDS.fullmatch(asked):
        return float(seconds[0])
    if window := re.search(rf"\bt=({_SECONDS.pattern})\b", headers.get("RateLimit") or ""):
        return float(window[1])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _proxy_of(endpoint: str) -> str | None:
    """The proxy by which the hub is asked, without the password in it; None if there is none."""
    parts = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return None
    return proxy.rpartition("@")[2].rpartition("//")[2]


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(getattr(reason, "strerror", None) or reason) or type(error).__name__
