from __future__ import annotations

import dataclasses
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from config.errors import ModelError
from indexer.models.resources import Resources, RunPolicy
from indexer.records import Refusal
from indexer.runtime.engines import Engine
from indexer.runtime.network import NetworkRef, Photos
from indexer.runtime.parity import Matrix
from indexer.runtime.runtimes import Runtime
from indexer.runtime.samples import GateSamples
from indexer.runtime.selection import EngineSlot, judge_all, obtain_engine
from indexer.runtime.torch_cpu import TorchCpu
from tests.indexer.runtime.conftest import resources_in
from tests.indexer.runtime.planted import FACTORY, Compiled, Missing, Raising, tiny_network, vectors

BUILD_SECONDS = 300
"""Far more than a build takes alone: it is given the lowest priority, so whatever else runs goes first."""
pytestmark = pytest.mark.timeout(400)

REF = NetworkRef(FACTORY, ("plain",))
INPUTS = tiny_network("plain").prepare([np.full((40, 40, 3), 90, np.uint8), np.full((40, 40, 3), 200, np.uint8)])


def no_samples() -> Photos:
    raise AssertionError("nothing should be judged")


def slot_of(
    resources: Resources,
    *runtimes: Runtime,
    samples: Photos | None = None,
    ref: NetworkRef = REF,
    prepare: Callable[[Engine], None] = lambda engine: None,
) -> EngineSlot:
    return obtain_engine(
        ref,
        stage="embedding:tiny",
        model="tiny",
        resources=resources,
        samples=no_samples if samples is None else lambda: samples,
        runtimes=runtimes,
        prepare=prepare,
    )


def refusal_of(slot: EngineSlot, title: str) -> Refusal:
    return next(refusal for refusal in slot.refused if title in refusal.runtime.split(", "))


@dataclass(frozen=True)
class FirstRun:
    """What a first start on a machine was like."""

    resources: Resources
    slot: EngineSlot
    meanwhile: str
    """What served while the child built."""
    reason: str
    """Why the compiled engine did not, as it was told then."""
    outputs: tuple[Matrix, Matrix]
    """For the same inputs, before and after."""
    prepared: tuple[tuple[str, str], ...]
    """What was prepared to take over, and what served at that moment."""


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, samples: GateSamples) -> Iterator[FirstRun]:
    resources = resources_in(tmp_path_factory.mktemp("first"))
    (resources.models / "wait").touch()
    prepared: list[tuple[str, str]] = []
    slot = slot_of(
        resources,
        Missing(),
        Raising(),
        Compiled(),
        TorchCpu(),
        samples=samples,
        prepare=lambda engine: prepared.append((engine.info.runtime, slot.info.runtime)),
    )
    meanwhile, reason, before = slot.info.runtime, refusal_of(slot, "Compiled").reason, vectors(slot, INPUTS)
    (resources.models / "go").touch()
    assert slot.wait(BUILD_SECONDS)
    yield FirstRun(resources, slot, meanwhile, reason, (before, vectors(slot, INPUTS)), tuple(prepared))
    slot.close()


@pytest.fixture
def copied(first_run: FirstRun, tmp_path: Path) -> Resources:
    """The cache that the first run left, to be spoiled."""
    shutil.copytree(first_run.resources.model_cache, tmp_path / "cache")
    return resources_in(tmp_path)


def engine_of(resources: Resources, name: str) -> Path:
    """The directory of an engine that was built."""
    (path,) = (path for path in (resources.model_cache / "engines").glob(f"*/{name}/*") if path.is_dir())
    return path


def test_the_reference_serves_until_a_child_has_built_something_better(first_run: FirstRun) -> None:
    assert first_run.meanwhile.startswith("PyTorch")
    assert "being built" in first_run.reason
    assert first_run.slot.info.runtime == "Compiled"


def test_the_outputs_before_and_after_the_swap_agree(first_run: FirstRun) -> None:
    before, after = first_run.outputs
    assert before.shape == (2, 48)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_what_takes_over_is_prepared_while_the_other_serves(first_run: FirstRun) -> None:
    assert first_run.prepared == (("Compiled", first_run.meanwhile),)


def test_the_reference_answers_beside_what_serves(first_run: FirstRun, copied: Resources) -> None:
    reference = first_run.slot.reference()
    assert reference is not None
    np.testing.assert_array_equal(vectors(reference, INPUTS), first_run.outputs[0])
    assert slot_of(copied, TorchCpu()).reference() is None


def test_a_runtime_that_raises_while_building_is_refused_with_its_own_words(first_run: FirstRun) -> None:
    assert "aten::frobnicate is not supported" in refusal_of(first_run.slot, "Raising").reason
    assert [path.name for path in engine_of(first_run.resources, "raising").iterdir() if path.suffix != ".json"] == []


def test_a_runtime_that_is_missing_is_named_with_the_install_command(first_run: FirstRun) -> None:
    assert refusal_of(first_run.slot, "Missing").remedy == "pip install 'reverie-media[missing]'"


def test_the_report_says_what_serves_and_what_does_not(first_run: FirstRun) -> None:
    report = first_run.slot.report(16)
    assert (report.stage, report.model, report.runtime, report.precision) == (
        "embedding:tiny",
        "tiny",
        "Compiled",
        "fp16",
    )
    assert [refusal.runtime for refusal in report.refused] == ["Missing", "Raising"]


