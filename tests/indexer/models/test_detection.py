"""Detectors of every architecture, tiny and untrained: loaded, fed, run and read as real ones are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from config.errors import ModelError
from indexer.models.boxes import class_probabilities, corners, keep_apart, things
from indexer.models.detection import DetectionNetwork, DetectionStage, counted, load
from indexer.models.resources import Resources
from indexer.records import Detection, Kind, MediaInfo, Tag
from indexer.runtime.network import Arrays
from indexer.runtime.samples import gate_samples
from indexer.stage import Findings, View
from tests import tiny_tasks

ARCHITECTURES = ("d-fine", "rt-detr-v2", "detr", "yolos")
SQUARE = tiny_tasks.SIDE


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("detectors")
    return {name: tiny_tasks.save_detector(name, root / name) for name in ARCHITECTURES}


@pytest.fixture(params=ARCHITECTURES)
def network(request: pytest.FixtureRequest, folders: dict[str, Path]) -> DetectionNetwork:
    return DetectionNetwork(request.param, str(folders[request.param]), "key", "")


def view_of(pixels: NDArray[np.uint8]) -> View:
    height, width = pixels.shape[:2]
    return View(pixels, width, height, MediaInfo(kind=Kind.PHOTO, format="JPEG", width=width, height=height))


def photos(count: int = 3) -> list[NDArray[np.uint8]]:
    return list(gate_samples(Path("no thumbnails"), count))


def run(module: torch.nn.Module, inputs: Arrays) -> Arrays:
    with torch.inference_mode():
        return tuple(output.numpy() for output in module(*(torch.from_numpy(array) for array in inputs)))


def test_what_is_fed_is_what_the_makers_processor_would_feed(network: DetectionNetwork) -> None:
    ours, theirs = network.prepare(photos()), network.reference_inputs(photos())
    assert [array.dtype for array in ours] == [spec.dtype for spec in network.inputs]
    for mine, reference, spec in zip(ours, theirs, network.inputs, strict=True):
        assert mine.shape == (3, *spec.shape)
        np.testing.assert_allclose(mine.astype(float), reference.astype(float), atol=1e-5)


def test_the_outputs_tell_one_picture_from_another_whatever_else_is_in_the_batch(network: DetectionNetwork) -> None:
    module = network.load()
    together = network.judged(run(module, network.prepare(photos())))
    alone = np.concatenate([network.judged(run(module, network.prepare([photo]))) for photo in photos()])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-5)
    assert together.std(axis=0).max() > 1e-5


def test_the_batch_axis_can_be_exported_free(folders: dict[str, Path]) -> None:
    # The others need no help for it (docs/decisions/detectors.md), and tracing takes seconds.
    network = DetectionNetwork("d-fine", str(folders["d-fine"]), "key", "")
    examples = tuple(torch.from_numpy(array[:2]) for array in network.prepare(photos()))
    batch = torch.export.Dim("batch")
    module = network.load()
    traced = torch.export.export(module, examples, dynamic_shapes=tuple({0: batch} for _ in examples))
    inputs = network.prepare(photos())
    again = network.judged(run(traced.module(), inputs))
    np.testing.assert_allclose(again, network.judged(run(module, inputs)), rtol=1e-3, atol=1e-5)


def test_what_the_gate_compares_does_not_depend_on_the_order_of_queries(network: DetectionNetwork) -> None:
    logits, boxes = run(network.load(), network.prepare(photos()))
    rows = network.judged((logits, boxes))
    np.testing.assert_allclose(network.judged((logits[:, ::-1], boxes[:, ::-1])), rows, rtol=1e-4)
    assert not np.allclose(network.judged((logits, boxes[..., [1, 0, 2, 3]])), rows, rtol=1e-3), "boxes must count"
    assert not np.allclose(network.judged((logits[..., ::-1], boxes)), rows, rtol=1e-3), "classes must count"


class BrightSpot:
    """A detector that knows one thing: the bright rectangle in what it is fed, as a share of the picture's part."""

    report = None

    def __init__(self, *, softmax: bool) -> None:
        self._softmax = softmax

    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        pixels = inputs[0]
        logits = np.full((len(pixels), 2, 5 if self._softmax else 4), -9.0, np.float32)
        boxes = np.full((len(pixels), 2, 4), 0.5, np.float32)
        logits[:, 0, 3] = 9.0
        if self._softmax:
            logits[:, 1, 4] = 9.0
        for number, picture in enumerate(pixels):
            part = inputs[1][number].astype(bool) if len(inputs) > 1 else np.ones(picture.shape[1:], bool)
            height, width = part.any(axis=1).sum(), part.any(axis=0).sum()
            bright = picture[0] > (picture[0][part].min() + picture[0][part].max()) / 2
            rows, columns = (np.flatnonzero((bright & part).any(axis=axis)) for axis in (1, 0))
            top, bottom = rows[0] / height, (rows[-1] + 1) / height
            left, right = columns[0] / width, (columns[-1] + 1) / width
            boxes[number, 0] = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        return logits, boxes

    def close(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("size", [(200, 320), (330, 150), (50, 40)])
def test_a_box_comes_back_to_its_place_in_the_picture(network: DetectionNetwork, size: tuple[int, int]) -> None:
    height, width = size
    pixels = np.full((height, width, 3), 20, np.uint8)
    left, top, right, bottom = 0.25, 0.5, 0.5, 0.9
    pixels[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = 250
    stage = stage_of(network, BrightSpot(softmax=network.head.softmax))
    (findings,) = stage.analyse([stage.prepare(view_of(pixels))])
    (found,) = findings.detections
    assert found.label == "dog"
    assert found.score > 0.99
    np.testing.assert_allclose(found.box, (left, top, right, bottom), atol=1.5 / min(SQUARE, *size) + 0.02)
    assert findings.tags == (Tag("dog", found.score, "detector", count=1),)


def stage_of(network: DetectionNetwork, served: Any, threshold: float = 0.5) -> DetectionStage:
    return DetectionStage(
        "detection:tiny", revision=1, network=network, served=served, names=NAMES, threshold=threshold
    )


NAMES = {0: "person", 1: "traffic light", 3: "dog"}


def test_an_installed_detector_finds_the_same_as_its_makers_code(folders: dict[str, Path], tmp_path: Path) -> None:
    entry = tiny_tasks.install("tiny-yolos", "detection", folders["yolos"], tmp_path / "models", threshold=0.2)
    resources = tiny_tasks.resources(tmp_path)
    stage = load("detection:tiny-yolos", entry, resources)
    try:
        assert stage.short_side == SQUARE
        found = analysed(stage, photos())
        report = stage.report
    finally:
        stage.close()
    assert report is not None
    assert report.stage == "detection:tiny-yolos"
    assert report.model == "tiny-yolos"
    expected = by_the_makers(folders["yolos"], photos(), threshold=0.2)
    for findings, boxes in zip(found, expected, strict=True):
        assert 0 < len(findings.detections) <= len(boxes)
        for detection in findings.detections:
            assert any(np.allclose(detection.box, box, atol=1e-3) for box in boxes), detection
        assert {detection.label for detection in findings.detections} <= set(NAMES.values())
        assert sum(tag.count or 0 for tag in findings.tags) == len(findings.detections)


def analysed(stage: DetectionStage, pictures: list[NDArray[np.uint8]]) -> list[Findings]:
    return stage.analyse([stage.prepare(view_of(picture)) for picture in pictures])


def by_the_makers(folder: Path, pictures: list[NDArray[np.uint8]], *, threshold: float) -> list[list[Any]]:
    """Boxes as shares, by transformers' own processor from end to end."""
    processor = tiny_tasks.transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    model = tiny_tasks.transformers.AutoModelForObjectDetection.from_pretrained(folder, local_files_only=True).eval()
    inputs = processor(images=pictures, size={"height": SQUARE, "width": SQUARE}, do_pad=False, return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs)
    found = processor.post_process_object_detection(outputs, threshold, target_sizes=[(1, 1)] * len(pictures))
    return [[np.clip(box.numpy(), 0, 1) for box in picture["boxes"]] for picture in found]


def test_a_model_that_is_no_detector_is_named_with_those_that_are(tmp_path: Path) -> None:
    folder = tiny_tasks.save_segmenter(tmp_path / "segformer")
    with pytest.raises(ModelError) as caught:
        DetectionNetwork("segformer", str(folder), "key", "")
    assert '"segformer", which is no known detector' in caught.value.title
    assert "d_fine" in caught.value.remedy


def test_weights_that_lack_a_layer_are_not_run_with_random_ones(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "yolos"
    shutil.copytree(folders["yolos"], folder)
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if name.startswith("bbox_predictor"))
    del weights[lost]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError) as caught:
        DetectionNetwork("yolos", str(folder), "key", "").load()
    assert lost in caught.value.title


def test_other_weights_and_another_size_are_another_network(folders: dict[str, Path]) -> None:
    folder = str(folders["detr"])
    networks = [DetectionNetwork("m", folder, key, side) for key, side in (("a", ""), ("b", ""), ("a", "96"))]
    assert len({network.fingerprint for network in networks}) == 3
    assert networks[2].inputs[0].shape == (3, 96, 96)


def test_probabilities_with_and_without_a_class_for_nothing() -> None:
    logits = np.array([[2.0, 0.0, 1.0]], np.float32)
    exclusive = class_probabilities(logits, softmax=True)
    np.testing.assert_allclose(exclusive, np.exp([[2.0, 0.0]]) / np.exp([2.0, 0.0, 1.0]).sum(), rtol=1e-6)
    np.testing.assert_allclose(class_probabilities(logits, softmax=False), 1 / (1 + np.exp(-logits)), rtol=1e-6)


def test_of_overlapping_boxes_of_one_class_the_best_stays() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.02, 0, 0.5, 0.5], [0.02, 0, 0.5, 0.5], [0.6, 0.6, 1, 1]], np.float32)
    classes = np.array([1, 1, 2, 1])
    assert keep_apart(boxes, classes, 0.7).tolist() == [0, 2, 3]
    assert keep_apart(boxes, classes, 0.99).tolist() == [0, 1, 2, 3]
    assert keep_apart(np.empty((0, 4), np.float32), np.empty(0, int), 0.7).tolist() == []


