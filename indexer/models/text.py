"""Text to a vector: all-MiniLM-L6-v2 on ONNX Runtime. The service imports this; it never imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from indexer.records import Space
from indexer.runtime.engines import open_session

MAX_TOKENS = 256
"""What the model was made for; longer texts are cut (Sentence-BERT's max_seq_length)."""


class TextEncoder:
    """Encodes texts into the unit vectors of one space. Thread-safe."""

    def __init__(self, model: Path | bytes, tokenizer: Path, space: Space, *, threads: int, precision: str) -> None:
        """`model` and `tokenizer` are verified files, `space` the one that the image side writes into.

        `precision` is what `runtime` shall say: "int8" or "fp32".
        """
        self.space = space
        self.runtime = f"ONNX Runtime {ort.__version__}, CPU, {precision}"
        self._session = open_session(model, threads=threads, arena=False)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()

    def encode(self, text: str) -> NDArray[np.float32]:
        """One text to a unit vector (D,)."""
        vector: NDArray[np.float32] = self.encode_all([text])[0]
        return vector

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts to unit rows (N, D), in one batch padded to the longest of them."""
        # A file name in a query may hold bytes that are no text (surrogates): they mean nothing, and must not fail.
        encodings = self._tokenizer.encode_batch([text.encode("utf-8", "replace").decode() for text in texts])
        tokens = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        vectors: NDArray[np.float32] = self._session.run(None, {"tokens": tokens, "mask": mask})[0]
        return vectors
