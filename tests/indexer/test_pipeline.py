"""Many photos at once: each gets its own result, whatever the others do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config.errors import ModelError, StageBroken
from config.paths import thumbnail_path
from indexer.models.builtin import load_concept_model
from indexer.models.concept_stage import ConceptStage
from indexer.pipeline import Task
from indexer.records import Analysis, Failure, Stage
from indexer.stage import LoadedStage
from indexer.stages import STAGES
from tests.indexer.tasks import EVERYTHING, task

TIFF = "http://ns.adobe.com/tiff/1.0/"
NO_NETWORK = (Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS)
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>breakfast</rdf:li>'
    "</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="module")
def concepts(model_cache: Path) -> ConceptStage:
    return ConceptStage(load_concept_model(model_cache, threads=2), batch_size=4)


def never(name: str) -> LoadedStage:
    raise AssertionError(f"{name} was loaded without need")


def test_every_photo_gets_its_own_result(
    run: Callable[..., list[Analysis | Failure]], photos: Path, concepts: ConceptStage, tmp_path: Path
) -> None:
    paths = sorted(photos.iterdir())
    loads = []

    def load(name: str) -> LoadedStage:
        loads.append(name)
        return concepts

    results = run([task(path, number) for number, path in enumerate(paths)], load)
    assert loads == [Stage.CONCEPTS]
    by_number = {result.media_id: result for result in results if isinstance(result, Analysis)}
    assert sorted(by_number) == list(range(len(paths)))
    for number, path in enumerate(paths):
        result = by_number[number]
        assert result.stages == {stage: STAGES[stage] for stage in EVERYTHING}
        assert result.info is not None
        with Image.open(path) as image:
            assert (result.info.width, result.info.height) == image.size
        [embedding] = result.embeddings
        vector = np.frombuffer(embedding.vector, "<f2").astype(np.float32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=0.01)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with Image.open(tmp_path / "thumbnails" / digest[:2] / f"{digest}.jpg") as thumbnail:
            assert max(thumbnail.size) <= 384
    cat = by_number[[path.name for path in paths].index("chelsea.png")]
    assert "cat" in " ".join(tag.name for tag in cat.tags[Stage.CONCEPTS])
    assert not list((tmp_path / "thumbnails").rglob("*.part"))


def test_a_photo_alone_is_understood_as_in_a_batch(
    run: Callable[..., list[Analysis | Failure]], photos: Path, concepts: ConceptStage
) -> None:
    [alone] = run([task(photos / "coffee.png")], lambda _: concepts)
    together = run([task(path, number) for number, path in enumerate([photos / "coffee.png", photos / "moon.png"])],
                   lambda _: concepts)  # fmt: skip
    [same] = [result for result in together if result.media_id == 0]
    assert isinstance(alone, Analysis)
    assert isinstance(same, Analysis)
    vectors = [np.frombuffer(one.embeddings[0].vector, "<f2").astype(np.float32) for one in (alone, same)]
    assert float(vectors[0] @ vectors[1]) > 0.999


def test_bad_files_fail_alone_and_say_why(
    run: Callable[..., list[Analysis | Failure]], photos: Path, concepts: ConceptStage
) -> None:
    (photos / "half.png").write_bytes((photos / "coffee.png").read_bytes()[:9000])
    gone = task(photos / "horse.png", 2)
    (photos / "horse.png").unlink()
    changed = task(photos / "grass.png", 3)
    (photos / "grass.png").write_bytes((photos / "moon.png").read_bytes())
    good = [task(photos / name, number) for number, name in ((4, "coffee.png"), (5, "rocket.jpg"))]
    results = {
        result.media_id: result
        for result in run([task(photos / "half.png", 1), gone, changed, *good], lambda _: concepts)
    }
    damaged = results[1]
    assert isinstance(damaged, Failure)
    assert damaged.permanent
    assert damaged.stages == EVERYTHING
    for number in (2, 3):
        failure = results[number]
        assert isinstance(failure, Failure)
        assert failure.vanished
        assert not failure.permanent
    assert all(isinstance(results[number], Analysis) for number in (4, 5))


def test_a_slow_file_delays_nobody(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photos / "slow.png", compress_level=1)
    slow = task(photos / "slow.png", 0, NO_NETWORK)
    quick = [task(photos / "coins.png", number, NO_NETWORK) for number in range(1, 7)]
    results = run([slow, *quick], never)
    assert [result.media_id for result in results][-1] == 0


def test_only_what_is_owed_is_done(run: Callable[..., list[Analysis | Failure]], photos: Path, tmp_path: Path) -> None:
    [described] = run([task(photos / "coffee.png", stages=(Stage.DESCRIBE,))], never)
    assert isinstance(described, Analysis)
    assert described.info is not None
    assert (described.pixels, described.embeddings, dict(described.tags)) == (None, (), {})
    [measured] = run([task(photos / "rocket.jpg", stages=(Stage.PIXELS,))], never)
    assert isinstance(measured, Analysis)
    assert measured.pixels is not None
    assert measured.info is None
    assert len(list((tmp_path / "thumbnails").rglob("*.jpg"))) == 1


def test_a_sidecar_is_read_with_its_photo_and_a_bad_one_costs_nothing(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    (photos / "coffee.xmp").write_text(XMP, encoding="utf-8")
    (photos / "bad.xmp").write_bytes(b"\xff\xfe<<<<")
    results = run(
        [
            task(photos / "coffee.png", 1, (Stage.METADATA,), (photos / "coffee.xmp",)),
            task(photos / "rocket.jpg", 2, (Stage.METADATA,), (photos / "bad.xmp",)),
            task(photos / "moon.png", 3, (Stage.METADATA,), (photos / "none.xmp",)),
        ],
        never,
    )
    keywords = {
        result.media_id: result.info.keywords for result in results if isinstance(result, Analysis) and result.info
    }
    assert keywords == {1: ("breakfast",), 2: (), 3: ()}


def test_it_says_what_it_begins_before_it_reads_it(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    began: list[int] = []
    tasks = [task(photos / "coins.png", number, NO_NETWORK) for number in range(5)]
    tasks.append(task(photos / "moon.png", 5, NO_NETWORK))
    (photos / "moon.png").unlink()
    run(tasks, never, began=began.append)
    assert sorted(began) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "failure", [ModelError("The weights are missing.", "Install them."), RuntimeError("this is no header of weights")]
)
def test_without_its_model_it_stops_and_blames_no_file(
    run: Callable[..., list[Analysis | Failure]], photos: Path, failure: Exception
) -> None:
    def load(_: str) -> LoadedStage:
        raise failure

    began: list[int] = []
    with pytest.raises(StageBroken, match=failure.args[0]) as caught:
        run([task(photos / "coffee.png")], load, began=began.append)
    assert caught.value.stage == Stage.CONCEPTS
    assert began == []


def test_orders_that_cannot_be_read_end_it(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    def orders() -> Iterator[Task]:
        yield task(photos / "coins.png", 1, NO_NETWORK)
        raise ValueError("not an order")

    with pytest.raises(ValueError, match=r"not an order"):
        run(orders(), never)


def test_a_photo_that_cannot_be_decoded_is_found_by_what_it_says(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    broken, silent = photos / "IMG_20210704_153012.png", photos / "broken.png"
    data = (photos / "coins.png").read_bytes()
    for path in (broken, silent):
        path.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    results = {one.media_id: one for one in run([task(broken, 1, NO_NETWORK), task(silent, 2, NO_NETWORK)], never)}
    told = results[1]
    assert isinstance(told, Analysis)
    assert told.info is not None
    assert (told.info.taken_at, told.info.format, list(told.stages)) == (
        "2021-07-04T15:30:12",
        "PNG",
        [Stage.METADATA],
    )
    assert [(one.stages, one.permanent) for one in told.failed] == [((Stage.DESCRIBE, Stage.PIXELS), True)]
    assert isinstance(results[2], Failure), "of a photo that says nothing, there is nothing to find"


def test_a_sidecar_turns_the_picture(
    run: Callable[..., list[Analysis | Failure]], photos: Path, tmp_path: Path
) -> None:
    photo = task(photos / "rocket.jpg", 1, (Stage.METADATA, Stage.DESCRIBE), (photos / "rocket.jpg.xmp",))
    turned = XMP.replace("<dc:subject>", f'<t:Orientation xmlns:t="{TIFF}">6</t:Orientation><dc:subject>')
    (photos / "rocket.jpg.xmp").write_text(turned, encoding="utf-8")
    [result] = run([photo], never)
    assert isinstance(result, Analysis)
    assert result.info is not None
    with Image.open(photos / "rocket.jpg") as original:
        assert (result.info.height, result.info.width) == original.size
    with Image.open(thumbnail_path(tmp_path / "thumbnails", photo.content_hash)) as thumbnail:
        assert thumbnail.width < thumbnail.height
