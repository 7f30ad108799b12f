"""Whether the GPUs may be given more work: the limits of the settings, held with a margin before work goes on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.runtime.devices import cards_of
from indexer.runtime.gpu import GpuReading

SAMPLE_SECONDS = 5.0
"""How often the cards are read, at most."""

STALE_SECONDS = 30.0
"""A reading older than this says nothing about now: there was no work, and nobody asked."""

COOLER_CELSIUS = 5
LESS_POWER = 0.9
MORE_MEMORY = 1.05
"""Work that paused at a limit goes on at so much less heat, power, or more room: else it would stop and go all the
time."""

GENERATIONS = 3
"""From a process on the card up to our worker: engines are built in a child of the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuLimits:
    """Beyond these work pauses (config: gpu). None: no limit."""

    max_celsius: int | None = None
    max_watts: int | None = None
    memory_bytes: int | None = None
    """Of each card, what our processes may have."""


class Governor:
    """Reads the cards while there is work, and says when it has to wait.

    Args:
        read: the machine's cards (`GpuMonitor.devices`).
        limits: of the settings.
        devices: what the workers run on: "auto", "cpu", "cuda:1".
        environment: of the workers; CUDA_VISIBLE_DEVICES counts.
        workers: their process ids.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[GpuReading]],
        limits: GpuLimits,
        *,
        devices: Sequence[str],
        environment: Mapping[str, str],
        workers: Callable[[], Collection[int]],
        clock: Callable[[], float],
    ) -> None:
        self._read = read
        self._limits = limits
        self._devices = devices
        self._environment = environment
        self._workers = workers
        self._clock = clock
        self._readings: tuple[GpuReading, ...] = ()
        self._read_at: float | None = None
        self._reason: str | None = None

    @property
    def readings(self) -> tuple[GpuReading, ...]:
        """The cards that the workers use, as last read; none after a while without work."""
        if self._read_at is None or self._clock() - self._read_at > STALE_SECONDS:
            return ()
        return self._readings

    def pause(self) -> str | None:
        """Why no more work may be given out now; None if it may. Ask only when there is work: asking wakes a card."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= SAMPLE_SECONDS:
            self._read_at = now
            self._readings = self._ours(self._read())
            paused = self._reason is not None
            reasons = (self._complaint(card, paused=paused) for card in self._readings)
            self._reason = next((reason for reason in reasons if reason is not None), None)
        return self._reason

    def _ours(self, cards: Sequence[GpuReading]) -> tuple[GpuReading, ...]:
        used = (card for device in self._devices for card in cards_of(device, cards, self._environment))
        return tuple({card.uuid: card for card in used}.values())

    def _complaint(self, card: GpuReading, *, paused: bool) -> str | None:
        """What is beyond its limit; once paused, what is not yet well within it."""
        limits = self._limits
        if limits.max_celsius is not None and card.celsius is not None:
            most = limits.max_celsius - COOLER_CELSIUS * paused
            if card.celsius > most:
                return f"{card.name} has {card.celsius:.0f} °C; gpu.max_celsius is {limits.max_celsius}"
        if limits.max_watts is not None and card.watts is not None:
            watts = limits.max_watts * (LESS_POWER if paused else 1)
            if card.watts > watts:
                return f"{card.name} takes {card.watts:.0f} W; gpu.max_watts is {limits.max_watts}"
        if limits.memory_bytes is not None and card.memory_used is not None and card.memory_total is not None:
            room = card.memory_total - (card.memory_used - self._own_memory(card, limits.memory_bytes))
            if room < limits.memory_bytes * (MORE_MEMORY if paused else 1):
                return (
                    f"other programs leave {room / 2**20:.0f} MB of {card.name}'s memory; "
                    f"gpu.memory_megabytes is {limits.memory_bytes >> 20}"
                )
        return None

    def _own_memory(self, card: GpuReading, budget: int) -> int:
        """Bytes that our processes have of a card."""
        workers = set(self._workers())
        ours = [size for pid, size in card.processes.items() if not workers.isdisjoint(_ancestry(pid))]
        if workers and not ours:
            # In a container the driver may tell the numbers of another namespace, or none: what we have may be ours.
            return min(card.memory_used or 0, budget)
        return sum(ours)


def _ancestry(pid: int) -> list[int]:
    """A process, its parent, and so on."""
    line = [pid]
    while len(line) < GENERATIONS:
        try:
            status = Path(f"/proc/{line[-1]}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        line.append(int(status.rpartition(")")[2].split()[1]))
    return line
