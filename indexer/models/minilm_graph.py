"""all-MiniLM-L6-v2 as an ONNX graph, written from its safetensors: tokens in, unit sentence vectors out.

Source: Wang et al., "MiniLM" (2020); Reimers and Gurevych, "Sentence-BERT" (2019): mean over the tokens, then L2 norm.
Layer names are those of the checkpoint (BERT's, Devlin et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from indexer.models.graph import GraphWriter

Weights = Mapping[str, NDArray[np.float32]]

LAYERS = 6
HEADS = 12
DIMENSION = 384
LAYER_NORM_EPSILON = 1e-12
MASKED = -1e4
"""Added to the attention of padding: its exponential is 0, and it fits any precision."""


def write_graph(weights: Weights, *, int8: bool) -> bytes:
    """The network: "tokens" and "mask" (N, L) int64 to "embedding" (N, 384) float32, unit rows.

    `int8` stores the matrices and the word vectors in one byte a value instead of four.
    """
    writer = GraphWriter()

    def integers(name: str, *values: int) -> str:
        return writer.constant(name, np.array(values, np.int64))

    def normalise(x: str, name: str) -> str:
        gain = writer.constant(f"{name}.weight", weights[f"{name}.weight"])
        bias = writer.constant(f"{name}.bias", weights[f"{name}.bias"])
        return writer.add("LayerNormalization", x, gain, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def dense(x: str, name: str) -> str:
        return writer.linear(x, name, weights[f"{name}.weight"].T, weights[f"{name}.bias"], int8=int8)

    split = integers("split_heads", 0, 0, HEADS, DIMENSION // HEADS)
    merge = integers("merge_heads", 0, 0, DIMENSION)
    scale = writer.constant("attention_scale", np.full((), math.sqrt(HEADS / DIMENSION), np.float32))
    mask = writer.add("Cast", "mask", to=TensorProto.FLOAT)
    absent = writer.add("Sub", writer.constant("one", np.ones((), np.float32)), mask)
    absent = writer.add("Mul", absent, writer.constant("masked", np.full((), MASKED, np.float32)))
    absent = writer.add("Unsqueeze", absent, integers("head_and_query_axes", 1, 2))

    def heads(x: str, name: str, order: list[int]) -> str:
        return writer.add("Transpose", writer.add("Reshape", dense(x, name), split), perm=order)

    def attend(x: str, layer: str) -> str:
        query = heads(x, f"{layer}.attention.self.query", [0, 2, 1, 3])
        key = heads(x, f"{layer}.attention.self.key", [0, 2, 3, 1])
        value = heads(x, f"{layer}.attention.self.value", [0, 2, 1, 3])
        scores = writer.add("Add", writer.add("Mul", writer.add("MatMul", query, key), scale), absent)
        mixed = writer.add("MatMul", writer.add("Softmax", scores, axis=-1), value)
        return writer.add("Reshape", writer.add("Transpose", mixed, perm=[0, 2, 1, 3]), merge)

    # The position and type tables are added once: a sentence is always of type 0.
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    length = writer.add("Slice", writer.add("Shape", "tokens"), integers("1", 1), integers("2", 2))
    position = writer.add("Slice", writer.constant("places", places), integers("0", 0), length, "0")
    words = writer.rows("tokens", "words", weights["embeddings.word_embeddings.weight"], int8=int8)
    x = normalise(writer.add("Add", words, position), "embeddings.LayerNorm")
    for index in range(LAYERS):
        layer = f"encoder.layer.{index}"
        attended = dense(attend(x, layer), f"{layer}.attention.output.dense")
        x = normalise(writer.add("Add", attended, x), f"{layer}.attention.output.LayerNorm")
        expanded = _gelu(writer, dense(x, f"{layer}.intermediate.dense"))
        x = normalise(writer.add("Add", dense(expanded, f"{layer}.output.dense"), x), f"{layer}.output.LayerNorm")

    present = writer.add("Unsqueeze", mask, integers("value_axis", 2))
    total = writer.add("ReduceSum", writer.add("Mul", x, present), "1", keepdims=0)
    writer.add("LpNormalization", total, output="embedding", axis=-1, p=2)
    return writer.model(
        "all-minilm-l6-v2",
        {"tokens": (TensorProto.INT64, ["text", "token"]), "mask": (TensorProto.INT64, ["text", "token"])},
        {"embedding": (TensorProto.FLOAT, ["text", DIMENSION])},
    )


def _gelu(writer: GraphWriter, x: str) -> str:
    """The exact GELU: x (1 + erf(x / sqrt 2)) / 2."""
    root = writer.constant("sqrt_2", np.full((), math.sqrt(2), np.float32))
    half = writer.constant("half", np.full((), 0.5, np.float32))
    error = writer.add("Add", writer.add("Erf", writer.add("Div", x, root)), "one")
    return writer.add("Mul", writer.add("Mul", x, error), half)
