"""The TensorRT adapter against a stub that behaves as torch-tensorrt's source does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from config.errors import ModelError
from indexer.models.resources import Resources, RunPolicy
from indexer.runtime.gate import judge
from indexer.runtime.network import Arrays, TensorSpec
from indexer.runtime.samples import GateSamples
from indexer.runtime.tensorrt import ENGINE, TensorRTFp16
from indexer.runtime.torch_cpu import open_reference
from tests.indexer.runtime.planted import TinyNetwork, tiny_network, vectors
from tests.indexer.runtime.pretend_card import Cards, pretend
from tests.indexer.runtime.stub_tensorrt import Stub, install


@dataclass(frozen=True)
class Machine:
    cards: Cards
    tensorrt: Stub


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with pytest.MonkeyPatch.context() as patch:
        cards = pretend(patch, tmp_path)
        yield Machine(cards, install(patch, cards))


def on(resources: Resources, device: str) -> Resources:
    return dataclasses.replace(resources, policy=RunPolicy(device=device))


class TwoInputs(TinyNetwork):
    """A picture and the mask of where it is, as DETR takes them."""

    inputs = (*TinyNetwork.inputs, TensorSpec("mask", "int64", (4,)))

    def load(self) -> torch.nn.Module:
        class Masked(torch.nn.Module):
            def __init__(self, picture: torch.nn.Module) -> None:
                super().__init__()
                self.picture = picture

            def forward(self, pixels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
                found: torch.Tensor = self.picture(pixels)
                return found * mask.sum(dim=1, keepdim=True)

        return Masked(super().load()).eval()

    def prepare(self, samples: Any) -> Arrays:
        return (*super().prepare(samples), np.ones((len(samples), 4), np.int64))


@pytest.mark.parametrize(("device", "number"), [("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_an_engine_is_built_for_the_card_that_the_settings_name_and_passes_the_gate(
    device: str, number: int, machine: Machine, *, resources: Resources, samples: GateSamples, tmp_path: Path
) -> None:
    runtime, network, wanted = TensorRTFp16(), tiny_network("plain"), on(resources, device)
    assert runtime.availability(wanted) is None
    folder = tmp_path / "engine"
    folder.mkdir()
    runtime.build(network, folder, resources=wanted, samples=network.prepare(samples), source=None)
    assert machine.tensorrt.devices == [f"cuda:{number}"]
    assert set(machine.cards.placed) == {number}
    assert judge(runtime, network, folder, resources=wanted, samples=samples, real=0).verdict.reason is None


def test_the_engine_is_all_that_a_build_leaves_and_it_computes_in_half_precision(
    machine: Machine, resources: Resources, samples: GateSamples, tmp_path: Path
) -> None:
    runtime, network = TensorRTFp16(), tiny_network("plain")
    inputs = network.prepare(samples)
    folder = tmp_path / "engine"
    folder.mkdir()
    runtime.build(network, folder, resources=resources, samples=inputs, source=None)
    assert [path.name for path in folder.iterdir()] == [ENGINE]
    assert [path.parent for path in machine.tensorrt.timing_caches] == [folder]
    assert machine.tensorrt.tf32 == [False]
    half = vectors(runtime.open(network, folder, resources=resources), inputs)
    exact = vectors(open_reference(network, threads=1), inputs)
    error = np.linalg.norm(half - exact) / np.linalg.norm(exact)
    assert 1e-5 < error < 1e-2  # float32 would leave less, a wrong engine more


@pytest.mark.usefixtures("machine")
def test_a_network_of_two_inputs_takes_batches_of_any_size(
    resources: Resources, samples: GateSamples, tmp_path: Path
) -> None:
    runtime, network = TensorRTFp16(), TwoInputs("plain")
    inputs = network.prepare(samples)
    runtime.build(network, tmp_path, resources=resources, samples=inputs, source=None)
    engine = runtime.open(network, tmp_path, resources=resources)
    for count in (1, 5):
        assert engine(*(array[:count] for array in inputs))[0].shape == (count, 48)


@pytest.mark.usefixtures("machine")
def test_what_is_no_engine_is_said_with_what_to_delete(resources: Resources, tmp_path: Path) -> None:
    (tmp_path / ENGINE).write_bytes(b"not an engine")
    with pytest.raises(ModelError, match="TensorRT cannot load its engine") as error:
        TensorRTFp16().open(tiny_network("plain"), tmp_path, resources=resources)
    assert f"rm -r '{tmp_path}'" in error.value.remedy


@pytest.mark.usefixtures("machine")
def test_twin_cards_have_an_engine_each(resources: Resources) -> None:
    recipes = {TensorRTFp16().recipe(on(resources, device)) for device in ("auto", "cuda:0", "cuda:1")}
    assert len(recipes) == 2
