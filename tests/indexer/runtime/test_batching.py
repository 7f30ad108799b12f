"""Batches: the size is found, remembered and made smaller; whatever happens, the answers are complete and in order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from config.errors import DeviceFailed, OutOfDeviceMemory
from indexer.runtime.batch_sizes import FILE_NAME, BatchSizes
from indexer.runtime.batching import UNMEASURED, BatchRunner
from indexer.runtime.engines import EngineInfo, open_session
from indexer.runtime.network import Arrays

LARGE_CARD = EngineInfo("NumPy", "a large card", "fp32")
SMALL_CARD = EngineInfo("NumPy half", "a small card", "fp16")
WEIGHTS = np.random.default_rng(5).standard_normal((8, 3)).astype(np.float32)


class Stopwatch:
    """Seconds that only the engines under test let pass: what is measured is then what they say they cost."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class MatrixEngine:
    """A matrix product that takes a time of its own per batch and per item, on a device of so much memory."""

    def __init__(
        self,
        clock: Stopwatch,
        *,
        info: EngineInfo = LARGE_CARD,
        per_batch: float = 0.01,
        per_item: float = 0.001,
        fits: int = 10_000,
    ) -> None:
        self.info = info
        self.batches: list[int] = []
        self.fits = fits
        self._clock, self._per_batch, self._per_item = clock, per_batch, per_item

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        rows = np.asarray(inputs[0], np.float32)
        if len(rows) > self.fits:
            raise OutOfDeviceMemory("A batch does not fit.", "Take a smaller one.")
        self.batches.append(len(rows))
        self._clock.now += self._per_batch + self._per_item * len(rows)
        return (rows @ WEIGHTS, rows.sum(axis=1))

    def degrade(self, reason: str) -> bool:
        """There is no other."""
        del reason
        return False


class Ladder:
    """Engines, the fastest first; one step down at each `degrade`, or wherever a test puts it."""

    def __init__(self, *engines: MatrixEngine) -> None:
        self.engines = list(engines)
        self.reasons: list[str] = []

    @property
    def info(self) -> EngineInfo:
        return self.engines[0].info

    def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
        return self.engines[0](*inputs)

    def degrade(self, reason: str) -> bool:
        self.reasons.append(reason)
        if len(self.engines) > 1:
            self.engines.pop(0)
            return True
        return False


@pytest.fixture
def clock() -> Stopwatch:
    return Stopwatch()


def items(count: int) -> tuple[NDArray[np.float32]]:
    return (np.random.default_rng(count).standard_normal((count, 8)).astype(np.float32),)


def runner(slot: MatrixEngine | Ladder, cache: Path, clock: Stopwatch, fixed: int | None = None) -> BatchRunner:
    return BatchRunner(slot, sizes_in(cache, clock, fixed))


def sizes_in(cache: Path, clock: Stopwatch, fixed: int | None = None) -> BatchSizes:
    return BatchSizes(model_key="matrix@1", cache=cache, fixed=fixed, example=items, clock=clock)


def assert_right(outputs: Arrays, rows: NDArray[np.float32]) -> None:
    products, sums = (np.asarray(output, np.float32) for output in outputs)
    np.testing.assert_allclose(products, rows @ WEIGHTS, rtol=1e-5)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-5)


def test_the_smallest_batch_that_is_nearly_the_fastest_is_chosen_and_all_items_go_through_in_order(
    tmp_path: Path, clock: Stopwatch
) -> None:
    # Items a second at n are n / (0.01 + 0.001 n): 966 at 256, 981 at 512, at most 1000. 256 is within 3 % of 512.
    engine = MatrixEngine(clock)
    batches = runner(engine, tmp_path, clock)
    assert batches.batch_size == 256
    engine.batches.clear()
    [rows] = items(600)
    assert_right(batches.run(rows), rows)
    assert engine.batches == [256, 256, 88]


def test_where_a_larger_batch_is_no_faster_photos_do_not_wait_for_one(tmp_path: Path, clock: Stopwatch) -> None:
    engine = MatrixEngine(clock, per_batch=0.0)
    assert runner(engine, tmp_path, clock).batch_size == 1
    assert max(engine.batches) <= 4  # the search ends early, too


