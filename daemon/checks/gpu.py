"""Why a graphics card is used or not: the card, its driver, and the libraries that each kind of network needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from config.settings import Settings
from daemon.checks import Check, Level
from daemon.checks.cuda_probe import Found
from indexer.runtime.devices import PCI_ORDER, visible_cards
from indexer.runtime.gpu import GpuMonitor
from indexer.runtime.kernels import has_kernels, no_kernels

PROBE_SECONDS = 120.0
"""PyTorch takes several seconds to load; a broken driver may never answer."""
PCI = Path("/sys/bus/pci/devices")
_NVIDIA = "0x10de"
_DISPLAY = "0x03"
"""How the class of a graphics card begins (PCI Code and ID Assignment Specification)."""


def check_gpu(settings: Settings) -> Iterator[Check]:
    """Whether a graphics card does the work, and if not, why."""
    present = GpuMonitor().devices()
    cards = tuple(card.name for card in present)
    visible = tuple(card.name for card in visible_cards(present, os.environ))
    if not cards and has_nvidia_card(PCI):
        yield Check(
            "GPU",
            Level.WARNING,
            "an NVIDIA card is here, but no driver of NVIDIA's answers: everything runs on the CPU.",
            "Install the driver until `nvidia-smi` lists the card; give a container the card (`--gpus all`).",
        )
    elif not cards:
        yield Check("GPU", Level.OK, "no NVIDIA card was found; everything runs on the CPU")
    elif settings.analysis.ml_models.device == "cpu":
        names = " and ".join(cards)
        yield Check(
            "GPU",
            Level.OK,
            f"{names} is not used: the settings say `analysis.ml_models.device: cpu`",
            "Set it to auto.",
        )
    elif not visible:
        yield Check(
            "GPU",
            Level.WARNING,
            f"{' and '.join(cards)} is hidden by CUDA_VISIBLE_DEVICES: everything runs on the CPU.",
            "Unset CUDA_VISIBLE_DEVICES.",
        )
    else:
        yield from findings(visible, probe())


def findings(cards: tuple[str, ...], found: Found | None) -> Iterator[Check]:
    """What follows for each kind of network. `found`: None if the libraries could not be asked."""
    if found is None:
        yield Check(
            "GPU",
            Level.WARNING,
            f"{' and '.join(cards)}: PyTorch did not answer when it was asked for the card.",
            "Look at the kernel's log (`journalctl -k`), and update the driver.",
        )
        return
    yield from _networks(cards, found)
    yield from _speech(found)
    if found.tensorrt is None:
        fix = "pip install 'reverie-media[tensorrt]' (gigabytes; see docs/install.md)"
        yield Check("TensorRT", Level.OK, "not installed: networks run in mixed precision instead", fix)
    else:
        yield Check(
            "TensorRT", Level.OK, f"torch-tensorrt {found.tensorrt}: used for each network that passes the check"
        )


def _networks(cards: tuple[str, ...], found: Found) -> Iterator[Check]:
    named = " and ".join(cards)
    if found.cuda is None:
        yield Check(
            "GPU",
            Level.WARNING,
            f"{named}: PyTorch {found.torch} is built for the CPU, so the networks run there.",
            f"pip install --force-reinstall torch=={found.torch}",
        )
        return
    if not found.capabilities:
        why = found.reason or "it does not say why"
        yield Check(
            "GPU",
            Level.WARNING,
            f"{named}: PyTorch {found.torch} for CUDA {found.cuda} cannot use it: {why}.",
            f"Update the driver to one for CUDA {found.cuda} (`nvidia-smi` shows which it has); "
            "CUDA_VISIBLE_DEVICES must not hide the card.",
        )
        return
    for name, (major, minor) in zip(cards, found.capabilities, strict=False):
        if has_kernels((major, minor), found.architectures):
            what = f"{name}, compute capability {major}.{minor}: PyTorch {found.torch} for CUDA {found.cuda} can use it"
            yield Check("GPU", Level.OK, what, "`reverie status` says on what each network runs, and why.")
        else:
            reason, fix = no_kernels(found.torch, (major, minor))
            yield Check("GPU", Level.WARNING, f"{name}: {reason} The networks run on the CPU.", fix)


def _speech(found: Found) -> Iterator[Check]:
    if found.speech_cards == 0:
        yield Check(
            "GPU for speech", Level.WARNING, "CTranslate2 finds no card: speech runs on the CPU.", "Update the driver."
        )
    elif not found.cublas:
        yield Check(
            "GPU for speech",
            Level.WARNING,
            "cuBLAS 12 is not installed, which CTranslate2 needs on a card: speech runs on the CPU.",
            "pip install nvidia-cublas-cu12",
        )
    else:
        yield Check("GPU for speech", Level.OK, "cuBLAS 12 is here; one trial decides when the model is loaded")


def probe() -> Found | None:
    """Ask the libraries in a child process, because a broken driver may crash or hang the process that asks it.

    Returns None if the child fails or does not answer in time.
    """
    command = [sys.executable, "-P", "-m", "daemon.checks.cuda_probe"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=True,
            env=PCI_ORDER | os.environ,  # the cards in NVML's order, as the workers see them
        )
        return msgspec.json.decode(done.stdout, type=Found)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return None


def has_nvidia_card(devices: Path) -> bool:
    """Whether the bus has a graphics card of NVIDIA's, driver or not."""
    for device in devices.glob("*"):
        try:
            maker, kind = ((device / name).read_text("ascii").strip() for name in ("vendor", "class"))
        except (OSError, UnicodeDecodeError):
            continue
        if maker == _NVIDIA and kind.startswith(_DISPLAY):
            return True
    return False
