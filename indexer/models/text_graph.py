"""The text towers of CLIP and SigLIP as ONNX graphs, written from their weights: tokens in, unit vectors out.

Sources: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021), a causal
transformer read at the token that ends the text; Zhai et al., "Sigmoid Loss for Language Image Pre-Training" (2023),
a bidirectional one read at its last position. Layer names are those of transformers' modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from config.errors import ModelError
from indexer.models.graph import GraphWriter

Weights = Mapping[str, NDArray[np.float32]]

INPUT = "tokens"
MASKED = -1e4
"""Added to the attention of what comes later: its exponential is 0, and it fits any precision."""

_OLD_END = 2
"""CLIP checkpoints that name this token as their end name a wrong one. Theirs is the largest number in the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TowerShape:
    """What the configuration says about a text tower, besides its weights."""

    causal: bool
    """CLIP: each token sees those before it. SigLIP: all see all, padding included."""
    layers: int
    heads: int
    width: int
    positions: int
    """The most tokens."""
    epsilon: float
    """Of the layer normalisation."""
    activation: str
    end: int | None
    """The token at which a text is read; None: at the last position."""
    head: str
    """The weights that project into the space: "text_projection" or "text_model.head"."""
    dimension: int


def shape_of(config: Any) -> TowerShape:
    """The shape of the tower that a `transformers` configuration describes.

    Raises ModelError for an architecture whose arithmetic is not written here.
    """
    kind, text = config.model_type, getattr(config, "text_config", None)
    if kind not in {"clip", "siglip"} or text is None:
        raise ModelError(
            f'Reverie cannot run models of the type "{kind}" for search.',
            "It knows CLIP and SigLIP, SigLIP 2 at fixed resolution included (not NaFlex): choose one of these.",
        )
    if text.hidden_act not in _ACTIVATIONS:
        raise ModelError(
            f'The text network has an activation that is not known: "{text.hidden_act}".', "Choose another model."
        )
    clip = kind == "clip"
    return TowerShape(
        causal=clip,
        layers=text.num_hidden_layers,
        heads=text.num_attention_heads,
        width=text.hidden_size,
        positions=text.max_position_embeddings,
        epsilon=text.layer_norm_eps,
        activation=text.hidden_act,
        end=text.eos_token_id if clip else None,
        head="text_projection" if clip else "text_model.head",
        dimension=config.projection_dim if clip else text.projection_size,
    )


def write_graph(weights: Weights, shape: TowerShape, *, int8: bool) -> bytes:
    """The network: "tokens" (N, L) int64 to "embedding" (N, D) float32, unit rows.

    `int8` stores the matrices and the word vectors in one byte a value instead of four.
    """
    return _Tower(weights, shape, int8=int8).write()