def test_on_a_processor_a_batch_does_not_take_the_memory_of_all_others(tmp_path: Path, clock: Stopwatch) -> None:
    engine = MatrixEngine(clock, info=EngineInfo("NumPy", "CPU", "fp32"))
    assert runner(engine, tmp_path, clock).batch_size == 32
    assert max(engine.batches) == 32


def test_a_batch_that_takes_seconds_is_not_doubled(tmp_path: Path, clock: Stopwatch) -> None:
    engine = MatrixEngine(clock, per_batch=3.0, per_item=0.6)
    assert runner(engine, tmp_path, clock).batch_size == 2


def test_the_size_is_remembered_for_this_model_device_runtime_and_precision_only(
    tmp_path: Path, clock: Stopwatch
) -> None:
    size = runner(MatrixEngine(clock), tmp_path, clock).batch_size
    again = MatrixEngine(clock)
    assert runner(again, tmp_path, clock).batch_size == size
    assert again.batches == []  # nothing was measured
    other = MatrixEngine(clock, info=SMALL_CARD, per_batch=0.0)
    assert runner(other, tmp_path, clock).batch_size == 1
    assert other.batches


def test_a_size_that_the_settings_give_is_not_measured(tmp_path: Path, clock: Stopwatch) -> None:
    engine = MatrixEngine(clock)
    batches = runner(engine, tmp_path, clock, fixed=7)
    assert batches.batch_size == 7
    assert engine.batches == []
    [rows] = items(10)
    assert_right(batches.run(rows), rows)
    assert engine.batches == [7, 3]


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", '{"matrix@1|a large card|NumPy|fp32": -4}', "\x00\xff"])
def test_damaged_notes_are_measured_anew_and_mended(tmp_path: Path, clock: Stopwatch, damage: str) -> None:
    (tmp_path / FILE_NAME).write_text(damage, encoding="latin-1")
    assert runner(MatrixEngine(clock), tmp_path, clock).batch_size == 256
    assert json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8")) == {"matrix@1|a large card|NumPy|fp32": 256}


def test_without_a_place_to_remember_it_works_all_the_same(tmp_path: Path, clock: Stopwatch) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("where the folder should be", encoding="utf-8")
    batches = runner(MatrixEngine(clock), blocked, clock)
    [rows] = items(3)
    assert_right(batches.run(rows), rows)


def test_no_larger_batch_is_chosen_than_fits_the_device(tmp_path: Path, clock: Stopwatch) -> None:
    assert runner(MatrixEngine(clock, fits=40), tmp_path, clock).batch_size == 32


def test_when_memory_gets_short_the_batch_is_halved_until_it_fits_and_stays_so(
    tmp_path: Path, clock: Stopwatch
) -> None:
    engine = MatrixEngine(clock)
    batches = runner(engine, tmp_path, clock)
    engine.fits = 50
    engine.batches.clear()
    [rows] = items(300)
    assert_right(batches.run(rows), rows)
    assert engine.batches == [32] * 9 + [12]
    assert batches.batch_size == 32
    assert runner(MatrixEngine(clock), tmp_path, clock).batch_size == 32


def test_when_one_item_does_not_fit_the_next_runtime_takes_over_at_once_with_small_batches(
    tmp_path: Path, clock: Stopwatch
) -> None:
    card = MatrixEngine(clock, info=SMALL_CARD)
    slot = Ladder(card, MatrixEngine(clock, per_batch=0.0))
    batches = runner(slot, tmp_path, clock)
    assert batches.batch_size == 256
    card.fits = 0
    [rows] = items(5)
    assert_right(batches.run(rows), rows)
    assert slot.info == LARGE_CARD
    assert slot.engines[0].batches == [UNMEASURED, 5 - UNMEASURED]  # nothing was measured while somebody waited
    assert slot.reasons == ["not even one item fits: A batch does not fit."]
    assert runner(slot, tmp_path, clock).batch_size == 1  # the next load has the time