def test_things_are_sorted_and_unused_classes_left_out() -> None:
    probabilities = np.array([[0.6, 0, 0, 0], [0, 0, 0.9, 0], [0, 0, 0, 0.8], [0, 0.4, 0, 0]], np.float32)
    boxes = corners(np.array([[0.5, 0.5, 0.2, 0.4]] * 4, np.float32))
    found = things(probabilities, boxes, NAMES, threshold=0.5, overlap=None)
    assert [(one.label, one.score) for one in found] == [("dog", 0.8), ("person", 0.6)]
    assert found[0].box == pytest.approx((0.4, 0.3, 0.6, 0.7))


def test_a_box_over_the_edge_is_cut_off_there() -> None:
    assert corners(np.array([0.1, 0.9, 0.4, 0.4], np.float32)).tolist() == pytest.approx([0.0, 0.7, 0.3, 1.0])


def test_things_of_a_kind_are_counted() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    seen = [Detection("dog", 0.9, box), Detection("cat", 0.7, box), Detection("dog", 0.6, box)]
    assert counted(seen) == (Tag("dog", 0.9, "detector", count=2), Tag("cat", 0.7, "detector", count=1))


def test_a_model_that_is_not_installed_is_named_with_the_command(tmp_path: Path, folders: dict[str, Path]) -> None:
    entry = tiny_tasks.install("tiny-detr", "detection", folders["detr"], tmp_path / "models")
    elsewhere: Resources = tiny_tasks.resources(tmp_path / "elsewhere")
    with pytest.raises(ModelError) as caught:
        load("detection:tiny-detr", entry, elsewhere)
    assert "reverie models pull tiny-detr" in caught.value.remedy


