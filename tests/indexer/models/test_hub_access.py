"""The hub as the world has it: busy, renamed, behind a proxy, with tokens and redirects to other hosts."""

from __future__ import annotations

import dataclasses
import email.utils
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import HTTPHandler, OpenerDirector

import pytest

from config.errors import ConfigError, PullFailed
from indexer.models.hub import Hub, pull
from indexer.models.store import Store
from tests.hub import COMMIT, HubServer
from tests.indexer.models.test_hub import ENTRY, FILES, REPOSITORY

TOKEN = "hf_secretsecretsecret"  # noqa: S105 - of nobody


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({REPOSITORY: FILES}) as server:
        yield server


@pytest.fixture
def storage(hub: HubServer) -> Iterator[HubServer]:
    """Another host, to which the hub leads for the bytes of its files."""
    with HubServer({REPOSITORY: FILES}) as server:
        hub.faults.store = server.endpoint
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def fetch(hub: Hub, store: Store) -> list[float]:
    """Pull; the pauses that the hub asked for."""
    pauses: list[float] = []
    pull(ENTRY, store, source=dataclasses.replace(hub, pause=pauses.append), progress=lambda _: None)
    assert store.verified(ENTRY)
    return pauses


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_hub_is_asked_again_with_growing_pauses(hub: HubServer, store: Store, status: int) -> None:
    hub.faults.busy = [(status, {})] * 3
    assert fetch(Hub(hub.endpoint), store) == [1, 2, 4]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55),
        ({"Retry-After": "soon"}, 1),
        ({"Retry-After": "9" * 400}, 1),
        ({"Retry-After": email.utils.formatdate(0, usegmt=True)}, 0),
    ],
)
def test_the_hub_says_how_long_to_wait(hub: HubServer, store: Store, headers: dict[str, str], seconds: float) -> None:
    hub.faults.busy = [(429, headers)]
    assert fetch(Hub(hub.endpoint), store) == [seconds]


def test_a_date_to_wait_for_is_understood(hub: HubServer, store: Store) -> None:
    hub.faults.busy = [(503, {"Retry-After": email.utils.formatdate(time.time() + 60, usegmt=True)})]
    [seconds] = fetch(Hub(hub.endpoint), store)
    assert 50 < seconds <= 60


@pytest.mark.parametrize("place", ["http://[::1", "http://127.0.0.1:99999999", "ftp://127.0.0.1"])
def test_a_redirect_that_leads_nowhere_is_no_traceback(hub: HubServer, store: Store, place: str) -> None:
    hub.faults.busy = [(302, {"Location": place})]
    with pytest.raises(PullFailed):
        fetch(Hub(hub.endpoint, token=TOKEN), store)


def test_a_commit_that_is_none_is_no_name_of_a_folder(hub: HubServer, store: Store) -> None:
    hub.commit = "../../elsewhere"
    with pytest.raises(PullFailed, match="answers with the commit"):
        pull(dataclasses.replace(ENTRY, revision=None), store, source=Hub(hub.endpoint), progress=lambda _: None)


def test_waiting_has_an_end(hub: HubServer, store: Store) -> None:
    hub.faults.busy = [(429, {"Retry-After": "3600"})]
    pauses: list[float] = []
    patient = Hub(hub.endpoint, pause=pauses.append)
    with pytest.raises(PullFailed, match="429") as failed:
        pull(ENTRY, store, source=patient, progress=lambda _: None)
    assert "60 min" in failed.value.remedy
    assert pauses == []
    hub.faults.busy = [(429, {"Retry-After": "100"})] * 100
    with pytest.raises(PullFailed, match="429"):
        pull(ENTRY, store, source=patient, progress=lambda _: None)
    assert pauses == [100, 100, 100]
    hub.faults.busy = [(503, {})] * 100
    pauses.clear()
    with pytest.raises(PullFailed, match="503"):
        pull(ENTRY, store, source=patient, progress=lambda _: None)
    assert sum(pauses) == 31


def test_a_storage_that_is_busy_half_way_through_a_file(hub: HubServer, storage: HubServer, store: Store) -> None:
    storage.faults.cut_after["model.safetensors"] = [1_000_000, 0]
    with pytest.raises(PullFailed, match="to its end"):
        fetch(Hub(hub.endpoint), store)
    storage.requests.clear()
    storage.faults.busy = [(503, {"Retry-After": "3"})]
    assert fetch(Hub(hub.endpoint), store) == [3]
    assert storage.requests == [("model.safetensors", "bytes=1000000-")]


