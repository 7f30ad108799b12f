"""What a model of English writes down where another language is spoken is not believed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np
import pytest

from indexer.media.container import VideoLimits
from indexer.media.sound import open_audio, read_sound
from indexer.models.belief import Claim, wordless
from indexer.models.speech import SpeechStage
from indexer.models.voice import RATE, speech_in, voice_in
from indexer.records import Refusal, Transcript, Utterance, Word
from indexer.stage import Heard, Stretch
from tests.voices import Samples, silence
from tests.voices import spoken as spoken_english

ENGLISH = "the children are playing on the beach"
OTHERS = {
    "de": "Gestern haben wir im Wald Pilze gesucht und danach eine Suppe gekocht",
    "ru": "Вчера мы собирали в лесу грибы, а потом варили суп",  # noqa: RUF001
}


def spoken(voice: str, text: str) -> Samples:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", "-v", voice, "-w", file.name, text], check=True)
        with open_audio(file.name, VideoLimits()) as audio:
            return np.concatenate([one.samples for one in read_sound(audio.source)])


def listened(stage: SpeechStage, sound: Samples) -> Heard:
    return stage.listen(sound, speech_in(voice_in(sound), len(sound)))


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_invented_in_a_language_it_does_not_know(whisper: SpeechStage, language: str) -> None:
    sound = spoken(language, OTHERS[language])
    heard = listened(whisper, sound)
    assert heard.transcript is not None
    assert (heard.transcript.language, heard.transcript.utterances) == (None, ())
    assert {(event.kind, event.label) for event in heard.events} == {("speech", "not understood")}
    assert sum(event.end - event.start for event in heard.events) > 0.6 * len(sound) / RATE


def test_of_two_languages_english_is_kept(whisper: SpeechStage) -> None:
    english = spoken_english(ENGLISH)
    sound = np.concatenate([silence(1), english, silence(0.8), spoken("de", OTHERS["de"])])
    heard = listened(whisper, sound)
    assert heard.transcript is not None
    [said] = heard.transcript.utterances
    assert "children" in said.text
    assert all(event.start > said.end - 0.1 for event in heard.events)
    assert heard.events


def test_gaps_between_words_are_told_only_if_long() -> None:
    def said(start: float, end: float) -> Utterance:
        return Utterance("word", start, end, 1.0, ())

    speech = [Stretch(0, 10 * RATE)]
    assert list(wordless(speech, [said(0.2, 4.0), said(6.0, 9.5)])) == [Stretch(4 * RATE, 6 * RATE)]
    assert list(wordless(speech, [])) == speech
    assert list(wordless([Stretch(0, RATE // 4)], [])) == []


def test_a_sure_sentence_is_heard_again_where_its_surroundings_are_unsure() -> None:
    sentence = Utterance("Thank you.", 0.0, 1.0, 0.95, ())
    assert not Claim(sentence, 0.9).doubtful
    assert Claim(sentence, 0.4).doubtful


def test_what_could_not_be_believed_is_not_heard_again() -> None:
    """Where a language is foreign, most of the time would go into listening again."""
    sound = np.concatenate([silence(0.5), spoken("de", OTHERS["de"])])
    asked: list[int] = []

    class Mumbling:
        runtime, device, precision, batch_size, multilingual = "none", "CPU", "int8", 1, False
        refused: tuple[Refusal, ...] = ()

        def hear(self, sound: Samples, stretches: Sequence[Stretch]) -> Transcript:
            asked.append(len(stretches))
            word = Word(" so", 0.6, 0.9, 0.25)
            return Transcript("en", 1.0, (Utterance("so", 0.6, 0.9, 0.25, (word,)),))

    heard = listened(SpeechStage("speech:x", revision=1, model="x", recogniser=Mumbling()), sound)
    assert heard.transcript is not None
    assert heard.transcript.utterances == ()
    assert heard.events
    assert len(asked) == 1
