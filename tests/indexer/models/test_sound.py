"""Speech, music and silence, told by the detector of voices and by notes; on sound made for it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from indexer.heard import joined
from indexer.models.loading import load_stage
from indexer.models.voice import LONGEST, WINDOW, pause_after, speech_in, voice_in
from indexer.records import Event, Stage
from indexer.stage import SoundStage
from tests import tiny_tasks
from tests.voices import RATE, Samples, chords, drums, noise, sentences, silence, spoken, wind

SENTENCE = "the children are playing on the beach and we are baking bread in the kitchen"
TIMES = np.arange(20 * RATE) / RATE


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> SoundStage:
    loaded = load_stage(Stage.SOUND, tiny_tasks.resources(tmp_path_factory.mktemp("sound")))
    assert isinstance(loaded, SoundStage)
    return loaded


def heard(stage: SoundStage, sound: Samples) -> list[tuple[str, float, float]]:
    events = joined(stage.listen(sound, speech_in(voice_in(sound), len(sound))).events)
    assert all(event.kind == "sound" and 0 < event.confidence <= 1 for event in events)
    assert [event.start for event in events] == sorted(event.start for event in events)
    return [(event.label, event.start, event.end) for event in events]


def tone(pitch: Samples | float) -> Samples:
    """A tone with overtones, whose pitch (Hz) may change."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, TIMES.shape)) / RATE
    return np.asarray(sum(np.sin(number * phase) / number for number in range(1, 8)) * 0.1, np.float32)


@pytest.mark.parametrize(
    "sound",
    [chords(20), chords(20, bpm=84), chords(20) + drums(20), chords(20) + noise(20, slope=1, loudness=0.05)],
    ids=["chords", "slow chords", "chords and drums", "chords in noise"],
)
def test_music_is_heard_from_its_beginning_to_its_end(stage: SoundStage, sound: Samples) -> None:
    found = heard(stage, np.concatenate([silence(6), sound, silence(5)]))
    assert [label for label, _, _ in found] == ["silence", "music", "silence"]
    assert found[1][1:] == pytest.approx((6, 26), abs=1)


@pytest.mark.parametrize(
    "sound",
    [
        noise(20),
        noise(20, slope=1),
        noise(20, slope=2),
        wind(20),
        drums(20),
        tone(100),
        tone(1000) * (TIMES % 1 < 0.5),
        tone(np.where(TIMES % 2 < 1, 440, 585)),
        tone(80 + 30 * np.sin(TIMES)),
        tone(800 + 400 * np.sin(2 * TIMES)),
        tone(np.random.default_rng(1).uniform(80, 900, 20)[TIMES.astype(int)]),
        np.zeros(0, np.float32),
    ],
    ids=[
        "white noise",
        "pink noise",
        "brown noise",
        "wind",
        "drums alone",
        "hum",
        "beeps",
        "two-tone siren",
        "engine",
        "wailing siren",
        "tones at random",
        "nothing",
    ],
)
def test_what_is_no_music_is_not_called_so(stage: SoundStage, sound: Samples) -> None:
    assert heard(stage, sound.astype(np.float32)) == []


def test_speech_silence_and_music_have_their_spans(stage: SoundStage) -> None:
    voice = spoken(SENTENCE)
    length = len(voice) / RATE
    found = heard(stage, np.concatenate([silence(3), voice, silence(4), chords(10)]))
    assert [label for label, _, _ in found] == ["silence", "speech", "silence", "music"]
    for (_, start, end), expected in zip(
        found, [(0, 3), (3, 3 + length), (3 + length, 7 + length), (7 + length, 17 + length)], strict=True
    ):
        assert (start, end) == pytest.approx(expected, abs=0.5)


def test_a_voice_over_music_is_speech_with_music_around_it(stage: SoundStage) -> None:
    music = chords(30) * 0.3
    voice = spoken(SENTENCE)
    music[12 * RATE : 12 * RATE + len(voice)] += voice
    found = heard(stage, music)
    assert [label for label, _, _ in found] == ["music", "speech", "music"]
    assert found[1][1:] == pytest.approx((12, 12 + len(voice) / RATE), abs=0.7)


def test_short_pauses_belong_to_speech_and_a_faint_hiss_is_silence(stage: SoundStage) -> None:
    said = sentences([SENTENCE, SENTENCE], [2.5, 0.7]).sound
    hiss = noise(len(said) / RATE + 3, loudness=0.0003)
    hiss[: len(said)] += said
    assert [label for label, _, _ in heard(stage, hiss)] == ["silence", "speech", "silence"]


def test_silence_counts_from_two_seconds_on(stage: SoundStage) -> None:
    loud = noise(1)
    found = heard(stage, np.concatenate([loud, silence(1.9), loud, silence(2.1), loud]))
    assert [(label, round(start, 1), round(end, 1)) for label, start, end in found] == [("silence", 3.9, 6.0)]


def test_speech_that_never_pauses_is_cut_where_the_voice_rests() -> None:
    sentence = spoken(SENTENCE.replace(" and", ""))
    sound = np.concatenate([sentence] * (1 + int(70 * RATE / len(sentence))))
    voice = voice_in(sound)
    stretches = speech_in(voice, len(sound))
    assert all(0 < one.end - one.start <= LONGEST * RATE for one in stretches)
    assert all(left.end <= right.start for left, right in itertools.pairwise(stretches))
    assert sum(one.end - one.start for one in stretches) > 0.85 * len(sound)
    never = np.full(2000, 0.9, np.float32)
    never[[700, 701, 702, 1500, 1501, 1502]] = 0.6
    parts = speech_in(never, 2000 * WINDOW)
    assert [round(part.end / WINDOW) for part in parts] == pytest.approx([701, 1501, 2000], abs=3)


def test_a_piece_ends_in_the_longest_pause_a_little_before_the_next_word() -> None:
    voice = np.full(1000, 0.9, np.float32)
    voice[600:618] = voice[700:740] = voice[900:920] = 0.1
    assert 703 < pause_after(voice, 500) <= 737
    voice[100:400] = 0.1  # before the place from which on it may end
    assert 703 < pause_after(voice, 500) <= 737
    voice[850:] = 0.1  # a pause that may go on
    assert 900 < pause_after(voice, 500) <= 990
    breathless = np.full(1000, 0.9, np.float32)
    breathless[812:818] = 0.5
    assert pause_after(breathless, 500) == pytest.approx(815, abs=3)


def test_it_needs_no_network_of_its_own(stage: SoundStage) -> None:
    assert stage.report is None
    assert stage.name == Stage.SOUND
    assert stage.listen(silence(2), ()).events == (Event("sound", "silence", 0.0, 2.0, 1.0),)