class _Tower:
    """A tower while it is being written."""

    def __init__(self, weights: Weights, shape: TowerShape, *, int8: bool) -> None:
        self._weights = weights
        self._shape = shape
        self._int8 = int8
        self._writer = GraphWriter()

    def write(self) -> bytes:
        """All of it."""
        writer, shape = self._writer, self._shape
        x = self._embed()
        mask = self._causal_mask() if shape.causal else None
        for index in range(shape.layers):
            layer = f"text_model.encoder.layers.{index}"
            normal = self._normalise(x, f"{layer}.layer_norm1")
            x = writer.add("Add", x, self._attend(normal, f"{layer}.self_attn", mask))
            wide = self._dense(self._normalise(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
            x = writer.add("Add", x, self._dense(_ACTIVATIONS[shape.activation](writer, wide), f"{layer}.mlp.fc2"))
        pooled = self._pool(self._normalise(x, "text_model.final_layer_norm"))
        writer.add("LpNormalization", self._dense(pooled, shape.head), output="embedding", axis=-1, p=2)
        return writer.model(
            "text-tower",
            {INPUT: (TensorProto.INT64, ["text", "token"])},
            {"embedding": (TensorProto.FLOAT, ["text", shape.dimension])},
        )

    def _integers(self, name: str, *values: int) -> str:
        return self._writer.constant(name, np.array(values, np.int64))

    def _dense(self, x: str, name: str) -> str:
        weight = self._weights[f"{name}.weight"].T
        bias = self._weights.get(f"{name}.bias", np.zeros(weight.shape[1], np.float32))
        return self._writer.linear(x, name, weight, bias, int8=self._int8)

    def _normalise(self, x: str, name: str) -> str:
        gain, bias = (self._writer.constant(key, self._weights[key]) for key in (f"{name}.weight", f"{name}.bias"))
        return self._writer.add("LayerNormalization", x, gain, bias, axis=-1, epsilon=self._shape.epsilon)

    def _embed(self) -> str:
        writer = self._writer
        table = self._weights["text_model.embeddings.token_embedding.weight"]
        words = writer.rows(INPUT, "words", table, int8=self._int8)
        places = writer.constant("places", self._weights["text_model.embeddings.position_embedding.weight"])
        length = writer.add("Shape", INPUT, output="length", start=1, end=2)
        axis = self._integers("0", 0)
        return writer.add("Add", words, writer.add("Slice", places, axis, length, axis))

    def _causal_mask(self) -> str:
        later = np.triu(np.full((self._shape.positions,) * 2, MASKED, np.float32), k=1)
        ends = self._writer.add("Concat", "length", "length", axis=0)
        starts, axes = self._integers("corner", 0, 0), self._integers("both_axes", 0, 1)
        return self._writer.add("Slice", self._writer.constant("later", later), starts, ends, axes)

    def _attend(self, x: str, name: str, mask: str | None) -> str:
        writer, shape = self._writer, self._shape
        split = self._integers("split_heads", 0, 0, shape.heads, shape.width // shape.heads)
        merge = self._integers("merge_heads", 0, 0, shape.width)

        def heads(which: str, order: list[int]) -> str:
            return writer.add("Transpose", writer.add("Reshape", self._dense(x, f"{name}.{which}"), split), perm=order)

        query, key = heads("q_proj", [0, 2, 1, 3]), heads("k_proj", [0, 2, 3, 1])
        scale = _scalar(writer, "attention_scale", math.sqrt(shape.heads / shape.width))
        scores = writer.add("Mul", writer.add("MatMul", query, key), scale)
        if mask is not None:
            scores = writer.add("Add", scores, mask)
        mixed = writer.add("MatMul", writer.add("Softmax", scores, axis=-1), heads("v_proj", [0, 2, 1, 3]))
        merged = writer.add("Reshape", writer.add("Transpose", mixed, perm=[0, 2, 1, 3]), merge)
        return self._dense(merged, f"{name}.out_proj")

    def _pool(self, x: str) -> str:
        """(N, L, W) to (N, W): the token that stands for the text."""
        writer, end = self._writer, self._shape.end
        if end is None:
            last = writer.add("Gather", x, self._integers("last", -1), axis=1)
            return writer.add("Squeeze", last, self._integers("token_axis", 1))
        found = INPUT
        if end != _OLD_END:
            found = writer.add("Cast", writer.add("Equal", INPUT, self._integers("end", end)), to=TensorProto.INT32)
        return writer.add("GatherND", x, writer.add("ArgMax", found, axis=1, keepdims=1), batch_dims=1)


def _scalar(writer: GraphWriter, name: str, value: float) -> str:
    return writer.constant(name, np.full((), value, np.float32))


def _gelu(writer: GraphWriter, x: str) -> str:
    """The exact GELU: x (1 + erf(x / sqrt 2)) / 2."""
    error = writer.add("Erf", writer.add("Div", x, _scalar(writer, "sqrt_2", math.sqrt(2))))
    return _half(writer, x, writer.add("Add", error, _scalar(writer, "one", 1)))


def _gelu_tanh(writer: GraphWriter, x: str) -> str:
    """Hendrycks and Gimpel's approximation: x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    cube = writer.add("Mul", writer.add("Mul", x, x), x)
    bent = writer.add("Add", x, writer.add("Mul", cube, _scalar(writer, "cubic", 0.044715)))
    tanh = writer.add("Tanh", writer.add("Mul", bent, _scalar(writer, "sqrt_2_pi", math.sqrt(2 / math.pi))))
    return _half(writer, x, writer.add("Add", tanh, _scalar(writer, "one", 1)))


def _half(writer: GraphWriter, x: str, factor: str) -> str:
    return writer.add("Mul", writer.add("Mul", x, factor), _scalar(writer, "half", 0.5))


def _quick_gelu(writer: GraphWriter, x: str) -> str:
    """CLIP's: x sigmoid(1.702 x)."""
    return writer.add("Mul", x, writer.add("Sigmoid", writer.add("Mul", x, _scalar(writer, "quick", 1.702))))


_ACTIVATIONS: Mapping[str, Callable[[GraphWriter, str], str]] = {
    "gelu": _gelu,
    "gelu_pytorch_tanh": _gelu_tanh,
    "quick_gelu": _quick_gelu,
}
