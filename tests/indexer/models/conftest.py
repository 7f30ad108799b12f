from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from indexer.models import served
from indexer.models.builtin import load_concept_model, load_text_encoder
from indexer.models.concepts import ConceptModel
from indexer.models.text import TextEncoder
from indexer.models.text_tower import tower_name
from indexer.runtime.artifacts import ArtifactCache
from indexer.runtime.selection import obtain_engine
from indexer.runtime.torch_cpu import TorchCpu
from tests import tiny_models
from tests.sample_photos import locate

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session", autouse=True)
def _reference_alone() -> Iterator[None]:
    """Models run on the reference runtime here. Otherwise each one would have faster engines built behind the tests,
    for minutes; those have tests of their own in tests/indexer/runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served, "obtain_engine", functools.partial(obtain_engine, runtimes=(TorchCpu(),)))
        yield


@pytest.fixture(scope="session")
def concept_model(model_cache: Path) -> ConceptModel:
    return load_concept_model(model_cache, threads=2)


@pytest.fixture(scope="session")
def text_encoder(model_cache: Path) -> TextEncoder:
    return load_text_encoder(model_cache, threads=1)


@pytest.fixture(scope="session")
def photo() -> Callable[[str], Pixels]:
    """Reads a photo that an installed package ships: (H, W, 3)."""

    def read(name: str) -> Pixels:
        with Image.open(locate(name)) as image:
            return np.asarray(image.convert("RGB"))

    return read


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tiny_models.Installed]:
    """A tiny dual encoder of each kind, installed, its text side built by what the build child runs."""
    from indexer.models import text_build  # noqa: PLC0415 - torch and transformers, which most tests here do without

    models = {kind: tiny_models.install(kind, tmp_path_factory.mktemp(kind)) for kind in tiny_models.KINDS}
    for model in models.values():
        build = functools.partial(text_build.build, model.folder, dimension=tiny_models.DIMENSION, threads=1)
        ArtifactCache(model.resources.model_cache).obtain(tower_name(model.entry, model.resources), build)
    return models
