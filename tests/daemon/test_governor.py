"""Work pauses at the limits of the settings, with a reason, and goes on once there is a margin again."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable, Sequence

import pytest

from daemon.governor import SAMPLE_SECONDS, STALE_SECONDS, Governor, GpuLimits
from indexer.runtime.gpu import GpuReading
from tests.daemon.clock import Clock

CARD = GpuReading(
    name="NVIDIA GeForce RTX 2080 Ti",
    uuid="GPU-1",
    utilisation=0.5,
    memory_used=0,
    memory_total=11 << 30,
    celsius=60,
    watts=100,
    watts_limit=250,
    processes={},
)


class Machine:
    """Cards whose state a test sets, and how often they were looked at."""

    def __init__(self, *cards: GpuReading) -> None:
        self.cards = list(cards)
        self.looks = 0

    def __call__(self) -> Sequence[GpuReading]:
        self.looks += 1
        return self.cards

    def set(self, number: int = 0, **values: object) -> None:
        self.cards[number] = dataclasses.replace(self.cards[number], **values)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine() -> Machine:
    return Machine(CARD)


@pytest.fixture
def govern(machine: Machine, clock: Clock) -> Callable[..., Governor]:
    def make(
        limits: GpuLimits,
        *,
        devices: Sequence[str] = ("auto",),
        workers: Sequence[int] = (),
        visible: str | None = None,
    ) -> Governor:
        environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        return Governor(machine, limits, devices=devices, environment=environment, workers=lambda: workers, clock=clock)

    return make


def later(governor: Governor, clock: Clock) -> str | None:
    """What it says at its next look at the cards."""
    clock.ahead += SAMPLE_SECONDS + 0.1
    return governor.pause()


def test_a_hot_card_pauses_the_work_until_it_is_well_below_the_limit(
    govern: Callable[..., Governor], machine: Machine, clock: Clock
) -> None:
    governor = govern(GpuLimits(max_celsius=80))
    assert governor.pause() is None
    machine.set(celsius=81)
    assert later(governor, clock) == "NVIDIA GeForce RTX 2080 Ti has 81 °C; gpu.max_celsius is 80"
    machine.set(celsius=78)
    assert later(governor, clock) is not None
    machine.set(celsius=75)
    assert later(governor, clock) is None
    machine.set(celsius=79)
    assert later(governor, clock) is None


def test_too_much_power_pauses_the_work(govern: Callable[..., Governor], machine: Machine, clock: Clock) -> None:
    governor = govern(GpuLimits(max_watts=200))
    machine.set(watts=210)
    assert governor.pause() == "NVIDIA GeForce RTX 2080 Ti takes 210 W; gpu.max_watts is 200"
    machine.set(watts=190)
    assert later(governor, clock) is not None
    machine.set(watts=170)
    assert later(governor, clock) is None
    machine.set(watts=None)
    assert later(governor, clock) is None


def test_memory_that_other_programs_take_pauses_the_work_and_our_own_does_not(
    govern: Callable[..., Governor], machine: Machine, clock: Clock
) -> None:
    # Ours is a child of this process, as an engine is built in a child of the worker.
    with subprocess.Popen(["sleep", "60"]) as child:
        governor = govern(GpuLimits(memory_bytes=8 << 30), workers=[os.getpid()])
        machine.set(memory_used=8 << 30, processes={child.pid: 6 << 30, 1: 2 << 30})
        assert governor.pause() is None
        machine.set(memory_used=10 << 30, processes={child.pid: 6 << 30, 1: 4 << 30})
        assert later(governor, clock) == (
            "other programs leave 7168 MB of NVIDIA GeForce RTX 2080 Ti's memory; gpu.memory_megabytes is 8192"
        )
        machine.set(memory_used=9 << 30, processes={child.pid: 6 << 30, 1: 3 << 30})
        assert later(governor, clock) is not None  # just enough is not enough yet
        machine.set(memory_used=8 << 30, processes={child.pid: 6 << 30, 1: 2 << 30})
        assert later(governor, clock) is None
        child.kill()


def test_where_the_driver_does_not_know_our_processes_our_own_memory_does_not_pause_us(
    govern: Callable[..., Governor], machine: Machine, clock: Clock
) -> None:
    machine.set(memory_used=9 << 30, processes={})
    assert govern(GpuLimits(memory_bytes=8 << 30), workers=[os.getpid()]).pause() is None
    assert govern(GpuLimits(memory_bytes=8 << 30), workers=[]).pause() is not None


def test_without_limits_nothing_pauses(govern: Callable[..., Governor], machine: Machine) -> None:
    machine.set(celsius=120, watts=900, memory_used=11 << 30)
    assert govern(GpuLimits()).pause() is None


def test_a_machine_without_cards_is_never_paused(clock: Clock) -> None:
    limits = GpuLimits(max_celsius=40, max_watts=10, memory_bytes=1 << 30)
    governor = Governor(Machine(), limits, devices=("auto",), environment={}, workers=list, clock=clock)
    assert governor.pause() is None
    assert governor.readings == ()


def test_only_the_cards_that_work_runs_on_count(
    govern: Callable[..., Governor], machine: Machine, clock: Clock
) -> None:
    machine.cards.append(dataclasses.replace(CARD, name="the other", uuid="GPU-2", celsius=99))
    limits = GpuLimits(max_celsius=80)
    assert govern(limits, devices=("cpu",)).pause() is None
    assert govern(limits, devices=("cuda",)).pause() is None
    assert govern(limits, devices=("cuda:0", "cuda:1")).pause() == "the other has 99 °C; gpu.max_celsius is 80"
    hidden = govern(limits, visible="1")
    assert hidden.pause() == "the other has 99 °C; gpu.max_celsius is 80"
    assert [card.name for card in hidden.readings] == ["the other"]


def test_the_cards_are_looked_at_only_when_asked_and_not_too_often(
    govern: Callable[..., Governor], machine: Machine, clock: Clock
) -> None:
    governor = govern(GpuLimits(max_celsius=80))
    assert (machine.looks, governor.readings) == (0, ())
    for _ in range(20):
        governor.pause()
    assert machine.looks == 1
    later(governor, clock)
    assert machine.looks == 2
    assert [card.celsius for card in governor.readings] == [60]
    clock.ahead += STALE_SECONDS
    assert governor.readings == ()  # nobody asked for a while: nothing is known about now
    assert machine.looks == 2
