"""A tiny SegFormer, loaded and run as the real one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from indexer.models.segmentation import SegmentationNetwork, load
from indexer.records import Kind, MediaInfo
from indexer.runtime.samples import gate_samples
from indexer.stage import View
from tests import tiny_tasks
from tests.sample_photos import locate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_tasks.save_segmenter(tmp_path_factory.mktemp("segmenters") / "segformer")


def photos() -> list[NDArray[np.uint8]]:
    return list(gate_samples(Path("no thumbnails"), 3))


def view_of(pixels: NDArray[np.uint8]) -> View:
    height, width = pixels.shape[:2]
    return View(pixels, width, height, MediaInfo(kind=Kind.PHOTO, format="JPEG", width=width, height=height))


def classes_by_the_makers(folder: Path, picture: NDArray[np.uint8], *, whole: bool) -> NDArray[np.int64]:
    """The map of classes by transformers' own processor and model; `whole`: for each pixel of the picture (H, W)."""
    processor = tiny_tasks.transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    model = tiny_tasks.transformers.AutoModelForSemanticSegmentation.from_pretrained(
        folder, local_files_only=True
    ).eval()
    with torch.inference_mode():
        outputs = model(**processor(images=picture, return_tensors="pt"))
    sizes = [picture.shape[:2]] if whole else None
    (classes,) = processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)
    found: NDArray[np.int64] = classes.numpy()
    return found


def shares_by_the_makers(folder: Path, picture: NDArray[np.uint8]) -> dict[str, float]:
    """Each class's share of the area, as coarse as the network sees it."""
    classes = classes_by_the_makers(folder, picture, whole=False)
    counts = np.bincount(classes.ravel(), minlength=4) / classes.size
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


def test_the_subject_is_cut_out_where_the_makers_see_it(folder: Path, tmp_path: Path) -> None:
    with Image.open(locate("china.jpg")) as image:
        photo = np.asarray(image.resize((480, 320)))
    entry = tiny_tasks.install("tiny-areas", "segmentation", folder, tmp_path / "models")
    stage = load("segmentation:tiny-areas", entry, tiny_tasks.resources(tmp_path))
    try:
        [findings] = stage.analyse([stage.prepare(view_of(photo))])
    finally:
        stage.close()
    people = classes_by_the_makers(folder, photo, whole=True) == 0
    assert 0.1 < people.mean() < 0.9, "the tiny network does not tell one from the other"
    assert findings.cut_out is not None
    with Image.open(io.BytesIO(findings.cut_out)) as cut_out:
        assert (cut_out.format, cut_out.mode) == ("PNG", "RGBA")
        *_, alpha = (np.asarray(band) for band in cut_out.split())
        colours = np.asarray(cut_out)[..., :3]
    top, left = place_of(colours, alpha == 255, photo)
    height, width = alpha.shape
    seen = people[top : top + height, left : left + width]
    assert (seen[alpha > 250]).mean() > 0.95
    assert (alpha > 127).sum() > 0.5 * people.sum()


def place_of(part: NDArray[np.uint8], seen: NDArray[np.bool_], whole: NDArray[np.uint8]) -> tuple[int, int]:
    """Top and left of the one place in a photo where all that can be seen of a part fits."""
    height, width = seen.shape
    row, column = np.argwhere(seen)[0]
    same = (whole == part[row, column]).all(axis=2)
    places = [
        (int(top), int(left))
        for top, left in np.argwhere(same) - (row, column)
        if 0 <= top <= whole.shape[0] - height
        and 0 <= left <= whole.shape[1] - width
        and np.array_equal(whole[top : top + height, left : left + width][seen], part[seen])
    ]
    [place] = places
    return place


def test_what_is_fed_is_what_the_makers_processor_would_feed(folder: Path) -> None:
    network = SegmentationNetwork("tiny", str(folder), "key", "")
    (ours,), (theirs,) = network.prepare(photos()), network.reference_inputs(photos())
    np.testing.assert_allclose(ours.astype(float), theirs.astype(float), atol=1e-5)


def test_every_point_belongs_to_one_class(folder: Path) -> None:
    network = SegmentationNetwork("tiny", str(folder), "key", "")
    (pixels,) = network.prepare(photos())
    with torch.inference_mode():
        areas, evidence, classes = network.load()(torch.from_numpy(pixels))
    np.testing.assert_allclose(areas.sum(dim=1), 1, atol=1e-5)
    np.testing.assert_allclose(evidence.sum(dim=1), 1, atol=1e-5)
    counted = [np.bincount(one.ravel(), minlength=4) / one.size for one in classes.numpy()]
    np.testing.assert_allclose(areas, counted, atol=1e-5)
    assert network.judged((areas.numpy(), evidence.numpy(), classes.numpy())).shape == (3, 8)
