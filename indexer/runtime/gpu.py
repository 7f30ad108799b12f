"""What NVIDIA GPUs are doing, as their driver's management library (NVML) says.

The library is opened for each reading and closed after it: an open handle, or being asked while nothing runs, can keep
a card awake. Ask only while there is work.
"""

# ruff: noqa: N802 - the names are those of the library

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Nvml(Protocol):
    """The part of nvidia-ml-py (module `pynvml`) that is used here. Sizes are bytes, power milliwatts."""

    NVMLError: type[Exception]
    NVML_TEMPERATURE_GPU: int

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetName(self, handle: Any) -> str: ...
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...
    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...
    def nvmlDeviceGetPowerManagementLimit(self, handle: Any) -> int: ...
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any) -> Sequence[Any]: ...


def load_nvml() -> Nvml:
    """The real library. Raises ImportError if nvidia-ml-py is not installed."""
    module: Any = importlib.import_module("pynvml")
    library: Nvml = module
    return library


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One card at one moment. What a card does not tell is None: many laptops keep their power to themselves."""

    name: str
    """"NVIDIA GeForce RTX 2080 Ti"."""
    uuid: str
    """"GPU-5ac6...": what CUDA_VISIBLE_DEVICES may name it by."""
    utilisation: float | None
    """0 to 1: the share of the last moments in which something ran."""
    memory_used: int | None
    """Bytes, of all programs together."""
    memory_total: int | None
    celsius: float | None
    watts: float | None
    watts_limit: float | None
    """What the card holds itself to."""
    processes: Mapping[int, int]
    """Process id to bytes of the card's memory, for those that the driver tells."""


class GpuMonitor:
    """Reads the cards of this machine, in the driver's order (that of the PCI bus).

    `load` gives the library; where it or the driver is missing, there are no cards, and that is no error.
    """

    def __init__(self, load: Callable[[], Nvml] = load_nvml) -> None:
        self._load = load

    def devices(self) -> tuple[GpuReading, ...]:
        """Every card, or none on a machine without NVIDIA's driver."""
        try:
            nvml = self._load()
        except ImportError:
            return ()
        try:
            nvml.nvmlInit()
        except nvml.NVMLError:
            return ()
        try:
            return tuple(_reading(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        except nvml.NVMLError:
            return ()  # the driver was unloaded, or a card fell off the bus, while we asked
        finally:
            _told(nvml, nvml.nvmlShutdown)


def _reading(nvml: Nvml, index: int) -> GpuReading:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    rates = _told(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    memory = _told(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    processes = _told(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return GpuReading(
        name=nvml.nvmlDeviceGetName(handle),
        uuid=nvml.nvmlDeviceGetUUID(handle),
        utilisation=None if rates is None else rates.gpu / 100,
        memory_used=None if memory is None else int(memory.used),
        memory_total=None if memory is None else int(memory.total),
        celsius=_told(nvml, lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
        watts=_told(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        watts_limit=_told(nvml, lambda: nvml.nvmlDeviceGetPowerManagementLimit(handle) / 1000),
        processes={one.pid: one.usedGpuMemory for one in processes or () if one.usedGpuMemory is not None},
    )


def _told(nvml: Nvml, ask: Callable[[], _T]) -> _T | None:
    """An answer; None where the card or the driver does not have it."""
    try:
        return ask()
    except nvml.NVMLError:
        return None
