"""Listening to a file piece by piece: nothing is lost or doubled at the seams, and a resume changes nothing."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import ModelError, StageBroken, StageFailed
from indexer import hearing
from indexer.heard import HeardAll
from indexer.hearing import hear
from indexer.media.container import VideoLimits
from indexer.media.sound import open_audio
from indexer.media.video import open_video
from indexer.models.sound import SoundEvents
from indexer.models.speech import SpeechStage
from indexer.notes import Notes
from indexer.records import Event, Stage
from indexer.stage import Heard, SoundStage, Stretch
from tests.indexer.media.clips import four_corners, write_clip
from tests.voices import RATE, Samples, chords, noise, sentences, silence, spoken

SENTENCES = (
    "the children are playing on the beach",
    "we are baking in the kitchen",
    "the dog is running in the garden",
    "my brother is reading a book",
    "the train is leaving the city",
)
KEYS = ("beach", "kitchen", "garden", "book", "city")


class Recorder:
    """A stage that says exactly which samples it was given: any other sample is another event."""

    revision = 1
    report = None

    def __init__(self, name: str = "recorder") -> None:
        self.name = name
        self.lengths: list[int] = []

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        self.lengths.append(len(sound))
        label = hashlib.sha256(sound.tobytes() + repr(speech).encode()).hexdigest()
        return Heard(events=(Event("sound", label, 0.0, len(sound) / RATE, 1.0),))


class Failing(Recorder):
    """Fails on its second piece."""

    def __init__(self, error: Exception) -> None:
        super().__init__("failing")
        self._error = error

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        if self.lengths:
            raise self._error
        return super().listen(sound, speech)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of up to ten seconds, and a file that is opened anew after half a minute: so that clips can be short."""
    monkeypatch.setattr(hearing, "LONGEST_PIECE", 10.0)
    monkeypatch.setattr(hearing, "READ_AT_ONCE", 30.0)


def listened(path: Path, folder: Path, *stages: SoundStage, told: list[float] | None = None) -> HeardAll:
    with open_audio(str(path), VideoLimits()) as audio:
        notes = Notes(folder, "c0ffee", "about")
        named = {stage.name: stage for stage in stages}
        return hear(audio.source, named, notes, tell=(told if told is not None else []).append)


def file_of(path: Path, sound: Samples, codec: str = "pcm_s16le") -> Path:
    return write_clip(path, [], sound=sound, rate=RATE, audio_codec=codec)


def story() -> Samples:
    """45 seconds: voices, music, silence, noise."""
    said = sentences(SENTENCES, [1.0, 0.8, 0.6, 0.8, 0.7]).sound
    return np.concatenate([said, chords(12), silence(7), noise(6), said])


