"""What the tests of the runtimes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.models.resources import Resources, RunPolicy
from indexer.runtime.samples import GateSamples, gate_samples


@pytest.fixture(scope="session")
def samples() -> GateSamples:
    return gate_samples(Path("no thumbnails"), 16)


def resources_in(folder: Path, policy: RunPolicy | None = None) -> Resources:
    """All below one folder, which is made."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    return Resources(
        models=folder / "models",
        model_cache=folder / "cache",
        config_folders=(),
        thumbnails=folder / "thumbnails",
        threads=1,
        policy=policy or RunPolicy(),
    )


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    return resources_in(tmp_path)
