"""A tiny SegFormer, loaded and run as the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from indexer.models.segmentation import SegmentationNetwork, load
from indexer.records import Kind, MediaInfo
from indexer.runtime.samples import gate_samples
from indexer.stage import View
from tests import tiny_tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_tasks.save_segmenter(tmp_path_factory.mktemp("segmenters") / "segformer")


def photos() -> list[NDArray[np.uint8]]:
    return list(gate_samples(Path("no thumbnails"), 3))


def view_of(pixels: NDArray[np.uint8]) -> View:
    height, width = pixels.shape[:2]
    return View(pixels, width, height, MediaInfo(kind=Kind.PHOTO, format="JPEG", width=width, height=height))


def shares_by_the_makers(folder: Path, picture: NDArray[np.uint8]) -> dict[str, float]:
    """Each class's share of the area, by transformers' own processor and map."""
    processor = tiny_tasks.transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    model = tiny_tasks.transformers.AutoModelForSemanticSegmentation.from_pretrained(
        folder, local_files_only=True
    ).eval()
    with torch.inference_mode():
        outputs = model(**processor(images=picture, return_tensors="pt"))
    (classes,) = processor.post_process_semantic_segmentation(outputs)
    counts = np.bincount(classes.numpy().ravel(), minlength=4) / classes.numel()
    return {tiny_tasks.CITYSCAPE[number]: float(count) for number, count in enumerate(counts)}


def test_areas_are_tags_with_their_share_of_the_picture(folder: Path, tmp_path: Path) -> None:
    entry = tiny_tasks.install("tiny-areas", "segmentation", folder, tmp_path / "models", share=0.1)
    stage = load("segmentation:tiny-areas", entry, tiny_tasks.resources(tmp_path))
    try:
        found = stage.analyse([stage.prepare(view_of(photo)) for photo in photos()])
    finally:
        stage.close()
    for findings, photo in zip(found, photos(), strict=True):
        expected = {name: share for name, share in shares_by_the_makers(folder, photo).items() if share >= 0.1}
        assert {tag.name: tag.confidence for tag in findings.tags} == pytest.approx(expected, abs=1e-3)
        assert [tag.confidence for tag in findings.tags] == sorted(expected.values(), reverse=True) or expected
        assert {tag.source for tag in findings.tags} == {"area"}
    assert len({findings.tags for findings in found}) > 1, "all pictures have the same areas"


def test_what_is_fed_is_what_the_makers_processor_would_feed(folder: Path) -> None:
    network = SegmentationNetwork("tiny", str(folder), "key", "")
    (ours,), (theirs,) = network.prepare(photos()), network.reference_inputs(photos())
    np.testing.assert_allclose(ours.astype(float), theirs.astype(float), atol=1e-5)


def test_every_point_belongs_to_one_class(folder: Path) -> None:
    network = SegmentationNetwork("tiny", str(folder), "key", "")
    (pixels,) = network.prepare(photos())
    with torch.inference_mode():
        areas, evidence = network.load()(torch.from_numpy(pixels))
    np.testing.assert_allclose(areas.sum(dim=1), 1, atol=1e-5)
    np.testing.assert_allclose(evidence.sum(dim=1), 1, atol=1e-5)
    assert network.judged((areas.numpy(), evidence.numpy())).shape == (3, 8)
