"""Several audio tracks as one: nothing is lost, and nothing is said twice."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from indexer.heard import mixed, side_by_side
from indexer.hearing import hear
from indexer.media.container import VideoLimits
from indexer.media.downmix import Downmix
from indexer.media.sound import open_audio
from indexer.models.sound import SoundEvents
from indexer.notes import Notes
from indexer.records import Event, Stage, Transcript, Utterance, Word
from tests.voices import RATE, Samples, chords, silence, spoken


def transcript(*sentences: tuple[float, str]) -> Transcript:
    utterances = []
    for start, text in sentences:
        words = tuple(
            Word(word, start + 0.3 * number, start + 0.3 * number + 0.2, 0.9)
            for number, word in enumerate(text.split())
        )
        utterances.append(Utterance(text, start, words[-1].end, 0.9, words))
    return Transcript("en", 1.0, tuple(utterances))


def test_what_two_tracks_say_at_the_same_time_is_told_once() -> None:
    microphone = transcript((1.0, "We turn left here."), (9.0, "Yes."))
    mix = transcript((1.1, "we turn left here"), (5.0, "The gate is open."), (20.0, "Yes."))
    assert [said.text for said in side_by_side([microphone, mix]).utterances] == [
        "We turn left here.", "The gate is open.", "Yes.", "Yes.",
    ]  # fmt: skip


def test_one_track_may_repeat_itself() -> None:
    chorus = transcript((1.0, "Go go go"), (1.5, "Go go go"))
    assert len(side_by_side([chorus, transcript()]).utterances) == 2


def test_it_is_silent_where_all_tracks_are() -> None:
    first = [Event("sound", "silence", 0.0, 10.0, 1.0)]
    second = [Event("sound", "speech", 0.0, 4.0, 0.9), Event("sound", "silence", 4.0, 12.0, 1.0)]
    assert [(one.label, one.start, one.end) for one in mixed([first, second], None)] == [
        ("speech", 0.0, 4.0),
        ("silence", 4.0, 10.0),
    ]


def test_what_one_track_leaves_unclear_another_may_say() -> None:
    unclear = [Event("speech", "not understood", 1.0, 2.0, 1.0), Event("speech", "not understood", 5.0, 9.0, 1.0)]
    found = mixed([unclear, []], transcript((1.0, "we turn left here")))
    assert [(one.start, one.end) for one in found] == [(5.0, 9.0)]


def write_tracks(path: Path, *tracks: Samples) -> Path:
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            frame = AudioFrame.from_ndarray((track * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def test_every_track_is_listened_to_and_a_resume_hears_the_same(tmp_path: Path) -> None:
    voice = np.concatenate([spoken("the children are playing on the beach"), silence(3)])
    path = write_tracks(tmp_path / "a.mka", silence(len(voice) / RATE), voice, chords(len(voice) / RATE))
    told: list[float] = []
    with open_audio(str(path), VideoLimits()) as audio:
        stages = {str(Stage.SOUND): SoundEvents(Stage.SOUND)}
        whole = hear(audio.source, stages, Notes(tmp_path / "a", "c0ffee", ""), tell=told.append)
        assert {event.label for event in whole.events[Stage.SOUND]} == {"speech", "music"}
        assert told == sorted(told)
        assert told[-1] == pytest.approx(len(voice) / RATE, abs=0.1)
        pages = Notes(tmp_path / "a", "c0ffee", "").pages(dict)
        assert len(pages) == 3
        for count in range(3):
            notes = Notes(tmp_path / f"after {count}", "c0ffee", "")
            for number in range(count):
                notes.add(number, pages[number])
            assert hear(audio.source, stages, notes, tell=lambda _: None) == whole


def test_opposite_phases_do_not_cancel() -> None:
    voice, music = spoken("we are baking in the kitchen"), chords(3)
    music = np.resize(music, len(voice)).astype(np.float32)

    def added(left: Samples, right: Samples) -> Samples:
        downmix = Downmix()
        parts = [downmix.add(np.stack([left, right])[:, at : at + 1000]) for at in range(0, len(left), 1000)]
        return np.concatenate([*parts, downmix.rest()])

    assert np.array_equal(added(voice, voice), voice)
    assert added(voice, -voice).std() > 0.6 * voice.std()
    both = added(music + voice, music - voice)
    assert len(both) == len(voice)
    # What is left when the music is taken out as well as it can be is the voice.
    assert both.std() > 0.6 * np.hypot(music.std(), voice.std())
