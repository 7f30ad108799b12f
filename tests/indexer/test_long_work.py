"""Videos and sounds from beginning to end, by the real networks of the builtin profile."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import ModelError, StageBroken, StageFailed
from indexer import notes
from indexer.models.builtin import load_concept_model
from indexer.models.concept_stage import ConceptStage
from indexer.models.speech import SpeechStage
from indexer.pictures import Pictures
from indexer.pipeline import Pipeline, Task
from indexer.records import Analysis, Detection, Failure, Kind, RuntimeReport, Space, Stage, Tag
from indexer.stage import Findings, Heard, LoadedStage, Stretch, View
from indexer.stages import STAGES
from tests.films import View as Shot
from tests.films import film, soundtrack
from tests.indexer.media.clips import write_clip
from tests.indexer.tasks import task
from tests.sample_photos import copy_photos

Run = Callable[..., list[Analysis | Failure]]
SPEECH = "speech:whisper-tiny-en"
LOOKS = (Stage.DESCRIBE, Stage.PIXELS, Stage.CONCEPTS)
SHOTS = (("coffee.png", 8), ("chelsea.png", 7), ("", 2), ("motorcycle_left.png", 14), ("flower.jpg", 9))


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds: five shots, one of them black, and two sentences."""
    path = tmp_path_factory.mktemp("films") / "party.mp4"
    shots = [Shot(photo, seconds) for photo, seconds in SHOTS]
    return film(path, shots, says=[(4.0, "Happy birthday to you."), (20.0, "Look at the yellow flower in the garden.")])


@pytest.fixture(scope="module")
def concepts(model_cache: Path) -> ConceptStage:
    return ConceptStage(load_concept_model(model_cache, threads=2), batch_size=4)


@pytest.fixture
def load(concepts: ConceptStage, whisper: SpeechStage) -> Callable[[str], LoadedStage]:
    stages: dict[str, LoadedStage] = {Stage.CONCEPTS: concepts, SPEECH: whisper, **PLANTED}
    return stages.__getitem__


def video(path: Path, *stages: str, number: int = 1) -> Task:
    return dataclasses.replace(task(path, number, stages), kind=Kind.VIDEO)


def only(results: Sequence[Analysis | Failure]) -> Analysis:
    [result] = results
    assert isinstance(result, Analysis), result
    return result


def test_each_moment_is_known_by_what_it_shows(run: Run, load: Callable[[str], LoadedStage], party: Path) -> None:
    analysis = only(run([video(party, *LOOKS)], load))
    assert analysis.stages == {stage: STAGES[stage] for stage in LOOKS}
    whole, *moments = analysis.segments
    assert (whole.ordinal, whole.start) == (0, 0.0)
    assert whole.end == pytest.approx(40, abs=0.2)
    assert [moment.ordinal for moment in moments] == list(range(1, len(moments) + 1))
    assert all(one.end == other.start for one, other in itertools.pairwise(moments))
    shots = {moment.shot: moment.start for moment in reversed(moments)}
    assert list(reversed(shots.values())) == pytest.approx([0, 8, 15, 17, 31], abs=0.1)

    def tags(at: float) -> set[str]:
        [moment] = [one for one in moments if one.start is not None and one.end and one.start <= at < one.end]
        return {tag.name for tag in analysis.tags[Stage.CONCEPTS] if tag.segment == moment.ordinal}

    assert "espresso" in tags(2)
    assert "cat" in tags(10)
    assert "motorcycle" in tags(20)
    black = next(moment for moment in moments if moment.start == pytest.approx(15, abs=0.1))
    assert black.keyframe is None
    assert {one.segment for one in analysis.embeddings} == {one.ordinal for one in moments} - {black.ordinal}


def test_moments_have_keyframes_and_the_whole_a_cover(
    run: Run, load: Callable[[str], LoadedStage], party: Path, tmp_path: Path
) -> None:
    analysis = only(run([video(party, *LOOKS)], load))
    pictures, content = Pictures(tmp_path / "thumbnails"), video(party).content_hash
    for moment in analysis.segments:
        assert (pictures.keyframe(content, moment.ordinal) is not None) == (moment.keyframe is not None)
    assert analysis.segments[0].keyframe in {moment.keyframe for moment in analysis.segments[1:]}
    assert pictures.preview(content) is not None
    assert analysis.pixels is not None


