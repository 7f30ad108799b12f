"""A network at work: what an engine gets wrong costs the engine, and what a file cannot be blamed for costs no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import DeviceFailed, StageFailed
from indexer.findings import analyse_each
from indexer.models import served
from indexer.models.resources import Resources, RunPolicy
from indexer.models.served import ServedNetwork
from indexer.runtime.engines import Engine, EngineInfo
from indexer.runtime.network import Arrays, NetworkRef
from indexer.runtime.torch_cpu import open_reference
from indexer.stage import Findings
from tests.indexer.runtime.planted import FACTORY, tiny_network

CARD = EngineInfo("Quick", "a card", "fp16")
BRIGHT, DARK = 3.0, 0.5


class Quick:
    """Right, and fast, but for one kind of picture: then it does what a test wants."""

    info = CARD

    def __init__(self, reference: Engine, fault: Callable[[Arrays], Arrays]) -> None:
        self._reference, self._fault = reference, fault

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        right = self._reference(*inputs)
        return self._fault(right) if inputs[0].max() >= BRIGHT else right


class Slot:
    """Serves on one engine until that is given up, then on the reference."""

    def __init__(self, quick: Engine, reference: Engine) -> None:
        self.serving, self._reference = quick, reference
        self.reasons: list[str] = []

    @property
    def info(self) -> EngineInfo:
        return self.serving.info

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        return self.serving(*inputs)

    def reference(self) -> Engine | None:
        return None if self.serving is self._reference else self._reference

    def degrade(self, reason: str) -> bool:
        self.reasons.append(reason)
        self.serving = self._reference
        return True


Make = Callable[[Callable[[Arrays], Arrays]], tuple[ServedNetwork, Slot, Engine]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    resources = Resources(
        models=tmp_path,
        model_cache=tmp_path,
        config_folders=(),
        thumbnails=tmp_path,
        threads=1,
        policy=RunPolicy(batch_size=4),
    )
    reference = open_reference(tiny_network("plain"), threads=1)
    with pytest.MonkeyPatch.context() as patch:

        def network(fault: Callable[[Arrays], Arrays]) -> tuple[ServedNetwork, Slot, Engine]:
            slot = Slot(Quick(reference, fault), reference)
            patch.setattr(served, "obtain_engine", lambda ref, **_: slot)
            ref = NetworkRef(FACTORY, ("plain",))
            return ServedNetwork(ref, stage="embedding:tiny", model="tiny", resources=resources), slot, reference

        yield network


def photos(*levels: float) -> NDArray[np.float32]:
    """Noise, each up to a level of its own."""
    random = np.random.default_rng(2)
    return np.stack([random.uniform(0, 1, (3, 32, 32)) * level for level in levels]).astype(np.float32)


def nan(right: Arrays) -> Arrays:
    return tuple(np.full_like(output, np.nan) for output in right)


def infinite_in_one_place(right: Arrays) -> Arrays:
    wrong = np.array(right[0], np.float32)
    wrong[-1, 0] = np.inf
    return (wrong, *right[1:])


def raises(right: Arrays) -> Arrays:
    raise ZeroDivisionError("what nobody foresaw\nwith a page of detail")


@pytest.mark.parametrize("fault", [nan, infinite_in_one_place, raises])
def test_an_engine_that_fails_where_the_reference_does_not_is_given_up_and_no_photo_suffers(
    fault: Callable[[Arrays], Arrays], make: Make
) -> None:
    network, slot, reference = make(fault)
    easy, hard = photos(DARK, DARK), photos(DARK, DARK, DARK, DARK, DARK, BRIGHT * 1.01)
    np.testing.assert_array_equal(network(easy)[0], reference(easy)[0])
    assert slot.reasons == []
    found, expected = (np.asarray(engine(hard)[0], np.float32) for engine in (network, reference))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    [reason] = slot.reasons
    assert "\n" not in reason
    assert "not finite" in reason or "ZeroDivisionError: what nobody foresaw" in reason
    assert slot.info.device == "CPU"


def test_a_photo_that_the_reference_fails_on_as_well_is_blamed_alone_and_the_engine_stays(make: Make) -> None:
    network, slot, _ = make(nan)
    spoiled = photos(DARK, DARK, DARK)
    spoiled[1] = np.nan

    def analyse(batch: Any) -> list[Findings]:
        return [Findings() for _ in network(np.stack(batch))[0]]

    outcomes = analyse_each("embedding:tiny", analyse, list(spoiled))
    assert [isinstance(outcome, StageFailed) for outcome in outcomes] == [False, True, False]
    assert "not finite" in str(outcomes[1])
    assert slot.reasons == []
    assert slot.info == CARD


def test_a_lost_device_is_left_to_the_worker(make: Make) -> None:
    def lost(right: Arrays) -> Arrays:
        del right
        raise DeviceFailed("The device is lost.", "Start anew.")

    network, slot, _ = make(lost)
    with pytest.raises(DeviceFailed):
        network(photos(BRIGHT * 1.01))
    assert slot.reasons == []
