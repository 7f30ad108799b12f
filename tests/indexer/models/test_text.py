from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from indexer.models import minilm_graph
from indexer.models.space import SPACE
from indexer.models.text import TextEncoder
from indexer.models.weights import MINILM, TOKENIZER

REFERENCE = [
    ("a cup of coffee on a table", "espresso in a white mug", 0.5383),
    ("two dogs running", "puppies playing outside", 0.5395),
    ("boats on a lake", "ships at sea", 0.5796),
    ("boats on a lake", "a chess board", 0.1477),
    ("Grüße aus München", "greetings from Munich", 0.526),
    ("old coins", "", 0.1938),
]
"""Cosines that sentence-transformers 6.2.0 gives with the same weights."""


@pytest.fixture(scope="module")
def full_precision() -> TextEncoder:
    graph = minilm_graph.write_graph(load_file(MINILM.verified()), int8=False)
    return TextEncoder(graph, TOKENIZER.verified(), SPACE, threads=1, precision="fp32")


@pytest.mark.parametrize(("left", "right", "cosine"), REFERENCE)
def test_the_graph_computes_what_the_reference_library_does(
    full_precision: TextEncoder, left: str, right: str, cosine: float
) -> None:
    assert full_precision.encode(left) @ full_precision.encode(right) == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize(("left", "right", "cosine"), REFERENCE)
def test_the_served_graph_stays_near_it(text_encoder: TextEncoder, left: str, right: str, cosine: float) -> None:
    assert text_encoder.encode(left) @ text_encoder.encode(right) == pytest.approx(cosine, abs=0.05)


def test_padding_changes_nothing(full_precision: TextEncoder) -> None:
    texts = ["a cat", "two people walking along the beach at sunset with a brown dog and a red kite"]
    together = full_precision.encode_all(texts)
    assert np.allclose(together, np.stack([full_precision.encode(text) for text in texts]), atol=1e-5)


@pytest.mark.parametrize("text", ["", "   ", "word " * 5000, "\udcff cat", "😀", "a\0b"])
def test_any_text_becomes_a_unit_vector(text_encoder: TextEncoder, text: str) -> None:
    vector = text_encoder.encode(text)
    assert vector.shape == (384,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_service_loads_it_without_torch_or_image_code(text_encoder: TextEncoder, model_cache: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from indexer.models.builtin import load_text_encoder\n"
        "load_text_encoder(Path(sys.argv[1]), threads=1).encode('a cat')\n"
        "print(sorted({'torch', 'transformers', 'cv2', 'onnx', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(model_cache)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert "int8" in text_encoder.runtime