def test_what_is_said_is_known_with_its_time(run: Run, load: Callable[[str], LoadedStage], party: Path) -> None:
    transcript = only(run([video(party, SPEECH)], load)).transcripts[SPEECH]
    starts = {word.text.strip(".,").lower(): word.start for said in transcript.utterances for word in said.words}
    assert starts["birthday"] == pytest.approx(4.4, abs=0.5)
    assert starts["yellow"] == pytest.approx(20.8, abs=0.5)


def test_an_interrupted_video_is_gone_on_with(
    run: Run, load: Callable[[str], LoadedStage], party: Path, tmp_path: Path
) -> None:
    stages = (*LOOKS, SPEECH, Bright.name)
    whole = only(run([video(party, *stages)], load, batch_size=1))
    for pictures in (20, 75):  # before the first chunk is noted, and after it
        shutil.rmtree(tmp_path / "notes")
        fuse = Fuse(pictures)
        with pytest.raises(StageBroken):
            run(
                [video(party, *stages)], lambda name, fuse=fuse: fuse if name == fuse.name else load(name), batch_size=1
            )
        again = only(run([video(party, *stages)], load, batch_size=1))
        assert dataclasses.replace(again, seconds={}) == dataclasses.replace(whole, seconds={})


def test_a_sound_with_the_name_of_a_video_is_a_sound(
    run: Run, load: Callable[[str], LoadedStage], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "memo.mp4", [], sound=soundtrack(8, [(1.0, "Buy some milk.")]))
    analysis = only(run([video(path, *LOOKS, SPEECH)], load))
    assert analysis.info is not None
    assert (analysis.info.kind, analysis.info.width) == (Kind.AUDIO, None)
    assert analysis.stages.keys() == {*LOOKS, SPEECH}
    assert "milk" in " ".join(said.text for said in analysis.transcripts[SPEECH].utterances)
    assert [segment.ordinal for segment in analysis.segments] == [0]


def test_a_video_without_sound_says_nothing(run: Run, load: Callable[[str], LoadedStage], tmp_path: Path) -> None:
    path = film(tmp_path / "silent.mp4", [Shot("coffee.png", 3)], silent=True)
    analysis = only(run([video(path, *LOOKS, SPEECH)], load))
    assert analysis.stages.keys() == {*LOOKS, SPEECH}
    assert not any(transcript.utterances for transcript in analysis.transcripts.values())


def test_photos_are_not_held_up_by_a_video(
    run: Run, load: Callable[[str], LoadedStage], party: Path, tmp_path: Path
) -> None:
    copy_photos(tmp_path / "photos")
    photos = [task(path, number) for number, path in enumerate(sorted((tmp_path / "photos").iterdir()), start=2)]
    results = run([video(party, *LOOKS, SPEECH), *photos], load)
    assert {result.media_id for result in results} == set(range(1, len(photos) + 2))
    assert results[-1].media_id == 1, "every photo is done before a video that came first"


@pytest.mark.parametrize("name", ["detection:stubborn", "speech:stubborn"])
def test_a_stage_that_fails_costs_a_video_that_stage_only(
    run: Run, load: Callable[[str], LoadedStage], party: Path, name: str
) -> None:
    analysis = only(run([video(party, *LOOKS, SPEECH, name)], load))
    assert analysis.stages.keys() == {*LOOKS, SPEECH}
    assert [(failure.stages, failure.title) for failure in analysis.failed] == [((name,), "It will not.")]


def test_an_ear_that_brings_the_worker_down_does_so_before_all_is_seen(
    run: Run, load: Callable[[str], LoadedStage], party: Path
) -> None:
    with pytest.raises(StageBroken, match="The model is gone"):
        run([video(party, *LOOKS, "speech:broken")], load)


def test_things_are_followed_from_frame_to_frame(run: Run, load: Callable[[str], LoadedStage], party: Path) -> None:
    analysis = only(run([video(party, *LOOKS, "detection:bright")], load))
    tracks = analysis.events["detection:bright"]
    assert tracks
    assert {(event.kind, event.label) for event in tracks} == {("track", "bright")}
    assert all(len(event.path) > 1 and event.start < event.end for event in tracks)
    keyframed = {one.ordinal for one in analysis.segments[1:] if one.keyframe is not None}
    assert {box.segment for box in analysis.detections["detection:bright"]} <= keyframed


