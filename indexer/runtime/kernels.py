"""Whether a build of PyTorch has code for a card: told before anything is built that could never run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

OLD_CARDS: Final = (7, 5)
"""The compute capability below which CUDA 13 has no code: Maxwell, Pascal and Volta."""
_ARCH: Final = re.compile(r"(sm|compute)_(\d+)(\d)[af]?")


def has_kernels(capability: tuple[int, int], architectures: Iterable[str]) -> bool:
    """Whether one of `torch.cuda.get_arch_list()` ("sm_86", "compute_120") serves a card of this compute capability.

    Machine code runs on cards of the same major number and at least its minor one; intermediate code (PTX) on all that
    are not older (CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility").
    """
    for architecture in architectures:
        parts = _ARCH.fullmatch(architecture)
        if parts is None:
            continue
        kind, major, minor = parts[1], int(parts[2]), int(parts[3])
        if kind == "compute" and (major, minor) <= capability:
            return True
        if kind == "sm" and major == capability[0] and minor <= capability[1]:
            return True
    return False


def no_kernels(version: str, capability: tuple[int, int]) -> tuple[str, str]:
    """What is said of a card that a version of PyTorch ("2.13.0") has no code for, and what to do about it."""
    reason = f"PyTorch {version} has no code for this card (compute capability {capability[0]}.{capability[1]})."
    if capability < OLD_CARDS:
        # PyTorch's support matrix: cards before Turing are in the builds for CUDA 12.6 alone.
        index = "https://download.pytorch.org/whl/cu126"
        return reason, f"pip install --force-reinstall torch=={version} --index-url {index}"
    return reason, "Take a newer PyTorch: its support matrix (RELEASE.md of PyTorch) names the cards of each."
