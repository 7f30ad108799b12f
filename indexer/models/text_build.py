"""Builds the text side of a dual encoder, in a process of its own: it needs PyTorch, and memory to spare.

Run as `python -m indexer.models.text_build MODEL DIRECTORY DIMENSION THREADS`; errors go to standard output as JSON
(title, remedy).
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from config.errors import ModelError, ReverieError
from indexer.models.captions import background_captions
from indexer.models.image_tower import read_model
from indexer.models.label_lists import label_lists
from indexer.models.pretrained import load_tokenizer
from indexer.models.prompts import PAIRS
from indexer.models.text_graph import TowerShape, Weights, shape_of, write_graph
from indexer.models.text_tower import (
    BACKGROUND,
    BATCH,
    GRAPH,
    PARITY,
    PROMPTS,
    SETTINGS,
    TOKENIZER,
    TextTokenizer,
    TextTower,
    TowerSettings,
)
from indexer.records import Space
from indexer.runtime import parity

FAILED = 3
PHRASES = 60
"""Texts by which the graph is judged: labels in a sentence."""
NEIGHBOURS = 150
"""Captions among which they are ranked."""
_ONE_FILE = 1_900_000_000
"""Bytes of weights: a protocol buffer ends at 2 GiB."""

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def build(folder: Path, directory: Path, *, dimension: int, threads: int) -> None:
    """Write the graph (int8 if it is good enough, else fp32), the tokenizer and its rules, and vectors of fixed texts.

    Raises ModelError: the model is none whose text side can run here, or not what its entry says.
    """
    torch.set_num_threads(threads)
    model = read_model(folder)
    shape = shape_of(model.config)
    if shape.dimension != dimension:
        raise ModelError(
            f"The model's vectors have {shape.dimension} values, but its entry in the list of models says {dimension}.",
            "Correct `dimension` in the entry.",
        )
    tokenizer, settings = read_tokenizer(folder, model)
    weights = {key: value.numpy() for key, value in model.state_dict().items() if key.startswith("text_")}

    def tower(precision: str) -> tuple[bytes, TextTower]:
        graph = write_graph(weights, shape, int8=precision == "int8")
        chosen = dataclasses.replace(settings, precision=precision)
        return graph, TextTower(graph, tokenizer, chosen, Space("text", dimension), threads=threads)

    reference = reference_encoder(model, tokenizer, settings)
    judge = _judge(reference)
    graph, encoder = tower("int8")
    verdict = judge(encoder.encode_all, parity.REDUCED_PRECISION)
    if not verdict.passed:
        _require_one_file(weights, shape)
        graph, encoder = tower("fp32")
        full = judge(encoder.encode_all, parity.SAME_PRECISION)
        if not full.passed:
            raise ModelError(
                f"The text network gives other vectors than its reference: {full.reason}.",
                "Choose another model, and please report this one.",
            )
    (directory / GRAPH).write_bytes(graph)
    tokenizer.save(str(directory / TOKENIZER))
    encoder.settings.write(directory / SETTINGS)
    np.save(directory / BACKGROUND, encoder.encode_all(background_captions()))
    # At the model's logit scale the small errors of int8 would move the scores: these few texts are done in full.
    np.save(directory / PROMPTS, reference([prompt for pair in PAIRS for prompt in pair]))
    report = {**dataclasses.asdict(verdict), "precision": encoder.settings.precision}
    (directory / PARITY).write_text(json.dumps(report, indent=1))


def read_tokenizer(folder: Path, model: Any) -> tuple[Tokenizer, TowerSettings]:
    """The tokenizer that came with a model, and the rules by which the model was trained.

    CLIP pads nothing it would see. SigLIP was trained on texts padded to their full length on the right; SigLIP 1 on
    texts without punctuation, both on lower case (big_vision's preprocessing), which their tokenizers leave to the
    caller. Raises ModelError if there is no `tokenizer.json`.
    """
    if not (folder / TOKENIZER).is_file():
        raise ModelError(
            f"The model has no {TOKENIZER}.", "Choose a model that brings one, and name the file in its entry."
        )
    siglip = model.config.model_type == "siglip"
    gemma = siglip and _tokenizer_class(folder).startswith(("Gemma", "Siglip2"))
    if siglip and not gemma:
        # transformers would take the SentencePiece file, for which it needs a further package.
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    else:
        tokenizer = Tokenizer.from_str(load_tokenizer(folder).backend_tokenizer.to_str())
    pad_id, pad_token = _padding(folder, tokenizer, siglip=siglip, gemma=gemma)
    return tokenizer, TowerSettings(
        max_tokens=model.config.text_config.max_position_embeddings,
        fixed_length=siglip,
        pad_id=pad_id,
        pad_token=pad_token,
        lower_case=siglip,
        strip_punctuation=siglip and not gemma,
        logit_scale=float(model.logit_scale.detach().exp()),
        precision="fp32",
    )


def reference_encoder(model: Any, tokenizer: Tokenizer, settings: TowerSettings) -> Encode:
    """The model's own vectors of texts, unit rows."""
    tokens = TextTokenizer(tokenizer, settings)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                batch = torch.from_numpy(tokens(texts[start : start + BATCH]))
                features = model.get_text_features(input_ids=batch).pooler_output
                rows.append(torch.nn.functional.normalize(features, dim=-1).numpy())
        return np.concatenate(rows)

    return encode


def _judge(reference: Encode) -> Callable[[Encode, parity.Thresholds], parity.Verdict]:
    labels = [label for labels in label_lists(()).values() for label in labels]
    phrases = [f"a photo of {labels[index * len(labels) // PHRASES]}" for index in range(PHRASES)]
    captions = background_captions()
    neighbours = reference(captions[:: max(1, len(captions) // NEIGHBOURS)])
    expected = reference(phrases)

    def judge(encode: Encode, thresholds: parity.Thresholds) -> parity.Verdict:
        return parity.compare(encode(phrases), expected, thresholds, neighbours=neighbours)

    return judge


def _require_one_file(weights: Weights, shape: TowerShape) -> None:
    size = sum(weight.nbytes for weight in weights.values())
    if size > _ONE_FILE:
        raise ModelError(
            f"The text network of {shape.layers} layers is not exact enough in int8, and too large in full precision.",
            "Choose a smaller model.",
        )


def _tokenizer_class(folder: Path) -> str:
    return str(_tokenizer_config(folder).get("tokenizer_class", ""))


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return config


def _padding(folder: Path, tokenizer: Tokenizer, *, siglip: bool, gemma: bool) -> tuple[int, str]:
    """The token that fills a text up. SigLIP 1 fills with the end of the text, SigLIP 2 with a token of its own."""
    default = "<pad>" if gemma else "</s>" if siglip else "<|endoftext|>"
    stated = _tokenizer_config(folder).get("pad_token") or default
    token = stated["content"] if isinstance(stated, dict) else str(stated)
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ModelError(f'The tokenizer does not know its own padding, "{token}".', "Choose another model.")
    return number, token


def main(arguments: list[str]) -> int:
    """Entry of the child process."""
    folder, directory, dimension, threads = arguments
    try:
        build(Path(folder), Path(directory), dimension=int(dimension), threads=int(threads))
    except ReverieError as error:
        sys.stdout.write(json.dumps({"title": error.title, "remedy": error.remedy}))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
