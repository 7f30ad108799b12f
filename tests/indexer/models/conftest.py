from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from indexer.models.builtin import load_concept_model, load_text_encoder
from indexer.models.concepts import ConceptModel
from indexer.models.text import TextEncoder
from tests.sample_photos import locate

Pixels = NDArray[np.uint8]


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
