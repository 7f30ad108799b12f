"""`reverie models`: what is listed, pulled and used; and that searches go on while the models change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.errors import NoService, ServiceError
from indexer.models.listing import load_list, plan_for
from indexer.models.store import Store
from search.catalog import Catalog
from search.client import Client
from tests.e2e.driver import Reverie
from tests.e2e.test_index_command import make_many
from tests.tiny_models import DIMENSION, list_entry, save_dual_encoder

PHOTOS = 40
BUILTIN = "conse-efficientnet-lite0-minilm-l6-v2/1"
QUICK = {"REVERIE_WATCH__QUIET_SECONDS": "0.1", "REVERIE_PROCESSING__MAX_WAIT_SECONDS": "0.1"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "photos"
    make_many(folder, PHOTOS)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A configuration folder whose list knows the profile "tiny", and a folder with its model's files."""
    folder = tmp_path_factory.mktemp("tiny")
    model = save_dual_encoder("clip", folder / "files" / "tiny-clip")
    stages = [f"{task}:tiny-clip" for task in ("embedding", "labels", "aesthetic")]
    listed = {
        "models": {"tiny-clip": list_entry(model)},
        "profiles": {"tiny": {"about": "For tests.", "stages": stages}},
    }
    (folder / "conf" / "reverie").mkdir(parents=True)
    (folder / "conf" / "reverie" / "models.yaml").write_text(yaml.safe_dump(listed))
    return folder / "conf", folder / "files"


@pytest.fixture
def reverie(make_reverie: Callable[..., Reverie], tiny: tuple[Path, Path]) -> Reverie:
    return make_reverie(**QUICK, XDG_CONFIG_HOME=str(tiny[0]))


@pytest.fixture
def installed(reverie: Reverie, tiny: tuple[Path, Path]) -> Reverie:
    """The program with the tiny model pulled."""
    finished = reverie.run("models", "pull", "tiny", "--from", tiny[1])
    assert finished.returncode == 0, finished.stderr
    return reverie


class Asker:
    """Asks the service one question after the other, and remembers every answer that was not the whole library."""

    def __init__(self, reverie: Reverie, count: int) -> None:
        self._client = Client(reverie.library / "run" / "reverie.sock")
        self._count = count
        self._end = threading.Event()
        self.answers = 0
        self.refused = 0
        self.wrong: list[Any] = []
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._end.is_set():
            try:
                answer = self._client.get("/v1/search", {"q": "a cat on a table", "all": 1, "limit": 1000})
            except (NoService, ServiceError):
                self.refused += 1  # killed, or not there yet
                time.sleep(0.02)
                continue
            self.answers += 1
            time.sleep(0.02)  # the service has other work, too
            if len(answer["results"]) != self._count:
                self.wrong.append(len(answer["results"]))


def progress_of(reverie: Reverie) -> Any:
    return reverie.json("models")["change"]


def begin(reverie: Reverie, profile: str) -> None:
    """Order a change, and leave at once as somebody does who presses Ctrl-C."""
    next(Client(reverie.library / "run" / "reverie.sock").stream("/v1/models/use", {"profile": profile}))


def states(reverie: Reverie) -> dict[str, str]:
    return {profile["name"]: profile["state"] for profile in reverie.json("models")["profiles"]}


def spaces(reverie: Reverie) -> dict[str, int]:
    vectors: dict[str, int] = reverie.status()["vectors"]
    return {space.partition("@")[0]: count for space, count in vectors.items()}


def test_a_profile_is_listed_pulled_and_then_ready(reverie: Reverie, tiny: tuple[Path, Path]) -> None:
    assert states(reverie) | {"builtin": "in use", "tiny": "not installed"} == states(reverie)
    shown = reverie.run("models").stdout
    assert "`reverie models pull tiny`" in shown
    refused = reverie.run("models", "use", "tiny")
    assert refused.returncode == 3
    assert "reverie models pull tiny" in refused.stderr
    assert not reverie.library.exists()

    pulled = reverie.run("models", "pull", "tiny", "--from", tiny[1])
    assert (pulled.returncode, pulled.stdout) == (0, "tiny-clip is installed.\n")
    assert states(reverie)["tiny"] == "ready"
    again = reverie.run("models", "pull", "tiny-clip", "--from", "/nowhere")
    assert (again.returncode, again.stdout) == (0, "tiny-clip is installed already.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["use", "nothing"], 2, "nothing is not the name of a profile."),
        (["use", "tiny-clip"], 2, "tiny-clip is a model, not a profile."),
        (["pull", "tiny", "--from", "/nowhere"], 3, "/nowhere does not hold all of tiny-clip"),
        (["verify", "nothing"], 2, "There is no profile or model 'nothing'."),
    ],
)
def test_what_cannot_be_done_is_told(
    make_reverie: Callable[..., Reverie],
    tiny: tuple[Path, Path],
    arguments: list[str],
    status: int,
    complaint: str,
) -> None:
    reverie = make_reverie(XDG_CONFIG_HOME=str(tiny[0]))
    finished = reverie.run("models", *arguments)
    assert finished.returncode == status
    assert complaint in finished.stderr
    assert not (reverie.library / "catalog.sqlite3").exists()


