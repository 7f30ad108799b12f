"""`reverie models verify`: every runtime of this machine against the reference, over photos of the library.

This brings PyTorch into the process: it is for the command line, never for the service.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TypedDict

from config.settings import Settings
from daemon.model_report import named
from daemon.setup import policy_of
from indexer.models.listing import load_list
from indexer.models.loading import MODULES
from indexer.models.resources import Resources
from indexer.runtime.network import NetworkRef
from indexer.runtime.samples import gate_samples
from indexer.runtime.verification import RuntimeVerdict, judge_all


class RuntimeJudgement(TypedDict):
    """What one runtime is worth for one network."""

    runtime: str
    precision: str
    passed: bool
    cosine: float | None
    """The lowest of any photo to the reference; None: it was not judged."""
    spread: float | None
    overlap: float | None
    items_per_second: float | None
    speedup: float | None
    """Over the reference."""
    reason: str
    remedy: str


class NetworkJudgement(TypedDict):
    """What every runtime is worth for one network."""

    network: str
    samples: int
    real_samples: int
    runtimes: list[RuntimeJudgement]


def judge(name: str, settings: Settings) -> list[NetworkJudgement]:
    """Judge every network of a profile, or of a model.

    Raises UnknownName, ModelError if something is not installed. Takes as long as all the builds.
    """
    paths = settings.paths
    samples = gate_samples(paths.thumbnails)
    resources = Resources(
        models=paths.models,
        model_cache=paths.model_cache,
        config_folders=paths.config_folders,
        thumbnails=paths.thumbnails,
        threads=settings.processing.workers,
        policy=policy_of(settings),
    )
    judgements: list[NetworkJudgement] = []
    for ref in networks_of(name, resources):
        verdicts = judge_all(ref, resources=resources, samples=lambda: samples)
        judgements.append(
            {
                "network": ref.resolve().name,
                "samples": len(samples),
                "real_samples": samples.real,
                "runtimes": [_judgement(verdict) for verdict in verdicts],
            }
        )
    return judgements


def networks_of(name: str, resources: Resources) -> Iterator[NetworkRef]:
    """The networks of a profile's models, or of a model. Raises UnknownName, ModelError if one is not installed."""
    for entry in named(name, load_list(resources.config_folders)):
        if entry.task not in MODULES or entry.task == "speech":
            continue  # a builtin network is judged when it is built; Whisper has its own runtime, and no other
        yield importlib.import_module(MODULES[entry.task]).network_ref(entry, resources)


def _judgement(found: RuntimeVerdict) -> RuntimeJudgement:
    rate, reference = found.items_per_second, found.reference_items_per_second
    verdict = found.verdict
    return {
        "runtime": found.runtime,
        "precision": found.precision,
        "passed": verdict is not None and verdict.passed,
        "cosine": round(verdict.cosine, 6) if verdict else None,
        "spread": round(verdict.spread, 4) if verdict else None,
        "overlap": round(verdict.overlap, 4) if verdict else None,
        "items_per_second": round(rate, 2) if rate else None,
        "speedup": round(rate / reference, 2) if rate and reference else None,
        "reason": found.reason,
        "remedy": found.remedy,
    }
