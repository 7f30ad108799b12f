"""What is known of the GPUs, through a library that answers as NVML does on machines that are not at hand."""

# ruff: noqa: N802 - the names are those of the library

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from indexer.runtime.devices import cards_of, devices_for, visible_cards
from indexer.runtime.gpu import GpuMonitor, GpuReading, Nvml

PROJECT = Path(__file__).resolve().parents[3]

_T = TypeVar("_T")


class ScriptedError(Exception):
    pass


class ScriptedNvml:
    """Two cards in a machine: one that tells everything, one (of a laptop) that keeps half of it to itself."""

    NVMLError: type[Exception] = ScriptedError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *, driver: bool = True, falls_off: bool = False) -> None:
        self.driver, self.falls_off = driver, falls_off
        self.open = 0
        self.opened = 0

    def nvmlInit(self) -> None:
        if not self.driver:
            raise ScriptedError("Driver Not Loaded")
        self.open += 1
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        assert self.open
        if self.falls_off and index == 1:
            raise ScriptedError("GPU is lost")
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return ("NVIDIA GeForce RTX 2080 Ti", "NVIDIA GeForce MX150")[handle]

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return ("GPU-aaaa1111", "GPU-bbbb2222")[handle]

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=(87, 0)[handle], memory=30)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=(11 << 30, 2 << 30)[handle], free=0, used=(5 << 30, 1 << 20)[handle])

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return (71, 40)[handle]

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return self._only_the_first(handle, 201_500)

    def nvmlDeviceGetPowerManagementLimit(self, handle: int) -> int:
        return self._only_the_first(handle, 250_000)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> Sequence[Any]:
        processes = [SimpleNamespace(pid=10, usedGpuMemory=3 << 30), SimpleNamespace(pid=11, usedGpuMemory=None)]
        return self._only_the_first(handle, processes)

    def _only_the_first(self, handle: int, answer: _T) -> _T:
        if handle:
            raise ScriptedError("Not Supported")
        return answer


def test_every_card_is_read_in_plain_units_and_what_it_does_not_tell_is_unknown() -> None:
    library = ScriptedNvml()
    ti, laptop = GpuMonitor(lambda: library).devices()
    assert (ti.name, ti.uuid, ti.utilisation) == ("NVIDIA GeForce RTX 2080 Ti", "GPU-aaaa1111", 0.87)
    assert (ti.memory_used, ti.memory_total) == (5 << 30, 11 << 30)
    assert (ti.celsius, ti.watts, ti.watts_limit) == (71, 201.5, 250)
    assert ti.processes == {10: 3 << 30}
    assert (laptop.celsius, laptop.watts, laptop.watts_limit, laptop.processes) == (40, None, None, {})


def test_the_library_is_not_held_open_between_readings() -> None:
    library = ScriptedNvml()
    monitor = GpuMonitor(lambda: library)
    assert library.opened == 0
    monitor.devices()
    monitor.devices()
    assert (library.opened, library.open) == (2, 0)


def no_library() -> Nvml:
    raise ImportError("No module named 'pynvml'")


def test_without_library_driver_or_card_there_is_nothing_and_no_error() -> None:
    assert GpuMonitor(no_library).devices() == ()
    assert GpuMonitor(lambda: ScriptedNvml(driver=False)).devices() == ()
    lost = ScriptedNvml(falls_off=True)
    assert GpuMonitor(lambda: lost).devices() == ()
    assert lost.open == 0


def test_the_real_library_of_this_machine_can_be_asked_whether_or_not_it_has_a_card() -> None:
    driver = Path("/proc/driver/nvidia/version").exists()
    cards = GpuMonitor().devices()
    assert bool(cards) == driver
    assert all(card.name and card.uuid for card in cards)


@pytest.fixture
def cards() -> tuple[GpuReading, ...]:
    library = ScriptedNvml()
    return GpuMonitor(lambda: library).devices()


def test_work_is_spread_over_all_cards_only_if_that_is_wanted(cards: tuple[GpuReading, ...]) -> None:
    assert devices_for("auto", use_multi_gpu=True, cards=cards, environment={}) == ("cuda:0", "cuda:1")
    assert devices_for("auto", use_multi_gpu=False, cards=cards, environment={}) == ("auto",)
    assert devices_for("cuda:1", use_multi_gpu=True, cards=cards, environment={}) == ("cuda:1",)
    assert devices_for("cpu", use_multi_gpu=True, cards=cards, environment={}) == ("cpu",)
    assert devices_for("auto", use_multi_gpu=True, cards=cards[:1], environment={}) == ("auto",)
    assert devices_for("auto", use_multi_gpu=True, cards=(), environment={}) == ("auto",)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("1", ["MX150"]),
        ("1,0", ["MX150", "RTX 2080 Ti"]),
        ("GPU-bbbb", ["MX150"]),
        ("0,7,1", ["RTX 2080 Ti"]),
        ("0, 1", ["RTX 2080 Ti", "MX150"]),
        ("0,0", ["RTX 2080 Ti"]),
        ("GPU-", []),
        ("-1", []),
        ("", []),
    ],
)
def test_cards_that_the_environment_hides_are_not_used(
    cards: tuple[GpuReading, ...], listed: str, names: list[str]
) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": listed}
    visible = visible_cards(cards, environment)
    assert [card.name.removeprefix("NVIDIA GeForce ") for card in visible] == names
    devices = devices_for("auto", use_multi_gpu=True, cards=cards, environment=environment)
    assert len(devices) == max(1, len(names))
    assert [card for device in devices for card in cards_of(device, cards, environment)] == list(visible)


def test_a_worker_on_the_cpu_uses_no_card(cards: tuple[GpuReading, ...]) -> None:
    assert cards_of("cpu", cards, {}) == ()
    assert cards_of("cuda", cards, {}) == cards[:1]
    assert cards_of("cuda:5", cards, {}) == ()


def test_asking_for_the_cards_loads_no_pytorch() -> None:
    script = (
        "import sys\nfrom indexer.runtime.gpu import GpuMonitor\nimport indexer.runtime.devices\n"
        "GpuMonitor().devices()\nprint(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60
    )
    assert finished.stdout.strip() == "[]"