def test_a_device_too_small_from_the_start_is_left_before_the_first_photo(tmp_path: Path, clock: Stopwatch) -> None:
    slot = Ladder(MatrixEngine(clock, info=SMALL_CARD, fits=0), MatrixEngine(clock))
    batches = runner(slot, tmp_path, clock)
    assert slot.info == LARGE_CARD
    assert batches.batch_size == 256


def test_when_no_runtime_has_the_memory_that_is_said(tmp_path: Path, clock: Stopwatch) -> None:
    engine = MatrixEngine(clock)
    batches = runner(engine, tmp_path, clock, fixed=4)
    engine.fits = 0
    with pytest.raises(OutOfDeviceMemory):
        batches.run(*items(4))


def test_a_device_that_failed_is_not_tried_with_smaller_batches(tmp_path: Path, clock: Stopwatch) -> None:
    class Lost(MatrixEngine):
        def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
            super().__call__(*inputs)
            raise DeviceFailed("The device is lost.", "Start anew.")

    lost = Lost(clock)
    batches = runner(lost, tmp_path, clock, fixed=4)
    with pytest.raises(DeviceFailed):
        batches.run(*items(8))
    assert lost.batches == [4]


def test_an_engine_that_is_to_take_over_is_measured_before_it_does(tmp_path: Path, clock: Stopwatch) -> None:
    slot, sizes = Ladder(MatrixEngine(clock, per_batch=0.0)), sizes_in(tmp_path / "a file" / "inside", clock)
    (tmp_path / "a file").write_text("nothing can be remembered here", encoding="utf-8")
    batches = BatchRunner(slot, sizes)
    assert batches.batch_size == 1
    better = MatrixEngine(clock, info=SMALL_CARD)
    sizes.prepare(better)
    slot.engines.insert(0, better)
    better.batches.clear()
    [rows] = items(300)
    assert_right(batches.run(rows), rows)
    assert better.batches == [256, 44]


def test_an_engine_that_fails_on_its_first_batch_gives_way_before_the_first_photo(
    tmp_path: Path, clock: Stopwatch
) -> None:
    class Broken(MatrixEngine):
        def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
            raise AssertionError("what nobody foresaw")

    slot = Ladder(Broken(clock, info=SMALL_CARD), MatrixEngine(clock))
    assert runner(slot, tmp_path, clock).batch_size == 256
    assert slot.reasons == ["it failed on the first batch (AssertionError: what nobody foresaw)"]


def test_a_real_network_is_measured_and_gives_the_same_answers_in_any_number_of_batches(tmp_path: Path) -> None:
    class OnnxMatrix:
        info = EngineInfo(f"ONNX Runtime {ort.__version__}", "CPU", "fp32")

        def __init__(self) -> None:
            node = onnx.helper.make_node("MatMul", ["rows", "weights"], ["products"])
            floats = onnx.TensorProto.FLOAT
            graph = onnx.helper.make_graph(
                [node],
                "matrix",
                [onnx.helper.make_tensor_value_info("rows", floats, ["n", 8])],
                [onnx.helper.make_tensor_value_info("products", floats, ["n", 3])],
                [onnx.numpy_helper.from_array(WEIGHTS, "weights")],
            )
            model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
            self._session = open_session(model.SerializeToString(), threads=1)

        def __call__(self, *inputs: NDArray[np.generic]) -> Arrays:
            return tuple(self._session.run(None, {"rows": inputs[0]}))

        def degrade(self, reason: str) -> bool:
            del reason
            return False

    sizes = BatchSizes(model_key="matrix@1", cache=tmp_path, fixed=None, example=items)
    batches = BatchRunner(OnnxMatrix(), sizes)
    assert 1 <= batches.batch_size <= 32
    [rows] = items(2 * batches.batch_size + 1)
    [products] = batches.run(rows)
    np.testing.assert_allclose(np.asarray(products, np.float32), rows @ WEIGHTS, rtol=1e-4, atol=1e-5)
