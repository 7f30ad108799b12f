"""Plug-ins: found by their entry points, held to the rules, and never able to break what they are plugged into."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from config.errors import StageFailed
from indexer.plugins import find_plugins, load_plugin, plugin_stages
from indexer.records import Kind, MediaInfo
from indexer.stage import PhotoStage, View

PROJECT = Path(__file__).resolve().parents[2]

STAGE = """
from indexer.records import Embedding, RuntimeReport, Space, Tag
from indexer.stage import Findings

class Stage:
    name = "{name}"
    revision = {revision}
    short_side = {short_side}
    report = None
    def prepare(self, view):
        return view.pixels
    def analyse(self, batch):
        return [Findings(tags=(Tag("seen", 1.0, "test"),)) for _ in batch]
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package with one stage on the search path, as an installation does."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(
        name: str, *, code: str = "", package: str = "", class_name: str | None = None, **values: object
    ) -> None:
        package = package or f"plugin_{abs(hash((name, code, str(values))))}"
        numbers = {"revision": 1, "short_side": 64, "name": name if class_name is None else class_name} | values
        (tmp_path / f"{package}.py").write_text(code or STAGE.format(**numbers), encoding="utf-8")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[reverie.stages]\n{name} = {package}:Stage\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, package, raising=False)

    return install


def view(side: int = 8) -> View:
    pixels = np.zeros((side, side, 3), np.uint8)
    return View(pixels, side, side, MediaInfo(kind=Kind.PHOTO, format="PNG", width=side, height=side))


def test_without_plugins_there_is_nothing() -> None:
    found = find_plugins()
    assert (dict(found.stages), found.problems) == ({}, ())


def test_an_installed_stage_is_found_with_its_revision_and_runs(install: Install) -> None:
    install("seasons", revision=4, short_side=99)
    assert plugin_stages() == {"seasons": 4}
    stage = load_plugin("seasons")
    assert isinstance(stage, PhotoStage)
    assert (stage.name, stage.revision, stage.short_side) == ("seasons", 4, 99)
    assert stage.report is not None
    assert (stage.report.stage, stage.report.precision) == ("seasons", "no network")
    [findings] = stage.analyse([stage.prepare(view())])
    assert findings.tags[0].name == "seen"


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("pixels", {}, "one of Reverie's own"),
        ("embedding", {}, "one of Reverie's own"),
        ("authored", {}, "one of Reverie's own"),
        ("decode", {}, "one of Reverie's own"),
        ("Loud Name", {}, "small letters"),
        ("seasons", {"class_name": "weather"}, "'weather', not that of its entry point"),
        ("seasons", {"revision": 0}, "revision 0"),
        ("seasons", {"revision": "'2'"}, "revision '2'"),
        ("seasons", {"short_side": 100_000}, "short_side 100000"),
        ("seasons", {"code": "import no_such_module_anywhere"}, "cannot be imported (ModuleNotFoundError"),
        ("seasons", {"code": "raise SystemError('no')"}, "cannot be imported (SystemError: no)"),
        ("seasons", {"code": "Stage = 3"}, "is not a class"),
        ("seasons", {"code": "class Stage:\n name = 'seasons'\n revision = short_side = 1"}, "lacks `prepare`"),
    ],
)
def test_what_cannot_be_a_stage_is_left_out_with_its_reason(
    install: Install, name: str, values: dict[str, object], reason: str
) -> None:
    install("weather")
    install(name, **values)
    found = find_plugins()
    assert dict(found.stages) == {"weather": 1}
    [problem] = found.problems
    assert problem.name == name
    assert reason in problem.reason
    with pytest.raises(StageFailed):
        load_plugin(name)


def test_of_two_stages_of_one_name_the_first_counts(install: Install) -> None:
    install("seasons", package="b_package", revision=2)
    install("seasons", package="a_package", revision=1)
    found = find_plugins()
    assert dict(found.stages) == {"seasons": 1}
    assert [problem.reason for problem in found.problems] == ["another package has a stage of this name"]
    assert load_plugin("seasons").revision == 1


def test_a_stage_that_cannot_be_made_is_found_and_says_why_when_it_is_loaded(install: Install) -> None:
    install("seasons", code=STAGE.format(name="seasons", revision=1, short_side=1) + """
    def __init__(self):
        raise OSError("its weights are gone")
""")  # fmt: skip
    assert plugin_stages() == {"seasons": 1}
    with pytest.raises(StageFailed, match="its weights are gone"):
        load_plugin("seasons")


def test_it_cannot_write_to_the_pixels_that_all_stages_share(install: Install) -> None:
    install("seasons")
    seen = view()
    with pytest.raises(ValueError, match="read-only"):
        load_plugin("seasons").prepare(seen)[0] = 1
    seen.pixels[0] = 1


@pytest.mark.parametrize(
    "findings",
    [
        "Findings(aesthetic=0.5)",
        "Findings(cut_out=b'\\x89PNG')",
        "Findings(embedding=Embedding(Space('mine', 1), b'\\x00\\x3c'))",
    ],
)
def test_it_cannot_give_vectors_or_scores(install: Install, findings: str) -> None:
    install("seasons", code=STAGE.format(name="seasons", revision=1, short_side=1) + f"""
    def analyse(self, batch):
        return [{findings} for _ in batch]
""")  # fmt: skip
    stage = load_plugin("seasons")
    with pytest.raises(StageFailed, match="tags and detections only"):
        stage.analyse([stage.prepare(view())])


def test_its_own_errors_do_not_pass_for_ours(install: Install) -> None:
    install("seasons", code=STAGE.format(name="seasons", revision=1, short_side=1) + """
    def analyse(self, batch):
        from config.errors import DeviceFailed
        raise DeviceFailed("stop everything")
""")  # fmt: skip
    stage = load_plugin("seasons")
    with pytest.raises(StageFailed, match="stop everything"):
        stage.analyse([stage.prepare(view())])


def test_finding_them_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from indexer.plugins import plugin_stages\n"
        "plugin_stages()\n"
        "assert not {'torch', 'transformers', 'cv2', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=True)