def test_vectors_that_are_stored_are_read_without_the_file(
    run: Run, load: Callable[[str], LoadedStage], party: Path
) -> None:
    vectors = tuple((ordinal, unit(ordinal)) for ordinal in (1, 2, 5))
    gone = dataclasses.replace(video(party, "labels:tiny"), path="/nowhere.mp4", vectors=vectors)
    analysis = only(run([gone], load))
    assert analysis.stages == {"labels:tiny": 1}
    named = {(tag.segment, tag.name) for tag in analysis.tags["labels:tiny"]}
    assert named == {(ordinal, f"axis {ordinal}") for ordinal in (1, 2, 5)}


def test_a_broken_video_is_a_failure_with_its_reason(
    run: Run, load: Callable[[str], LoadedStage], party: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(party.read_bytes()[:5000])
    [failure] = run([video(broken, *LOOKS)], load)
    assert isinstance(failure, Failure)
    assert failure.permanent
    assert failure.title and failure.remedy


def unit(axis: int) -> bytes:
    vector = np.zeros(8, np.float16)
    vector[axis] = 1
    return vector.tobytes()


class _Planted:
    """What the planted stages have in common."""

    revision = 1
    short_side = 64
    report: RuntimeReport | None = None


class Bright(_Planted):
    """A detector that finds the brightest part of a picture."""

    name = "detection:bright"

    def prepare(self, view: View) -> NDArray[np.uint8]:
        return np.asarray(view.pixels.mean(axis=2), np.uint8)

    def analyse(self, batch: Sequence[NDArray[np.uint8]]) -> list[Findings]:
        return [Findings(detections=(Detection("bright", 0.9, _around_brightest(picture)),)) for picture in batch]


class Fuse(Bright):
    """The same, until it has seen so many pictures: then it brings the worker down."""

    def __init__(self, pictures: int) -> None:
        self._left = pictures

    def analyse(self, batch: Sequence[NDArray[np.uint8]]) -> list[Findings]:
        self._left -= len(batch)
        if self._left < 0:
            raise ModelError("The model is gone.", "Nothing.")
        return super().analyse(batch)


class Stubborn(_Planted):
    """Fails on every picture and every sound."""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, view: View) -> int:
        return 0

    def analyse(self, batch: Sequence[int]) -> list[Findings]:
        raise StageFailed("It will not.", "Nothing.")


class StubbornEar(_Planted):
    name = "speech:stubborn"

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        raise StageFailed("It will not.", "Nothing.")


class BrokenEar(_Planted):
    name = "speech:broken"

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        raise ModelError("The model is gone.", "Nothing.")


class Axes(_Planted):
    """Names the greatest value of a vector."""

    name = "labels:tiny"
    space = Space("tiny", 8)

    def analyse_vectors(self, vectors: NDArray[np.float32]) -> list[Findings]:
        return [Findings(tags=(Tag(f"axis {int(vector.argmax())}", 0.5, "label"),)) for vector in vectors]


PLANTED: dict[str, LoadedStage] = {
    "detection:bright": Bright(),
    "detection:stubborn": Stubborn("detection:stubborn"),
    "speech:stubborn": StubbornEar(),
    "speech:broken": BrokenEar(),
    "labels:tiny": Axes(),
}