def test_a_renamed_repository_with_its_files_on_another_host(hub: HubServer, storage: HubServer, store: Store) -> None:
    renamed = dataclasses.replace(ENTRY, repository="someone-else/tiny-model")
    hub.faults.renamed["someone-else/tiny-model"] = REPOSITORY
    hub.faults.only_for = TOKEN
    storage.faults.cut_after["model.safetensors"] = [1_000_000]
    pull(renamed, store, source=Hub(hub.endpoint, token=TOKEN), progress=lambda _: None)
    assert store.verified(renamed)
    assert storage.ranges("model.safetensors") == [None, "bytes=1000000-"]
    assert hub.requests == []
    assert {shown for _, shown in hub.tokens} == {f"Bearer {TOKEN}"}
    assert {shown for _, shown in storage.tokens} == {None}


def test_a_model_pulled_under_the_old_name_of_its_repository_stays(hub: HubServer, store: Store) -> None:
    fetch(Hub(hub.endpoint), store)
    assert store.installed(dataclasses.replace(ENTRY, repository="new-name/tiny-model"))
    assert not store.installed(dataclasses.replace(ENTRY, repository="new-name/tiny-model", revision=None))
    assert not store.installed(dataclasses.replace(ENTRY, repository="new-name/tiny-model", revision="f" * 40))


def test_a_token_out_of_date_keeps_nobody_from_what_is_public(hub: HubServer, store: Store) -> None:
    hub.faults.busy = [(401, {})]
    fetch(Hub(hub.endpoint, token=TOKEN), store)
    assert [shown for _, shown in hub.tokens][:2] == [f"Bearer {TOKEN}", None]


def test_the_token_is_never_shown(hub: HubServer, store: Store) -> None:
    hub.faults.status = 403
    ours = Hub(hub.endpoint, token=TOKEN)
    with pytest.raises(PullFailed) as failed:
        fetch(ours, store)
    assert "HF_TOKEN" in failed.value.remedy
    chain: list[BaseException] = [failed.value]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    assert TOKEN not in f"{ours} {[repr(error) + str(error) for error in chain]}"


def test_the_token_is_where_the_hubs_own_client_has_it(tmp_path: Path) -> None:
    def token(**environ: str) -> str | None:
        return Hub.from_environment({"HOME": str(tmp_path / "home")} | environ).token

    def written(*parts: str) -> str:
        file = tmp_path.joinpath(*parts)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"from {parts[0]}".replace(" ", "-") + "\n")
        return str(file)

    assert token() is None
    written("home", ".cache", "huggingface", "token")
    assert token() == "from-home"
    written("cache", "huggingface", "token")
    assert token(XDG_CACHE_HOME=str(tmp_path / "cache")) == "from-cache"
    written("hf", "token")
    assert token(HF_HOME=str(tmp_path / "hf")) == "from-hf"
    named = written("named")
    assert token(HF_TOKEN_PATH=named, HF_HOME=str(tmp_path / "hf")) == "from-named"
    assert token(HF_TOKEN_PATH=str(tmp_path / "nowhere")) is None
    assert token(HF_TOKEN=f" {TOKEN}\n", HF_TOKEN_PATH=named) == TOKEN
    assert token(HF_TOKEN="", HF_TOKEN_PATH=named) == "from-named"
    assert token(HF_TOKEN=TOKEN, HF_ENDPOINT="http://mirror.example") is None, "everybody on the way could read it"
    assert token(HF_TOKEN=TOKEN, HF_ENDPOINT="https://mirror.example") == TOKEN


@pytest.mark.parametrize("wrong", ["hf_secret\r\nHost: elsewhere", "hf secret", "hf_sécret", "hf_secret" * 1000])
def test_what_is_no_token_is_refused_without_being_shown(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "token").write_text(wrong)
    for environ in ({"HF_TOKEN": wrong}, {"HF_TOKEN_PATH": str(tmp_path / "token")}):
        with pytest.raises(ConfigError) as refused:
            Hub.from_environment(environ)
        assert next(iter(environ)) in str(refused.value) or str(tmp_path / "token") in str(refused.value)
        assert "cret" not in str(refused.value)


def test_a_password_in_the_address_of_a_hub_is_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        Hub.from_environment({"HF_ENDPOINT": "https://ada:secret@mirror.example"})
    assert "secret" not in str(refused.value)


