"""What loading a model takes, besides its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """Which ways of running a network may be tried (config: analysis.ml_models)."""

    device: str = "auto"
    """"auto", "cpu", "cuda" or "cuda:1"."""
    batch_size: int | None = None
    """None: found by measurement."""
    use_tensorrt: bool = True
    tensorrt_precision: str = "fp16"
    """"fp16" or "int8"."""
    enable_amp: bool = True
    cudnn_benchmark: bool = True
    allow_tf32: bool = False
    memory_megabytes: int | None = None
    """Of each GPU, what this process may take; None: what is free."""
    avoid: tuple[str, ...] = ()
    """Runtimes that brought a device into a state from which only a new process recovers: not to be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Where models and their artefacts are, and how networks may run."""

    models: Path
    """Pulled weights, a folder for each model."""
    model_cache: Path
    """What was derived from weights on this machine; may be deleted at any time."""
    config_folders: tuple[Path, ...]
    """Folders that may hold `models.yaml` and `labels/*.txt` of the system and of the user, the strongest last."""
    thumbnails: Path
    """Of the library: real photos for the parity gate."""
    threads: int
    policy: RunPolicy = RunPolicy()