def test_the_service_changes_the_models_while_it_answers(installed: Reverie, photos: Path) -> None:
    installed.start(photos)
    installed.eventually(lambda: installed.status()["counts"]["done"] == PHOTOS and installed.idle(), within=30)
    cost = installed.json("models", "use", "tiny", "--dry-run")
    assert cost["photos"] == PHOTOS
    assert cost["vector_bytes"] == PHOTOS * 2 * DIMENSION
    assert cost["drops"] == ["concepts", "speech:whisper-tiny-en"]
    assert states(installed)["builtin"] == "in use"

    with Asker(installed, PHOTOS) as asker:
        begin(installed, "tiny")
        assert Client(installed.library / "run" / "reverie.sock").post("/v1/models/cancel", {}) == {"cancelled": "tiny"}
        assert states(installed)["builtin"] == "in use"
        installed.eventually(lambda: spaces(installed) == {BUILTIN: PHOTOS}, within=20)
        nothing = installed.run("models", "cancel")
        assert (nothing.stdout, nothing.stderr) == ("No change is in progress.\n", "")

        begin(installed, "tiny")
        second = installed.run("models", "use", "builtin")
        if progress_of(installed) is not None:
            assert second.returncode == 2
            assert "reverie models cancel" in second.stderr
        finished = installed.run("models", "use", "tiny")
        assert finished.returncode == 0, finished.stderr
        installed.eventually(lambda: spaces(installed) == {"tiny-clip": PHOTOS}, within=20)
        status = installed.json("status")
    assert asker.wrong == []
    assert asker.refused == 0
    assert asker.answers > 10
    assert status["profile"] == "tiny"
    [network] = [stage for stage in status["stages"] if stage["stage"] == "embedding:tiny-clip"]
    assert network["runtime"]
    assert network["batch_size"] >= 1
    assert not [path for path in installed.library.glob("vectors-*") if "tiny-clip" not in path.name]
    assert installed.run("models", "use", "tiny").stdout == "The profile tiny is in use already.\n"


def test_without_a_service_a_change_is_cancelled_or_goes_on_with_the_next_index(
    installed: Reverie, photos: Path, tiny: tuple[Path, Path]
) -> None:
    assert installed.json("index", photos)["done"] == PHOTOS
    begin_without_a_service(installed, tiny)
    assert f"Changing to tiny: 0 of {PHOTOS} files." in installed.run("models").stdout
    assert installed.run("models", "cancel").stdout == "The change to the profile tiny is stopped.\n"

    begin_without_a_service(installed, tiny)
    assert installed.run("index", photos).returncode == 0
    assert states(installed)["tiny"] == "in use"
    assert len(installed.found("a cat on a table", "--all", "--limit", "1000")) == PHOTOS
    back = installed.run("models", "use", "builtin")
    assert back.stdout.startswith("Searches are answered by the profile builtin now")
    assert spaces(installed) == {BUILTIN: PHOTOS}


def begin_without_a_service(reverie: Reverie, tiny: tuple[Path, Path]) -> None:
    """What `reverie models use tiny` leaves when it is killed at once."""
    store, lists = Store(reverie.library / "models"), [tiny[0] / "reverie"]
    catalog = Catalog(reverie.library)
    catalog.begin(plan_for("tiny", load_list(lists), store, lists))
    catalog.close()


def test_a_new_model_that_cannot_work_does_not_hold_up_the_one_in_use(
    installed: Reverie, tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    make_many(folder, 4)
    assert installed.json("index", folder)["done"] == 4
    weights = installed.library / "models" / "tiny-clip" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    installed.start(folder)

    refused = installed.run("models", "use", "tiny")
    assert refused.returncode == 3
    assert "reverie models pull tiny-clip" in refused.stderr
    assert "damaged" in refused.stderr

    make_many(tmp_path / "more", 6)
    for late in ("004.jpg", "005.jpg"):
        (tmp_path / "more" / late).replace(folder / late)
    installed.eventually(lambda: spaces(installed) == {BUILTIN: 6}, within=30)
    assert installed.json("status")["counts"]["quarantined"] == 0
    installed.eventually(lambda: "`reverie models cancel`" in (progress_of(installed)["trouble"] or ""), within=30)
    assert installed.json("index", folder)["state"] == "done", "it waits for nothing that is left alone"
    assert len(installed.found("a cat on a table", "--all")) == 6

    assert installed.run("models", "pull", "tiny", "--from", tiny[1]).returncode == 0
    finished = installed.run("models", "use", "tiny")
    assert finished.returncode == 0, finished.stderr
    installed.eventually(lambda: spaces(installed) == {"tiny-clip": 6}, within=30)
