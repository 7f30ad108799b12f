"""Stages that are told to fail, to cut out, to read vectors: each photo gets what the others can still say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from config.errors import DeviceFailed, StageFailed
from indexer.models.cut_out import encode_cut_out
from indexer.records import Analysis, Embedding, Failure, Space, Stage, Tag
from indexer.stage import Findings, LoadedStage, View
from indexer.stages import STAGES
from tests.indexer.tasks import task

SPACE = Space("tiny@0/1", 4)


class Brightness:
    """A stage of a test: the mean brightness as a tag, with the faults that a test asks for."""

    name = "brightness"
    revision = 3
    report = None

    def __init__(self, short_side: int = 64) -> None:
        self.short_side = short_side
        self.batches: list[int] = []
        self.seen: list[tuple[int, int]] = []
        self.refuses: Callable[[float], bool] = lambda _: False
        self.tag: Callable[[float], Tag] = lambda value: Tag("bright", value, "test")

    def prepare(self, view: View) -> float:
        self.seen.append(view.pixels.shape[:2])
        if view.info.format == "JPEG":
            raise KeyError("no JPEG please")
        return float(view.pixels.mean() / 255)

    def analyse(self, batch: Sequence[float]) -> list[Findings]:
        self.batches.append(len(batch))
        if any(map(self.refuses, batch)):
            raise ZeroDivisionError("too dark")
        return [Findings(tags=(self.tag(value),)) for value in batch]


class TinyEmbedding:
    """The mean colour as a vector."""

    name = "embedding:tiny"
    revision = 5
    short_side = 32
    report = None

    def __init__(self) -> None:
        self.runs = 0

    def prepare(self, view: View) -> NDArray[np.float64]:
        return np.append(view.pixels.mean(axis=(0, 1)), 1)

    def analyse(self, batch: Sequence[NDArray[np.float64]]) -> list[Findings]:
        self.runs += len(batch)
        rows = [row / np.linalg.norm(row) for row in batch]
        return [Findings(embedding=Embedding(SPACE, row.astype("<f2").tobytes())) for row in rows]


class TinyLabels:
    """Says of each vector what it is."""

    name = "labels:tiny"
    revision = 7
    space = SPACE
    report = None

    def analyse_vectors(self, vectors: NDArray[np.float32]) -> list[Findings]:
        assert vectors.dtype == np.float32
        return [Findings(tags=(Tag("reddish", float(row[0]), "tiny"),), aesthetic=float(row[1])) for row in vectors]


def stages(*some: LoadedStage) -> Callable[[str], LoadedStage]:
    by_name = {stage.name: stage for stage in some}
    return lambda name: by_name[name]


def test_a_stage_that_fails_on_a_photo_costs_it_that_stage_only(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    stage = Brightness()
    moon = task(photos / "moon.png", 2, (Stage.DESCRIBE, "brightness"))
    with Image.open(photos / "moon.png") as image:
        dark = float(np.asarray(image.convert("RGB")).mean() / 255)
    stage.refuses = lambda value: abs(value - dark) < 0.02
    tasks = [
        task(photos / "coffee.png", 1, (Stage.DESCRIBE, "brightness")),
        moon,
        task(photos / "horse.png", 3, (Stage.DESCRIBE, "brightness")),
        task(photos / "rocket.jpg", 4, (Stage.DESCRIBE, "brightness")),
    ]
    results = {result.media_id: result for result in run(tasks, stages(stage))}
    for number in (1, 3):
        good = results[number]
        assert isinstance(good, Analysis)
        assert (good.stages, good.failed) == ({Stage.DESCRIBE: STAGES[Stage.DESCRIBE], "brightness": 3}, ())
        [tag] = good.tags["brightness"]
        assert tag.name == "bright"
        assert good.seconds["brightness"] > 0
    for number, reason in ((2, "ZeroDivisionError: too dark"), (4, "KeyError: 'no JPEG please'")):
        partly = results[number]
        assert isinstance(partly, Analysis)
        assert list(partly.stages) == [Stage.DESCRIBE]
        assert partly.info is not None
        [failure] = partly.failed
        assert failure.stages == ("brightness",)
        assert reason in failure.title
        assert not failure.permanent


def test_what_a_stage_may_not_say_is_its_failure(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    wrong = {
        "nan": lambda value: Tag("bright", float("nan"), "test"),
        "above 1": lambda value: Tag("bright", 1 + value, "test"),
        "no text": lambda value: Tag(7, value, "test"),  # type: ignore[arg-type]
        "empty": lambda value: Tag("  ", value, "test"),
        "a person's": lambda value: Tag("bright", value, "authored"),
        "no tag": lambda value: "bright",
    }
    for tag in wrong.values():
        stage = Brightness()
        stage.tag = tag  # type: ignore[assignment]
        [result] = run([task(photos / "coffee.png", 1, (Stage.DESCRIBE, "brightness"))], stages(stage))
        assert isinstance(result, Analysis)
        assert list(result.stages) == [Stage.DESCRIBE]
        assert "cannot be used" in result.failed[0].title
    stage = Brightness()
    stage.tag = lambda value: Tag(" Bright ", np.float32(value), "test", count=np.int64(2))  # type: ignore[arg-type]
    [result] = run([task(photos / "coffee.png", 1, ("brightness",))], stages(stage))
    assert isinstance(result, Analysis)
    [plain] = result.tags["brightness"]
    assert (plain.name, type(plain.confidence), type(plain.count)) == ("bright", float, int)


def test_a_stage_that_cannot_be_loaded_costs_the_photos_that_stage_only(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    loads = []

    def load(name: str) -> LoadedStage:
        loads.append(name)
        raise StageFailed("The plug-in is broken.", "Mend it.")

    tasks = [task(photos / "coffee.png", number, (Stage.DESCRIBE, "brightness")) for number in range(3)]
    results = run([*tasks, task(photos / "moon.png", 3, ("brightness",))], load)
    assert loads == ["brightness"]
    for result in results:
        assert isinstance(result, Analysis)
        assert [failure.title for failure in result.failed] == ["The plug-in is broken."]
        assert list(result.stages) == ([] if result.media_id == 3 else [Stage.DESCRIBE])


class TinyCutter:
    """Cuts out what it is told to."""

    name = "segmentation:tiny"
    revision = 1
    short_side = 32
    report = None

    def __init__(self, cut_out: bytes | None) -> None:
        self.cut_out = cut_out

    def prepare(self, view: View) -> None:
        del view

    def analyse(self, batch: Sequence[None]) -> list[Findings]:
        return [Findings(cut_out=self.cut_out) for _ in batch]


def test_a_cut_out_lies_beside_the_thumbnail_as_long_as_the_photo_has_one(
    run: Callable[..., list[Analysis | Failure]], photos: Path, tmp_path: Path
) -> None:
    def cut(stage: LoadedStage, *owed: str) -> list[bytes]:
        [result] = run([task(photos / "coffee.png", 1, owed)], stages(stage))
        assert isinstance(result, Analysis)
        assert (sorted(result.stages), result.failed) == (sorted(owed), ())
        thumbnails = list((tmp_path / "thumbnails").rglob("*.jpg"))
        return [thumbnail.with_suffix(".png").read_bytes() for thumbnail in thumbnails
                if thumbnail.with_suffix(".png").exists()]  # fmt: skip

    first, second = (encode_cut_out(np.full((9, 9, 3), grey, np.uint8), np.eye(3, dtype=bool)) for grey in (50, 90))
    assert cut(TinyCutter(first), Stage.DESCRIBE, "segmentation:tiny") == [first]
    assert cut(TinyCutter(second), "segmentation:tiny") == [second]
    assert cut(TinyCutter(None), Stage.DESCRIBE) == [second], "nobody looked for a subject"
    assert cut(TinyCutter(None), "segmentation:tiny") == []
    assert not list((tmp_path / "thumbnails").rglob("*.part"))


def test_a_cut_out_that_is_no_picture_is_a_failure(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    [result] = run([task(photos / "coffee.png", 1, ("segmentation:tiny",))], stages(TinyCutter(b"<svg/>")))
    assert isinstance(result, Analysis)
    assert "the cut-out is no PNG" in result.failed[0].title


def test_photos_are_decoded_as_large_as_the_stages_want(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (1600, 2400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photos / "large.png", compress_level=1)
    small, large = Brightness(), Brightness(short_side=800)
    for stage in (small, large):
        run([task(photos / "large.png", 1, ("brightness",))], stages(stage))
    assert small.seen == [(400, 600)]
    assert large.seen == [(800, 1200)]


def test_photos_go_through_a_network_together(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    stage = Brightness()
    names = ("coffee.png", "moon.png", "coins.png", "horse.png", "grass.png", "chelsea.png", "clock_motion.png")
    run([task(photos / name, number, ("brightness",)) for number, name in enumerate(names)], stages(stage))
    assert sum(stage.batches) == len(names)
    assert len(stage.batches) < len(names)


def test_a_stored_vector_spares_the_file(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    embedding, labels = TinyEmbedding(), TinyLabels()
    stored = np.array([0.6, 0.8, 0, 0], "<f2").tobytes()
    gone = dataclasses.replace(task(photos / "moon.png", 1, ("labels:tiny",)), vectors=((0, stored),))
    (photos / "moon.png").unlink()
    began: list[int] = []
    [result] = run([gone], stages(embedding, labels), began=began.append)
    assert isinstance(result, Analysis)
    assert (result.stages, result.failed, result.embeddings) == ({"labels:tiny": 7}, (), ())
    assert result.tags["labels:tiny"][0].confidence == pytest.approx(0.6, abs=1e-3)
    assert result.aesthetic == {"labels:tiny": pytest.approx(0.8, abs=1e-3)}
    assert embedding.runs == 0
    assert began == [1]


def test_without_a_stored_vector_one_is_made_and_stored_only_if_it_is_owed(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    embedding, labels = TinyEmbedding(), TinyLabels()
    wrong = np.array([1, 0], "<f2").tobytes()  # of a space with other dimensions
    results = run(
        [
            task(photos / "coffee.png", 1, ("labels:tiny",)),
            task(photos / "coffee.png", 2, ("embedding:tiny", "labels:tiny")),
            dataclasses.replace(task(photos / "coffee.png", 3, ("labels:tiny",)), vectors=((0, wrong),)),
        ],
        stages(embedding, labels),
    )
    by_number = {result.media_id: result for result in results if isinstance(result, Analysis)}
    assert len(by_number) == 3
    assert embedding.runs == 3
    assert by_number[1].stages == {"labels:tiny": 7}
    assert by_number[2].stages == {"embedding:tiny": 5, "labels:tiny": 7}
    assert [len(by_number[number].embeddings) for number in (1, 2, 3)] == [0, 1, 0]
    first, second, third = (by_number[number].tags["labels:tiny"] for number in (1, 2, 3))
    assert first == second == third
    assert first[0].name == "reddish"


def test_without_its_vector_a_stage_fails_with_the_vectors_reason(
    run: Callable[..., list[Analysis | Failure]], photos: Path
) -> None:
    class NotANumber(TinyEmbedding):
        def analyse(self, batch: Sequence[NDArray[np.float64]]) -> list[Findings]:
            return [Findings(embedding=Embedding(SPACE, np.full(4, np.nan, "<f2").tobytes())) for _ in batch]

    [result] = run(
        [task(photos / "coffee.png", 1, (Stage.DESCRIBE, "embedding:tiny", "labels:tiny"))],
        stages(NotANumber(), TinyLabels()),
    )
    assert isinstance(result, Analysis)
    assert list(result.stages) == [Stage.DESCRIBE]
    assert {failure.stages for failure in result.failed} == {("embedding:tiny",), ("labels:tiny",)}
    assert all("embedding:tiny" in failure.title for failure in result.failed)


def test_a_device_that_failed_ends_the_run(run: Callable[..., list[Analysis | Failure]], photos: Path) -> None:
    class Poisoned(Brightness):
        def analyse(self, batch: Sequence[float]) -> list[Findings]:
            raise DeviceFailed("The device is gone.")

    with pytest.raises(DeviceFailed):
        run([task(photos / "coffee.png", 1, ("brightness",))], stages(Poisoned()))
