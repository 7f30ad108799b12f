"""Speech by the builtin Whisper, on sound that espeak-ng speaks at known times."""

from __future__ import annotations

import difflib
import itertools
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.speech import SpeechStage, joined, load
from indexer.models.voice import LONGEST, RATE, speech_in, voice_in
from indexer.records import Transcript
from indexer.stage import SoundStage, Stretch
from tests import sample_footage, tiny_tasks
from tests.sample_footage import READ, READ_FROM, READ_UNTIL, READING
from tests.voices import chords, noise, sentences, silence, spoken

FIRST = "the children are playing on the beach"
SECOND = "we are baking in the kitchen"
STAGE = "speech:whisper-tiny-en"
SECONDS = RATE


def transcribed(stage: SoundStage, sound: NDArray[np.float32]) -> Transcript:
    heard = stage.listen(sound, speech_in(voice_in(sound), len(sound)))
    assert heard.transcript is not None
    assert heard.events == ()
    return heard.transcript


@pytest.fixture(scope="module")
def heard(whisper: SpeechStage) -> Transcript:
    """Two sentences, at 3 and, after a pause of 13 seconds, at about 18 seconds."""
    return transcribed(whisper, sentences([FIRST, SECOND], [3, 13]).sound)


def test_words_are_found_at_their_time(heard: Transcript) -> None:
    times = {word.text.strip(".,").lower(): word for said in heard.utterances for word in said.words}
    said = sentences([FIRST, SECOND], [3, 13])
    for word, start, before in (
        ("children", said.starts[0], "the"),
        ("beach", said.starts[0], "the children are playing on the"),
        ("we", said.starts[1], ""),
        ("kitchen", said.starts[1], "we are baking in the"),
    ):
        begun = start + (len(spoken(before)) / RATE if before else 0)
        assert times[word].start == pytest.approx(begun, abs=0.3), word
    assert times["beach"].end == pytest.approx(said.ends[0], abs=0.3)
    assert times["kitchen"].end == pytest.approx(said.ends[1], abs=0.3)


def test_sentences_come_in_order_with_their_words_and_how_sure_they_are(heard: Transcript) -> None:
    assert (heard.language, heard.language_confidence) == ("en", 1.0)
    assert "beach" in heard.utterances[0].text
    assert "kitchen" in heard.utterances[-1].text
    for said in heard.utterances:
        assert said.text == " ".join(word.text for word in said.words)
        assert said.start == said.words[0].start < said.end == said.words[-1].end
        assert 0.3 < said.confidence <= 1
        assert all(word.start < word.end and 0 <= word.confidence <= 1 for word in said.words)
        assert all(left.end <= right.start + 0.01 for left, right in itertools.pairwise(said.words))
    assert all(said.end - said.start < 6 for said in heard.utterances), "times were stretched over the pause"


def test_a_real_voice_is_understood_and_its_words_lie_where_it_reads_them(whisper: SpeechStage) -> None:
    sample_footage.check()
    with wave.open(str(READING)) as file:
        assert file.getframerate() == RATE
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    said = transcribed(whisper, np.concatenate([silence(7), read, silence(2)])).utterances
    heard = re.findall(r"[a-z]+", " ".join(one.text for one in said).lower())
    assert difflib.SequenceMatcher(None, heard, READ.split()).ratio() > 0.85
    assert said[0].start == pytest.approx(7 + READ_FROM, abs=0.4)
    assert said[-1].end == pytest.approx(7 + READ_UNTIL, abs=0.4)


def test_of_a_long_stretch_nothing_is_left_out(whisper: SpeechStage) -> None:
    """Whisper hears these twelve sentences as two stretches, and said only five of the first six with time marks."""
    texts = (
        f"{FIRST}; {SECOND}; the dog is running in the garden; my brother is reading a book; the train is leaving the "
        "city; grandmother bought a red dress last week; please close the window before it rains; nobody knows where "
        "the keys are; the boat sails over the wide lake; tomorrow we will visit the museum; her birthday party "
        "starts at seven; two horses stand behind the old house"
    ).split("; ")
    said = sentences(texts, [0.7] * 12)
    found = transcribed(whisper, np.concatenate([noise(10), said.sound]))
    assert [one.start for one in found.utterances] == pytest.approx([10 + start for start in said.starts], abs=0.3)
    assert [one.end for one in found.utterances] == pytest.approx([10 + end for end in said.ends], abs=0.3)
    spoken_words = sum(len(text.split()) for text in texts)
    assert sum(len(one.words) for one in found.utterances) == pytest.approx(spoken_words, abs=2)


@pytest.mark.parametrize(
    "sound",
    [silence(40), chords(20), noise(20), noise(20, slope=1), silence(0), silence(0.01)],
    ids=["silence", "chords", "white noise", "pink noise", "nothing", "a moment"],
)
def test_where_nobody_speaks_nothing_is_made_up(whisper: SpeechStage, sound: NDArray[np.float32]) -> None:
    assert transcribed(whisper, sound) == Transcript(None, 0.0, ())


def test_how_it_runs_is_told(whisper: SpeechStage) -> None:
    assert (whisper.name, isinstance(whisper, SoundStage)) == (STAGE, True)
    assert whisper.revision > 0
    assert whisper.report is not None
    assert whisper.report.stage == STAGE
    assert whisper.report.runtime.startswith("faster-whisper ")
    assert (whisper.report.device, whisper.report.precision) == ("CPU", "int8")


def test_what_whisper_hears_at_once_is_cut_at_a_long_pause() -> None:
    speech = [Stretch(number * 3 * SECONDS, int((number * 3 + 2.6) * SECONDS)) for number in range(14)]
    speech[6] = Stretch(18 * SECONDS, int(20.1 * SECONDS))
    stretches = joined(speech, 60 * SECONDS)
    assert len(stretches) == 2
    assert speech[6].end < stretches[0].end <= stretches[1].start < speech[7].start
    assert all(one.end - one.start <= LONGEST * RATE + RATE for one in stretches)


def test_short_pauses_stay_and_long_ones_part() -> None:
    speech = [
        Stretch(SECONDS, 2 * SECONDS),
        Stretch(int(2.5 * SECONDS), 5 * SECONDS),
        Stretch(7 * SECONDS, 9 * SECONDS),
    ]
    margin = SECONDS // 5
    assert joined(speech, 10 * SECONDS) == [
        Stretch(SECONDS - margin, 5 * SECONDS + margin),
        Stretch(7 * SECONDS - margin, 9 * SECONDS + margin),
    ]
    assert joined([Stretch(0, 9 * SECONDS)], 9 * SECONDS) == [Stretch(0, 9 * SECONDS)]
    assert joined([], 9 * SECONDS) == []


def test_the_other_engine_is_named_with_its_command_where_it_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    installed = tiny_tasks.install("w", "speech", folder, tmp_path / "models", engine="openai-whisper")
    with pytest.raises(ModelError) as caught:
        load("speech:w", installed, tiny_tasks.resources(tmp_path))
    assert caught.value.remedy == "Install it: pip install 'reverie-media[whisper]'"


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"not a model")
    resources = tiny_tasks.resources(tmp_path)
    with pytest.raises(ModelError, match="cannot load the model"):
        load("speech:w", tiny_tasks.install("w", "speech", folder, resources.models), resources)
    with pytest.raises(ModelError, match='wants the engine "vosk"'):
        load("speech:v", tiny_tasks.install("v", "speech", folder, resources.models, engine="vosk"), resources)