@pytest.mark.usefixtures("short")
def test_no_word_is_lost_or_doubled_where_pieces_end(tmp_path: Path, whisper: SpeechStage) -> None:
    said = sentences(SENTENCES, [1.0, 0.8, 0.6, 0.8, 0.7])
    recorder, told = Recorder(), list[float]()
    found = listened(file_of(tmp_path / "a.wav", said.sound), tmp_path, whisper, recorder, told=told)
    assert len(recorder.lengths) >= 2
    transcript = found.transcripts[whisper.name]
    assert transcript.language == "en"
    words = [word for one in transcript.utterances for word in one.words]
    spelled = [word.text.strip(".,").lower() for word in words]
    for key, text, start, end in zip(KEYS, SENTENCES, said.starts, said.ends, strict=True):
        assert spelled.count(key) == 1
        first = words[spelled.index(key) - len(text.split()) + 1]
        assert first.start == pytest.approx(start, abs=0.3), text
        before = text.removesuffix(key).strip()
        assert words[spelled.index(key)].start == pytest.approx(start + len(spoken(before)) / RATE, abs=0.3), key
        assert words[spelled.index(key)].end == pytest.approx(end, abs=0.3), key
    assert len(words) == sum(len(text.split()) for text in SENTENCES)
    assert all(left.start < right.start for left, right in itertools.pairwise(words))
    assert list(dict.fromkeys(told)) == pytest.approx([0, *np.cumsum(recorder.lengths) / RATE])


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.ogg", "libopus")]
)
def test_going_on_after_any_piece_hears_the_very_same(tmp_path: Path, name: str, codec: str) -> None:
    rate = 48_000 if codec == "libopus" else RATE
    sound = np.repeat(story(), rate // RATE)
    path = write_clip(tmp_path / name, [], sound=sound, rate=rate, audio_codec=codec)
    whole = listened(path, tmp_path / "whole", Recorder(), SoundEvents(Stage.SOUND))
    pages = Notes(tmp_path / "whole", "c0ffee", "about").pages(dict)
    assert len(pages) >= 5
    for count in range(len(pages) + 1):
        folder = tmp_path / f"after {count}"
        notes = Notes(folder, "c0ffee", "about")
        for number, page in enumerate(pages[:count]):
            notes.add(number, page)
        recorder = Recorder()
        assert listened(path, folder, recorder, SoundEvents(Stage.SOUND)) == whole
        assert len(recorder.lengths) == len(pages) - count


@pytest.mark.usefixtures("short")
def test_pieces_hold_the_whole_sound_and_end_in_pauses(tmp_path: Path) -> None:
    sound = story()
    path = file_of(tmp_path / "a.wav", sound)
    recorder = Recorder()
    listened(path, tmp_path, recorder)
    assert sum(recorder.lengths) == pytest.approx(len(sound), abs=2)
    assert all(5 * RATE <= length <= 10 * RATE for length in recorder.lengths[:-1])
    voices = np.abs(sound[: int(10 * RATE)])
    first = recorder.lengths[0]
    assert voices[first - RATE // 10 : first + RATE // 10].max() < 0.01


@pytest.mark.usefixtures("short")
def test_what_goes_on_from_piece_to_piece_is_one_event(tmp_path: Path) -> None:
    sound = np.concatenate([silence(25), chords(26), noise(3)])
    found = listened(file_of(tmp_path / "a.wav", sound), tmp_path, SoundEvents(Stage.SOUND))
    events = found.events[Stage.SOUND]
    assert [event.label for event in events] == ["silence", "music"]
    assert (events[0].start, events[0].end) == pytest.approx((0, 25), abs=0.6)
    # What begins in the last seconds of a piece is heard from the next one on.
    assert 24 < events[1].start < 29
    assert events[1].end == pytest.approx(51, abs=1)
    assert all(0.5 < event.confidence <= 1 for event in events)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "error", [StageFailed("It cannot.", "Try."), ValueError("surprise")], ids=["said", "unforeseen"]
)
def test_a_stage_that_fails_harms_no_other(tmp_path: Path, error: Exception) -> None:
    path = file_of(tmp_path / "a.wav", story())
    found = listened(path, tmp_path, Failing(error), SoundEvents(Stage.SOUND))
    assert list(found.failed) == ["failing"]
    assert "failing" not in found.events
    assert {event.label for event in found.events[Stage.SOUND]} == {"speech", "music", "silence"}
    again = listened(path, tmp_path, Recorder("failing"), SoundEvents(Stage.SOUND))
    assert again.failed["failing"].title == found.failed["failing"].title
    assert again.events == found.events


@pytest.mark.usefixtures("short")
def test_a_model_that_cannot_work_blames_no_file(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.wav", story())
    with pytest.raises(StageBroken, match="No memory"):
        listened(path, tmp_path, Failing(ModelError("No memory.", "Get more.")))


def test_without_sound_nothing_is_heard(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", [four_corners()] * 30)
    with open_video(str(path), VideoLimits()) as video:
        told: list[float] = []
        found = hear(video.source, {"recorder": Recorder()}, Notes(tmp_path, "c0ffee", "about"), tell=told.append)
    assert (found, told) == (HeardAll({}, {}), [])


def test_notes_of_another_version_are_written_anew(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.wav", story())
    Notes(tmp_path, "c0ffee", "about").add(0, {"heard": "of another form"})
    found = listened(path, tmp_path, Recorder())
    assert found == listened(path, tmp_path / "elsewhere", Recorder())


@pytest.mark.usefixtures("short")
def test_sound_that_stops_for_a_while_keeps_its_times(tmp_path: Path) -> None:
    """At 0 music; none from 8 to 11 seconds (shorter than a piece), nor from 20 to 50 (longer)."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for begin, length in ((0.0, 8), (11.0, 9), (50.0, 8)):
            sound = (chords(length) * 32767).astype(np.int16)
            for at in range(0, len(sound), 320):
                piece = av.AudioFrame.from_ndarray(sound[None, at : at + 320], "s16", "mono")
                piece.sample_rate, piece.time_base = RATE, Fraction(1, RATE)
                piece.pts = round(begin * RATE) + at
                output.mux(stream.encode(piece))
        output.mux(stream.encode())
    found = listened(path, tmp_path, SoundEvents(Stage.SOUND)).events[Stage.SOUND]
    music = [(event.start, event.end) for event in found if event.label == "music"]
    assert [start for start, _ in music] == pytest.approx([0, 11, 50], abs=1)
    assert [end for _, end in music] == pytest.approx([8, 20, 58], abs=1)
    silent = [(event.start, event.end) for event in found if event.label == "silence"]
    assert silent == [pytest.approx((8, 11), abs=0.6)]