def _around_brightest(picture: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    height, width = picture.shape
    y, x = np.unravel_index(int(picture.argmax()), picture.shape)
    left, top = max(0.0, x / width - 0.2), max(0.0, y / height - 0.2)
    return (float(left), float(top), float(min(1.0, left + 0.4)), float(min(1.0, top + 0.4)))


def test_a_video_that_is_deleted_is_not_gone_through_to_its_end(
    run: Run, load: Callable[[str], LoadedStage], party: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    shutil.copyfile(party, copy)
    told: list[float] = []

    def delete(share: float) -> None:
        told.append(share)
        copy.unlink(missing_ok=True)

    [result] = run([video(copy, *LOOKS)], load, tell=lambda _, share: delete(share))
    assert isinstance(result, Failure)
    assert result.vanished
    assert max(told) < 0.9


def test_a_video_that_nobody_wants_any_more_is_broken_off_and_the_next_one_is_done(
    run: Run, load: Callable[[str], LoadedStage], party: Path, tmp_path: Path
) -> None:
    """One that is gone through, one that waits; a third is wanted."""
    waiting, wanted = (Path(shutil.copyfile(party, tmp_path / f"{name}.mp4")) for name in ("waiting", "wanted"))
    pipelines: list[Pipeline] = []
    told: list[float] = []

    def cancel(media_id: int, share: float) -> None:
        if media_id == 1:
            told.append(share)
            pipelines[0].cancel(1)
            pipelines[0].cancel(2)

    tasks = [video(party, *LOOKS), video(waiting, *LOOKS, number=2), video(wanted, *LOOKS, number=3)]
    results = run(tasks, load, tell=cancel, made=pipelines.append)
    vanished = [one.media_id for one in results if isinstance(one, Failure) and one.vanished]
    assert vanished == [1, 2]
    assert [one.media_id for one in results if isinstance(one, Analysis)] == [3]
    assert max(told) < 0.9


def test_only_what_a_recording_gained_is_analysed(run: Run, load: Callable[[str], LoadedStage], tmp_path: Path) -> None:
    """The same is found as in one pass over all of it, and most of the pictures are looked at once."""
    stages = (*LOOKS, SPEECH, Bright.name)
    shots = [Shot(photo, 14) for photo in ("coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png")]
    says = [(4.0, "Happy birthday to you."), (30.0, "Look at the yellow flower in the garden."), (50.0, "Good night.")]
    whole = film(tmp_path / "whole.ts", [*shots, *shots], says=[*says, *((at + 56, text) for at, text in says)])
    expected = only(run([video(whole, *stages)], load, batch_size=1))
    shutil.rmtree(tmp_path / "notes")

    data = whole.read_bytes()
    recording = tmp_path / "recording.ts"
    recording.write_bytes(data[: len(data) * 3 // 4 // 188 * 188])
    before, after = video(recording, *stages), video(whole, *stages)
    run([before], load, batch_size=1)
    notes.keep(tmp_path / "notes", before.content_hash, recording.stat().st_size)
    assert notes.kept(tmp_path / "notes") == {before.content_hash: recording.stat().st_size}
    Pictures(tmp_path / "thumbnails").forget(before.content_hash)
    Pictures(tmp_path / "thumbnails").forget(after.content_hash)

    notes.carry_on(tmp_path / "notes", before.content_hash, after.content_hash)
    gained = Fuse(expected.frames * 2 // 3)
    found = only(run([after], lambda name: gained if name == gained.name else load(name), batch_size=1))
    assert dataclasses.replace(found, seconds={}, frames=0) == dataclasses.replace(expected, seconds={}, frames=0)
    keyframes = Pictures(tmp_path / "thumbnails")
    assert all(
        keyframes.keyframe(after.content_hash, one.ordinal) for one in found.segments if one.keyframe is not None
    )
    assert notes.contents(tmp_path / "notes") == [after.content_hash]


def test_a_recording_that_goes_on_with_other_keyframes_is_seen_as_one_pass_sees_it(
    run: Run, load: Callable[[str], LoadedStage], tmp_path: Path
) -> None:
    shots = [Shot(photo, 9) for photo in ("coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png")] * 2
    first = film(tmp_path / "first.ts", shots, silent=True, options={"g": "15"})
    rest = film(tmp_path / "rest.ts", shots[:3], silent=True, options={"g": "900", "sc_threshold": "0"})
    whole = tmp_path / "whole.ts"
    whole.write_bytes(first.read_bytes() + rest.read_bytes())
    before, after = video(first, *LOOKS), video(whole, *LOOKS, number=2)
    run([before], load)
    notes.carry_on(tmp_path / "notes", before.content_hash, after.content_hash)
    assert set(notes.contents(tmp_path / "notes")) == {
        before.content_hash,
        after.content_hash,
    }  # it was not said to be done
    found = only(run([after], load, batch_size=1))
    shutil.rmtree(tmp_path / "notes")
    assert dataclasses.replace(only(run([after], load, batch_size=1)), seconds={}) == dataclasses.replace(
        found, seconds={}
    )
