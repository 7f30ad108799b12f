from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.models.builtin import load_concept_model, load_text_encoder
from tests.e2e.driver import Reverie


@pytest.fixture(scope="session")
def ready_models(model_cache: Path) -> Path:
    """The model cache, built: what is timed in a test is never the first build."""
    load_text_encoder(model_cache, threads=2)
    load_concept_model(model_cache, threads=2)
    return model_cache


@pytest.fixture
def make_reverie(tmp_path: Path, ready_models: Path) -> Iterator[Callable[..., Reverie]]:
    """Makes the program with a library of its own; a service that is still running at the end is killed."""
    made: list[Reverie] = []

    def make(name: str = "library", **settings: str) -> Reverie:
        made.append(Reverie(tmp_path / name, ready_models.parent.parent, **settings))
        return made[-1]

    yield make
    for reverie in made:
        if reverie.service is not None:
            reverie.service.kill()
            reverie.service.wait()
            assert reverie.service.stderr is not None
            reverie.service.stderr.close()


@pytest.fixture
def reverie(make_reverie: Callable[..., Reverie]) -> Reverie:
    return make_reverie()
