"""What PyTorch and CTranslate2 say of the graphics cards, as one JSON object on standard output."""

from __future__ import annotations

import ctypes
import importlib.metadata
import sys
import warnings
from typing import Any

import msgspec


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the libraries say."""

    torch: str
    """Its version, without what follows a plus sign."""
    cuda: str | None
    """The CUDA that PyTorch is built for; None: it is built for the CPU."""
    architectures: tuple[str, ...] = ()
    """What PyTorch has code for: "sm_86"."""
    capabilities: tuple[tuple[int, int], ...] = ()
    """Of each card that PyTorch can use; none if it can use none."""
    reason: str = ""
    """Why it can use none."""
    speech_cards: int = 0
    """How many cards CTranslate2 counts."""
    cublas: bool = False
    """Whether cuBLAS 12 can be loaded."""
    tensorrt: str | None = None
    """The version of torch-tensorrt."""


def look() -> Found:
    """Load the libraries and ask them."""
    import ctranslate2  # noqa: PLC0415 - only this process may meet a broken driver
    import torch  # noqa: PLC0415

    reason = ""
    capabilities: tuple[tuple[int, int], ...] = ()
    if torch.version.cuda is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.zeros(1, device="cuda")  # unlike `is_available`, it says why not
            count = torch.cuda.device_count()
            capabilities = tuple(torch.cuda.get_device_capability(index) for index in range(count))
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
    return Found(
        torch=importlib.metadata.version("torch").partition("+")[0],
        cuda=torch.version.cuda,
        architectures=tuple(torch.cuda.get_arch_list()),
        capabilities=capabilities,
        reason=reason,
        speech_cards=_counted(ctranslate2),
        cublas=_has_cublas(),
        tensorrt=_version("torch-tensorrt"),
    )


def _counted(ctranslate2: Any) -> int:
    try:
        return int(ctranslate2.get_cuda_device_count())
    except RuntimeError:
        return 0


def _has_cublas() -> bool:
    from indexer.models.speech_device import load_cublas  # noqa: PLC0415 - loads the models' code

    try:
        load_cublas()
        ctypes.CDLL("libcublas.so.12")  # as CTranslate2 asks for it
    except OSError:
        return False
    return True


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(look()))
