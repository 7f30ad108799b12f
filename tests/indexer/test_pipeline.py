"""Many photos at once: each gets its own result, whatever the others do."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from config.errors import DeviceFailed, ModelError, StageBroken, StageFailed
from indexer.media.files import FileIdentity
from indexer.media.limits import Limits
from indexer.models.builtin import load_concept_model
from indexer.models.concept_stage import ConceptStage
from indexer.models.cut_out import encode_cut_out
from indexer.pipeline import Pipeline, Task
from indexer.records import Analysis, Embedding, Failure, Space, Stage, Tag
from indexer.stage import Findings, LoadedStage, View
from indexer.stages import STAGES
from tests.sample_photos import copy_photos

EVERYTHING = tuple(STAGES)
NO_NETWORK = (Stage.DESCRIBE, Stage.PIXELS)
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>breakfast</rdf:li>'
    "</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="module")
def concepts(model_cache: Path) -> ConceptStage:
    return ConceptStage(load_concept_model(model_cache, threads=2), batch_size=4)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    copy_photos(tmp_path / "photos")
    return tmp_path / "photos"


def task(path: Path, number: int = 1, stages: tuple[str, ...] = EVERYTHING, sidecar: Path | None = None) -> Task:
    status = path.stat()
    return Task(
        media_id=number,
        content_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
        path=str(path),
        identity=FileIdentity(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino),
        sidecar=None if sidecar is None else str(sidecar),
        stages=stages,
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Analysis | Failure]]:
    """Runs a pipeline to its end; returns the results in the order they were delivered."""

    def run(
        tasks: Iterator[Task] | list[Task],
        load: Callable[[str], LoadedStage],
        *,
        began: Callable[[int], None] = lambda _: None,
        batch_size: int = 4,
    ) -> list[Analysis | Failure]:
        results: list[Analysis | Failure] = []
        Pipeline(
            load_stage=load,
            thumbnails=tmp_path / "thumbnails",
            limits=Limits(max_pixels=20_000_000, max_bytes=50_000_000),
            decode_threads=2,
            batch_size=batch_size,
            max_wait=0.05,
        ).run(iter(tasks), began=began, deliver=results.append)
        return results

    return run


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
        assert result.stages == STAGES
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
            task(photos / "coffee.png", 1, (Stage.DESCRIBE,), photos / "coffee.xmp"),
            task(photos / "rocket.jpg", 2, (Stage.DESCRIBE,), photos / "bad.xmp"),
            task(photos / "moon.png", 3, (Stage.DESCRIBE,), photos / "none.xmp"),
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
    gone = dataclasses.replace(task(photos / "moon.png", 1, ("labels:tiny",)), vector=stored)
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
            dataclasses.replace(task(photos / "coffee.png", 3, ("labels:tiny",)), vector=wrong),
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