class Proxy:
    """A forwarding proxy on this machine, which writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.authorized: set[str | None] = set()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.asked.append(self.path)
                proxy.authorized.add(self.headers["Proxy-Authorization"])
                direct = OpenerDirector()
                direct.add_handler(HTTPHandler())
                with direct.open(self.path, timeout=5) as answer:
                    body = answer.read()
                    self.send_response(answer.status)
                    for name in ("Location", "Content-Range"):
                        if answer.headers[name]:
                            self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                self.send_error(403)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class says so
                """Nothing: the tests read `asked`."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Proxy()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_the_proxy_of_the_environment_is_used(
    hub: HubServer, proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://ada:pass@{proxy.address}")
    fetch(Hub(hub.endpoint), store)
    assert proxy.asked[0] == f"{hub.endpoint}/api/models/{REPOSITORY}/revision/{COMMIT}?blobs=true"
    assert f"{hub.endpoint}/store/{REPOSITORY}/{COMMIT}/model.safetensors" in proxy.asked
    assert proxy.authorized == {"Basic YWRhOnBhc3M="}


def test_no_proxy_where_the_environment_says_so(
    hub: HubServer, proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    fetch(Hub(hub.endpoint), store)
    assert proxy.asked == []


def test_a_proxy_that_refuses_is_named_without_its_password(
    proxy: Proxy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:secret@{proxy.address}")
    with pytest.raises(PullFailed, match=re.escape(f"through the proxy {proxy.address}")) as failed:
        fetch(Hub("https://hub.example"), store)
    assert proxy.asked == ["hub.example:443"]
    assert "secret" not in str(failed.value)


def cached(root: Path, repository: str, commit: str, contents: dict[str, bytes]) -> Path:
    """A repository as the hub's own client keeps it: blobs by their checksums, and snapshots of links to them."""
    place = root / f"models--{repository.replace('/', '--')}"
    for path, content in contents.items():
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        name = hashlib.sha256(content).hexdigest() if path.endswith(".safetensors") else git
        (place / "blobs").mkdir(parents=True, exist_ok=True)
        (place / "blobs" / name).write_bytes(content)
        link = place / "snapshots" / commit / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path("../" * (2 + path.count("/")), "blobs", name))
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit)
    return place


@pytest.mark.parametrize("named", [".", "hub", "hub/{place}", f"hub/{{place}}/snapshots/{COMMIT}"])
def test_a_cache_of_the_hubs_client_serves_as_well(store: Store, tmp_path: Path, named: str) -> None:
    place = cached(tmp_path / "hub", REPOSITORY, COMMIT, FILES)
    pull(ENTRY, store, source=tmp_path / named.format(place=place.name), progress=lambda _: None)
    folder = store.verified(ENTRY)
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert store.manifest(ENTRY).commit == COMMIT


def test_a_cache_under_the_old_name_of_a_repository(store: Store, tmp_path: Path) -> None:
    cached(tmp_path, "former/tiny-model", COMMIT, FILES)
    pull(ENTRY, store, source=tmp_path, progress=lambda _: None)
    assert store.verified(ENTRY)


def test_the_cache_says_what_the_branch_was(store: Store, tmp_path: Path) -> None:
    entry = dataclasses.replace(ENTRY, revision=None)
    cached(tmp_path, REPOSITORY, "e" * 40, {**FILES, "model.safetensors": b"older"})
    cached(tmp_path, REPOSITORY, "a" * 40, FILES)
    cached(tmp_path, "former/tiny-model", "f" * 40, FILES)
    pull(entry, store, source=tmp_path, progress=lambda _: None)
    assert store.manifest(entry).commit == "a" * 40


def test_a_cache_is_held_to_its_checksums_and_to_the_revision(store: Store, tmp_path: Path) -> None:
    place = cached(tmp_path, REPOSITORY, "f" * 40, FILES)
    with pytest.raises(PullFailed, match="another revision"):
        pull(ENTRY, store, source=tmp_path, progress=lambda _: None)
    cached(tmp_path, REPOSITORY, COMMIT, FILES)
    [weights] = [blob for blob in (place / "blobs").iterdir() if blob.stat().st_size > 1000]
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(PullFailed, match=r"model\.safetensors .*checksum"):
        pull(ENTRY, store, source=tmp_path, progress=lambda _: None)
    weights.unlink()
    with pytest.raises(PullFailed, match=r"model\.safetensors is not there"):
        pull(ENTRY, store, source=tmp_path, progress=lambda _: None)
    assert not store.folder(ENTRY).exists()
