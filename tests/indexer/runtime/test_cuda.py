"""What the CUDA runtimes do that a card alone would show: seen on a pretended one."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from config.errors import ModelError, OutOfDeviceMemory
from indexer.models.resources import Resources, RunPolicy
from indexer.runtime import cuda
from indexer.runtime.batch_sizes import BatchSizes
from indexer.runtime.batching import BatchRunner
from indexer.runtime.engines import EngineInfo
from indexer.runtime.failures import device_errors
from indexer.runtime.gate import judge
from indexer.runtime.network import Arrays
from indexer.runtime.owned import OwnedEngine
from indexer.runtime.samples import GateSamples
from indexer.runtime.torch_engine import TorchEngine
from tests.indexer.runtime.planted import Loaded, tiny_network
from tests.indexer.runtime.pretend_card import Cards, pretend


@pytest.fixture
def cards(tmp_path: Path) -> Iterator[Cards]:
    with pytest.MonkeyPatch.context() as patch:
        yield pretend(patch, tmp_path)


class Noting:
    """An engine that notes the threads it is made and called in."""

    info = EngineInfo("Noting", "CPU", "fp32")

    def __init__(self) -> None:
        self.threads = {threading.get_ident()}

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        self.threads.add(threading.get_ident())
        if len(inputs[0]) > 2:
            raise OutOfDeviceMemory("Too large.", "Take less.")
        return inputs


def test_one_thread_owns_a_compiled_engine_whoever_calls_it_and_ends_with_it() -> None:
    made: list[Noting] = []

    def make() -> Noting:
        made.append(Noting())
        return made[0]

    engine = OwnedEngine(make)
    [inside] = made
    callers = [threading.Thread(target=engine, args=(np.zeros(1),)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(inside.threads) == 1
    assert inside.threads.isdisjoint({threading.get_ident(), *(caller.ident for caller in callers)})
    with pytest.raises(OutOfDeviceMemory):
        engine(np.zeros(3))
    [owner] = inside.threads
    thread = next(one for one in threading.enumerate() if one.ident == owner)
    del engine
    thread.join(30)
    assert not thread.is_alive()


def test_only_what_is_compiled_has_an_owner(cards: Cards, resources: Resources) -> None:
    del cards
    network = tiny_network("plain")
    assert isinstance(cuda.CudaCompiled().open(network, Path(), resources=resources), OwnedEngine)
    assert isinstance(cuda.CudaFp16().open(network, Path(), resources=resources), TorchEngine)


def test_everything_goes_to_the_card_that_the_settings_name(
    cards: Cards, resources: Resources, samples: GateSamples
) -> None:
    second = dataclasses.replace(resources, policy=RunPolicy(device="cuda:1"))
    network, seen = tiny_network("plain"), []

    class Seeing(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(cards.current)
            return pixels.mean(dim=(2, 3))

    network.load = Seeing  # type: ignore[method-assign]
    cuda.CudaFp16().open(network, Path(), resources=second)(*network.prepare(samples))
    assert set(cards.placed) == {1}
    assert set(seen) == {1}  # CUDA graphs and TensorRT's engines run on the current card
    assert cards.current == 0


def test_memory_is_given_back_after_measuring_and_after_a_batch_that_did_not_fit(cards: Cards, tmp_path: Path) -> None:
    class Small(Noting):
        def degrade(self, reason: str) -> bool:
            del reason
            return False

    sizes = BatchSizes(model_key="a", cache=tmp_path, fixed=None, example=lambda count: (np.zeros(count),))
    runner = BatchRunner(Small(), sizes)
    measured = cards.emptied
    assert measured > 0
    sizes.remember(Small.info, 8)
    runner = BatchRunner(Small(), sizes)
    [rows] = runner.run(np.arange(5))
    np.testing.assert_array_equal(rows, np.arange(5))
    assert cards.emptied > measured


def test_a_card_that_pytorch_has_no_code_for_is_no_lost_device(
    resources: Resources, samples: GateSamples, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = torch.AcceleratorError("CUDA error: no kernel image is available for execution on the device")
    with pytest.raises(ModelError, match="no code for Pascal") as caught, device_errors("Pascal"):
        raise raised
    assert type(caught.value) is ModelError

    class Old(Loaded):
        def broken(self, module: torch.nn.Module) -> torch.nn.Module:
            def forward(pixels: torch.Tensor) -> torch.Tensor:
                raise raised

            monkeypatch.setattr(module, "forward", forward)
            return module

    # A verdict, which is kept: no other start builds it again.
    report = judge(Old(), tiny_network("plain"), Path(), resources=resources, samples=samples, real=0)
    assert "has no code for" in str(report.verdict.reason)
