"""rclip's way of indexing, to compare with: its method, not the program itself.

rclip (https://github.com/yurijmikhalevich/rclip, version 3) decodes each photo at its full size in threads that work a
bounded number of photos ahead, shrinks it by a bicubic filter to 256 pixels, cuts the centre, and gives batches of 8 to
CLIP's ViT-B/32 at 256 pixels on ONNX Runtime, in fp32; the vectors go into SQLite as blobs. All of that is done here.
The weights are random: the arithmetic, so the time, is the same; the vectors mean nothing. What else rclip does (its
start, its progress bar) is left out, in its favour.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image

from indexer.models.graph import GraphWriter

BATCH = 8
LOOK_AHEAD = 2 * BATCH
SIDE, PATCH, WIDTH, LAYERS, HEADS, OUTPUT = 256, 32, 768, 12, 12, 512
TOKENS = (SIDE // PATCH) ** 2 + 1
PIXEL_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
PIXEL_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def open_network(threads: int) -> Any:
    """An ONNX Runtime session with the runtime's own defaults, of "image" (N, 3, 256, 256) to (N, 512)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(_vision_transformer(), options, providers=["CPUExecutionProvider"])


def index(paths: Sequence[Path], database: Path, network: Any, *, threads: int) -> None:
    """Decode, infer and store every photo."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE images (filepath TEXT PRIMARY KEY, modified_at REAL, size INTEGER, vector BLOB)")
    with ThreadPoolExecutor(threads) as pool:
        prepared = _prepared(iter(paths), pool)
        while batch := list(itertools.islice(prepared, BATCH)):
            vectors = network.run(None, {"image": np.stack([pixels for _, pixels in batch])})[0]
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            rows = [
                (str(path), path.stat().st_mtime, path.stat().st_size, vector.tobytes())
                for (path, _), vector in zip(batch, vectors, strict=True)
            ]
            connection.executemany("INSERT INTO images VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()


def _prepared(paths: Iterator[Path], pool: ThreadPoolExecutor) -> Iterator[tuple[Path, NDArray[np.float32]]]:
    """Photos in order, at most `LOOK_AHEAD` of them decoded before they are wanted."""
    ahead: deque[tuple[Path, Future[NDArray[np.float32]]]] = deque()
    for path in paths:
        ahead.append((path, pool.submit(_prepare, path)))
        if len(ahead) > LOOK_AHEAD:
            first, future = ahead.popleft()
            yield first, future.result()
    for path, future in ahead:
        yield path, future.result()


def _prepare(path: Path) -> NDArray[np.float32]:
    """(3, 256, 256): full decode, bicubic, centre crop, CLIP's normalisation."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    scale = SIDE / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    pixels = np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255
    return np.ascontiguousarray(((pixels - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1), np.float32)


def _vision_transformer() -> bytes:
    """CLIP's image tower (Radford et al. 2021) with random weights."""
    writer, random = GraphWriter(), np.random.default_rng(0)

    def weights(*shape: int) -> NDArray[np.float32]:
        return 0.02 * random.standard_normal(shape, np.float32)

    def integers(name: str, *values: int) -> str:
        return writer.constant(name, np.array(values, np.int64))

    def dense(x: str, name: str, inputs: int, outputs: int) -> str:
        return writer.linear(x, name, weights(inputs, outputs), weights(outputs))

    def normalise(x: str, name: str) -> str:
        gain = writer.constant(f"{name}.gain", np.ones(WIDTH, np.float32))
        bias = writer.constant(f"{name}.bias", np.zeros(WIDTH, np.float32))
        return writer.add("LayerNormalization", x, gain, bias, axis=-1, epsilon=1e-5)

    def heads(x: str, name: str, order: list[int]) -> str:
        split = writer.add("Reshape", dense(x, name, WIDTH, WIDTH), integers("split", 0, 0, HEADS, WIDTH // HEADS))
        return writer.add("Transpose", split, perm=order)

    def attend(x: str, name: str) -> str:
        query, value = heads(x, f"{name}.query", [0, 2, 1, 3]), heads(x, f"{name}.value", [0, 2, 1, 3])
        scores = writer.add("MatMul", query, heads(x, f"{name}.key", [0, 2, 3, 1]))
        scale = writer.constant("scale", np.full((), (HEADS / WIDTH) ** 0.5, np.float32))
        mixed = writer.add("MatMul", writer.add("Softmax", writer.add("Mul", scores, scale), axis=-1), value)
        joined = writer.add("Reshape", writer.add("Transpose", mixed, perm=[0, 2, 1, 3]), integers("join", 0, 0, WIDTH))
        return dense(joined, f"{name}.out", WIDTH, WIDTH)

    def gelu(x: str) -> str:
        root, one, half = (
            writer.constant(key, np.full((), number, np.float32))
            for key, number in (("root", 2**0.5), ("one", 1.0), ("half", 0.5))
        )
        error = writer.add("Add", writer.add("Erf", writer.add("Div", x, root)), one)
        return writer.add("Mul", writer.add("Mul", x, error), half)

    patches = writer.add(
        "Conv", "image", writer.constant("patch", weights(WIDTH, 3, PATCH, PATCH)), strides=[PATCH, PATCH]
    )
    rows = writer.add("Transpose", writer.add("Reshape", patches, integers("grid", 0, WIDTH, -1)), perm=[0, 2, 1])
    # One more token for the class, as the network has: the first row's copy costs what a learnt one does.
    first = writer.add("Slice", rows, integers("0", 0), integers("1", 1), integers("1", 1))
    x = writer.add("Add", writer.add("Concat", first, rows, axis=1), writer.constant("places", weights(TOKENS, WIDTH)))
    x = normalise(x, "before")
    for number in range(LAYERS):
        x = writer.add("Add", x, attend(normalise(x, f"{number}.first"), f"{number}.attention"))
        inner = gelu(dense(normalise(x, f"{number}.second"), f"{number}.expand", WIDTH, 4 * WIDTH))
        x = writer.add("Add", x, dense(inner, f"{number}.contract", 4 * WIDTH, WIDTH))
    token = writer.add("Slice", normalise(x, "after"), integers("0", 0), integers("1", 1), integers("1", 1))
    pooled = writer.add("Reshape", token, integers("row", 0, WIDTH))
    writer.add("MatMul", pooled, writer.constant("projection", weights(WIDTH, OUTPUT)), output="vector")
    return writer.model(
        "vit-b-32-256-random",
        {"image": (TensorProto.FLOAT, ["photo", 3, SIDE, SIDE])},
        {"vector": (TensorProto.FLOAT, ["photo", OUTPUT])},
    )
