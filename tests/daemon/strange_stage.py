"""A stage for real workers whose device fails, or cannot be had, according to the device they are told to use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NAME = "strange"

FAILS_UNTIL_AVOIDED, ALWAYS_FAILS, CANNOT_BE_HAD = "cuda:7", "cuda:8", "cuda:9"
"""Devices. On any other the stage works, and says on which it was."""

_SOURCE = """
import indexer.models.loading
from config.errors import DeviceFailed, ModelError
from indexer.records import RuntimeReport, Tag
from indexer.stage import Findings

class Strange:
    revision, short_side = 1, 32

    def __init__(self, name, resources):
        self.name, device = name, resources.policy.device
        if device == "cuda:9":
            raise ModelError("There is no such card.", "Take another.")
        self.fails = device == "cuda:8" or (device == "cuda:7" and "Fast 1.0 fp16" not in resources.policy.avoid)
        runtime, precision = ("Fast 1.0", "fp16") if self.fails else ("Plain 1.0", "fp32")
        self.device = device
        self.report = RuntimeReport(
            stage=name, model="m", device=f"card {device}", runtime=runtime, precision=precision, batch_size=2
        )

    def prepare(self, view):
        return None

    def analyse(self, batch):
        if self.fails:
            raise DeviceFailed("The card has failed.", "Start anew.")
        return [Findings(tags=(Tag(f"seen on {self.device}", 1.0, "test"),)) for _ in batch]

indexer.models.loading.load_stage = Strange
"""


def plant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every worker that is started from now on load this stage, whatever it is asked for.

    Python imports `sitecustomize` at its start, before the worker's own modules.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_SOURCE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.fspath(folder))