def test_engines_are_private(first_run: FirstRun) -> None:
    engine = engine_of(first_run.resources, "compiled")
    root = first_run.resources.model_cache / "engines"
    for path in (engine, engine.parent, engine.parent.parent, root):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_next_start_opens_what_was_built_and_judges_nothing(copied: Resources) -> None:
    slot = slot_of(copied, Missing(), Raising(), Compiled(), TorchCpu())
    assert slot.info.runtime == "Compiled"
    assert not slot.building
    assert "frobnicate" in refusal_of(slot, "Raising").reason


def test_a_runtime_that_is_given_up_gives_way_to_the_next(copied: Resources) -> None:
    slot = slot_of(copied, Compiled(), TorchCpu())
    compiled = vectors(slot, INPUTS)
    assert slot.degrade("no memory for a single photo")
    assert slot.info.runtime.startswith("PyTorch")
    assert "no memory for a single photo" in refusal_of(slot, "Compiled").reason
    np.testing.assert_allclose(vectors(slot, INPUTS), compiled, rtol=1e-4, atol=1e-5)
    assert not slot.degrade("there is nothing below the reference")
    assert vectors(slot, INPUTS).shape == (2, 48)


def test_damage_and_a_killed_build_are_mended_by_the_next_start(copied: Resources, samples: GateSamples) -> None:
    engine = engine_of(copied, "compiled") / "engine.pt2"
    engine.write_bytes(engine.read_bytes()[:-1] + b"?")
    (copied.models / "kill").touch()
    slot = slot_of(copied, Compiled(), TorchCpu(), samples=samples)
    assert slot.wait(BUILD_SECONDS)
    assert slot.info.runtime.startswith("PyTorch")
    assert "ended by signal 9" in refusal_of(slot, "Compiled").reason
    assert [path.name for path in engine.parent.parent.iterdir()] == [".lock"]

    (copied.models / "kill").unlink()
    again = slot_of(copied, Compiled(), TorchCpu(), samples=samples)
    assert again.wait(BUILD_SECONDS)
    assert again.info.runtime == "Compiled"
    assert not engine.read_bytes().endswith(b"?")


def test_an_engine_that_others_may_change_is_not_loaded(copied: Resources) -> None:
    engine_of(copied, "compiled").parent.chmod(0o770)
    slot = slot_of(copied, Compiled(), TorchCpu())
    assert slot.info.runtime.startswith("PyTorch")
    refusal = refusal_of(slot, "Compiled")
    assert "is open to other users" in refusal.reason
    assert refusal.remedy.endswith(f"rm -r {engine_of(copied, 'compiled').parent}")


def test_an_engine_of_another_user_is_not_loaded(copied: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    myself = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: myself + 1)
    slot = slot_of(copied, Compiled(), TorchCpu())
    assert slot.info.runtime.startswith("PyTorch")
    assert f"belongs to the user with the number {myself}" in refusal_of(slot, "Compiled").reason


def test_an_engine_under_which_the_device_failed_is_avoided(copied: Resources) -> None:
    again = dataclasses.replace(copied, policy=RunPolicy(avoid=("Compiled fp16",)))
    slot = slot_of(again, Compiled(), TorchCpu())
    assert slot.info.runtime.startswith("PyTorch")
    assert not slot.building
    assert "device failed" in refusal_of(slot, "Compiled").reason


def test_another_fingerprint_is_another_engine(copied: Resources) -> None:
    (copied.models / "wait").touch()
    slot = slot_of(
        copied, Compiled(), TorchCpu(), samples=[INPUTS[0][0].astype(np.uint8)], ref=NetworkRef(FACTORY, ("hot",))
    )
    assert slot.info.runtime.startswith("PyTorch")
    assert slot.building
    slot.close()
    assert not slot.building


def test_without_a_reference_nothing_serves_before_it_has_passed(resources: Resources, samples: GateSamples) -> None:
    with pytest.raises(ModelError, match="Nothing can run tiny/plain") as error:
        slot_of(resources, Missing(), Raising(), samples=samples)
    assert "its library is not installed" in error.value.title
    assert "frobnicate" in error.value.title


def test_every_runtime_is_judged_on_demand(copied: Resources, samples: GateSamples) -> None:
    missing, raising, compiled = judge_all(
        REF, resources=copied, samples=lambda: samples, runtimes=(Missing(), Raising(), Compiled(), TorchCpu())
    )
    assert (missing.verdict, missing.remedy) == (None, "pip install 'reverie-media[missing]'")
    assert "frobnicate" in raising.reason
    assert raising.items_per_second is None
    assert compiled.verdict is not None
    assert compiled.reason == ""
    assert compiled.items_per_second is not None
    assert compiled.items_per_second > 0
    assert (compiled.samples, compiled.real_samples) == (len(samples), samples.real)


def test_an_engine_that_fails_on_other_samples_serves_no_more(copied: Resources, samples: GateSamples) -> None:
    (compiled,) = judge_all(REF, resources=copied, samples=lambda: [samples[0]] * 12, runtimes=(Compiled(),))
    assert "nothing can be proven" in compiled.reason
    slot = slot_of(copied, Compiled(), TorchCpu())
    assert slot.info.runtime.startswith("PyTorch")
    assert "nothing can be proven" in refusal_of(slot, "Compiled").reason
