"""NVIDIA cards that PyTorch sees and that compute on the processor: all of the CUDA runtimes runs but the kernels.

A tensor that is sent to a card stays where it is, and it is noted what only a card would notice: which one was meant,
and which one was current.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from indexer.runtime import cuda

CARDS = 2
_CPU = torch.device("cpu")


class Cards:
    """What was asked of them."""

    def __init__(self) -> None:
        self.current = 0
        self.emptied = 0
        """How often PyTorch's memory was given back."""
        self.placed: list[int] = []
        """The number of the card at each placing of a tensor or module."""
        self.compiled: list[str] = []
        """The modes in which `torch.compile` was called."""

    def taken(self, device: Any) -> Any:
        """The processor in a card's place. A card without a number is the current one."""
        if device is None or torch.device(device).type != "cuda":
            return device
        index = self._number(device)
        assert index < CARDS
        self.placed.append(index)
        return _CPU

    @contextlib.contextmanager
    def select(self, device: Any) -> Iterator[None]:
        """`torch.cuda.device`."""
        before, self.current = self.current, self._number(device)
        try:
            yield
        finally:
            self.current = before

    def _number(self, device: Any) -> int:
        index = torch.device(device).index
        return self.current if index is None else index


class _Stream:
    def __init__(self, device: Any = None) -> None:
        del device

    def wait_stream(self, other: _Stream) -> None:
        del other


def pretend(patch: pytest.MonkeyPatch, folder: Path) -> Cards:
    """Two cards of compute capability 8.9, until the patches are undone."""
    cards = Cards()
    driver = folder / "driver"
    driver.write_text("NVRM version: pretended", encoding="utf-8")
    patch.setattr(cuda, "NVIDIA_DRIVER", driver)
    patch.setattr(torch.version, "cuda", "13.0")
    library: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: CARDS,
        "get_arch_list": lambda: ["sm_80", "sm_89"],
        "get_device_name": lambda device: "Pretended card",
        "get_device_capability": lambda device=None: (8, 9),
        "get_device_properties": lambda device: SimpleNamespace(total_memory=8 << 30, major=8, minor=9),
        "set_per_process_memory_fraction": lambda share, device: None,
        "empty_cache": lambda: setattr(cards, "emptied", cards.emptied + 1),
        "device": cards.select,
        "Stream": _Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "current_stream": lambda device: _Stream(),
    }
    for name, stands_in in library.items():
        patch.setattr(torch.cuda, name, stands_in)
    _stay(patch, torch.Tensor, cards)
    _stay(patch, torch.nn.Module, cards)
    patch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    patch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    autocast: Any = torch.autocast
    compiling: Any = torch.compile
    patch.setattr(torch, "autocast", lambda kind, **options: autocast("cpu" if kind == "cuda" else kind, **options))

    def graph_only(module: Any, *, mode: str, dynamic: bool) -> Any:
        """The capture of the graph, without the minutes that a compiler takes."""
        cards.compiled.append(mode)
        compiled = compiling(module, backend="eager", dynamic=dynamic)

        def run(*inputs: torch.Tensor) -> Any:
            with pytest.MonkeyPatch.context() as hidden:  # the capture would save the state of the card's generators
                hidden.setattr(torch.cuda, "is_available", lambda: False)
                hidden.setattr(torch.cuda, "is_initialized", lambda: False)
                return compiled(*inputs)

        return run

    patch.setattr(torch, "compile", graph_only)
    return cards


def _stay(patch: pytest.MonkeyPatch, kind: Any, cards: Cards) -> None:
    move = kind.to

    def to(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "device" in kwargs:
            kwargs["device"] = cards.taken(kwargs["device"])
        if args and isinstance(args[0], str | torch.device):
            args = (cards.taken(args[0]), *args[1:])
        return move(self, *args, **kwargs)

    patch.setattr(kind, "to", to)