def with_config(folder: Path, copy: Path, **settings: Any) -> DetectionNetwork:
    """A copy of a saved model whose config.json says something else."""
    shutil.copytree(folder, copy)
    config = json.loads((copy / "config.json").read_bytes())
    (copy / "config.json").write_text(json.dumps(config | settings))
    return DetectionNetwork("tiny-detr", str(copy), "key", "")


def test_a_detr_saved_by_transformers_4_loads(folders: dict[str, Path], tmp_path: Path) -> None:
    saved_by_4: dict[str, Any] = {
        "transformers_version": "4.57.1",
        "backbone": None,
        "backbone_kwargs": None,
        "dilation": None,
    }
    saved_by_4 |= {"use_timm_backbone": False, "use_pretrained_backbone": None}
    old = with_config(folders["detr"], tmp_path / "old", **saved_by_4)
    new = DetectionNetwork("tiny-detr", str(folders["detr"]), "key", "")
    inputs = new.prepare(photos())
    np.testing.assert_array_equal(old.judged(run(old.load(), inputs)), new.judged(run(new.load(), inputs)))


@pytest.mark.parametrize("wrong", [{"num_queries": None}, {"dilation": "yes"}, {"encoder_layers": "two"}])
def test_a_configuration_that_transformers_refuses_is_a_model_error(
    folders: dict[str, Path], tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match=f"'{next(iter(wrong))}' expected") as caught:
        with_config(folders["detr"], tmp_path / "wrong", **wrong).load()
    assert caught.value.remedy
