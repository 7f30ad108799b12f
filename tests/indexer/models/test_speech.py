"""Speech by the builtin Whisper, on sound that espeak-ng speaks at known times."""

from __future__ import annotations

import io
import itertools
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.listing import ModelEntry, load_list
from indexer.models.speech import LONGEST, RATE, Span, SpeechModel, joined, load, speech_spans
from indexer.records import Transcript
from tests import tiny_tasks

FIRST = "the children are playing on the beach"
SECOND = "we are baking in the kitchen"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechModel:
    return load(entry(), tiny_tasks.resources(tmp_path_factory.mktemp("speech")))


def entry() -> ModelEntry:
    return load_list(()).models["whisper-tiny-en"]


def spoken(text: str) -> NDArray[np.float32]:
    """A voice that says the text, 16 kHz."""
    command = ["espeak-ng", "-v", "en-gb", "-s", "140", "--stdout", text]
    sound = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(sound)) as reader:
        rate, samples = reader.getframerate(), np.frombuffer(reader.readframes(10**9), "<i2")
    times = np.arange(0, len(samples) / rate, 1 / RATE)
    return np.interp(times, np.arange(len(samples)) / rate, samples / 32768).astype(np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(seconds * RATE), np.float32)


def chords(seconds: float) -> NDArray[np.float32]:
    """Something like music: a new triad each half second."""
    times = np.arange(int(seconds * RATE)) / RATE
    roots = 220 * 2 ** (np.array([0, 5, 7, 3, 8, 10])[(times * 2).astype(int) % 6] / 12)
    voices = sum(np.sin(2 * np.pi * np.cumsum(roots * ratio) / RATE) for ratio in (1, 1.26, 1.498))
    return (np.asarray(voices) * 0.2 * (1 - (times * 2) % 1)).astype(np.float32)


@pytest.fixture(scope="module")
def heard(model: SpeechModel) -> Transcript:
    """Two sentences, at 3 and, after a pause of nearly a minute, at 60 seconds."""
    sound = np.concatenate([silence(3), spoken(FIRST)])
    return model.transcribe(np.concatenate([sound, silence(60 - len(sound) / RATE), spoken(SECOND), silence(2)]))


def test_words_are_found_at_their_time(heard: Transcript) -> None:
    times = {word.text.strip(".,").lower(): word.start for said in heard.utterances for word in said.words}
    for word, begun, before in (
        ("beach", 3, "the children are playing on the"),
        ("kitchen", 60, "we are baking in the"),
    ):
        assert times[word] == pytest.approx(begun + len(spoken(before)) / RATE, abs=0.7), word


def test_sentences_come_in_order_with_their_words_and_how_sure_they_are(heard: Transcript) -> None:
    assert (heard.language, heard.language_confidence) == ("en", 1.0)
    assert "beach" in heard.utterances[0].text
    assert "kitchen" in heard.utterances[-1].text
    for said in heard.utterances:
        assert said.text == " ".join(word.text for word in said.words)
        assert said.start == said.words[0].start < said.end == said.words[-1].end
        assert 0.3 < said.confidence <= 1
        assert all(word.start <= word.end and 0 <= word.confidence <= 1 for word in said.words)
    assert [said.start for said in heard.utterances] == sorted(said.start for said in heard.utterances)
    assert all(said.end - said.start < 15 for said in heard.utterances), "times were stretched over the pause"


@pytest.mark.parametrize("sound", [silence(40), chords(20), silence(0), silence(0.01)], ids=len)
def test_where_nobody_speaks_nothing_is_made_up(model: SpeechModel, sound: NDArray[np.float32]) -> None:
    assert model.transcribe(sound) == Transcript(None, 0.0, ())


def test_how_it_runs_is_told(model: SpeechModel) -> None:
    assert model.report.stage == "speech:whisper-tiny-en"
    assert model.report.runtime.startswith("faster-whisper ")
    assert (model.report.device, model.report.precision) == ("CPU", "int8")


def test_long_speech_is_cut_into_what_whisper_hears_at_once() -> None:
    sentence = spoken(FIRST)
    speech = np.concatenate([sentence] * (1 + int(70 * RATE / len(sentence))))
    spans = speech_spans(speech)
    assert len(spans) >= 3
    assert all(0 < span.end - span.start <= LONGEST * RATE for span in spans)
    assert all(left.end <= right.start for left, right in itertools.pairwise(spans))
    assert sum(span.end - span.start for span in spans) > 0.9 * len(speech)


def test_short_pauses_stay_and_long_ones_part() -> None:
    second = RATE
    spans = [Span(0, 2 * second), Span(int(2.5 * second), 5 * second), Span(7 * second, 9 * second)]
    assert joined(spans) == [Span(0, 5 * second), Span(7 * second, 9 * second)]
    long = [Span(0, 20 * second), Span(20 * second, 40 * second)]
    assert joined(long) == long


def test_the_other_engine_is_named_with_its_command_where_it_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    installed = tiny_tasks.install("w", "speech", folder, tmp_path / "models", engine="openai-whisper")
    with pytest.raises(ModelError) as caught:
        load(installed, tiny_tasks.resources(tmp_path))
    assert caught.value.remedy == "Install it: pip install 'reverie-media[whisper]'"


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "whisper"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"not a model")
    resources = tiny_tasks.resources(tmp_path)
    with pytest.raises(ModelError, match="cannot load the model"):
        load(tiny_tasks.install("w", "speech", folder, resources.models), resources)
    with pytest.raises(ModelError, match='wants the engine "vosk"'):
        load(tiny_tasks.install("v", "speech", folder, resources.models, engine="vosk"), resources)
