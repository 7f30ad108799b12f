"""Speech to text with true times: Whisper (Radford et al., 2022), on stretches that were found to hold speech.

Where nobody speaks Whisper makes words up, so a voice activity detector looks first (`indexer.models.voice`). The
stretches are cut out of the sound here, each with its place: joined together, as is usual, the times would be stretched
over what was left out. What it makes up where a language is spoken that it does not know is not believed
(`indexer.models.belief`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.belief import SURE_LANGUAGE, Claim, again, confirmed, wordless
from indexer.models.listing import ModelEntry, stage_revision
from indexer.models.resources import Resources
from indexer.models.speech_device import Opened, hear_on, open_model, open_on_cpu, refusal
from indexer.models.store import Store
from indexer.models.voice import LONGEST, RATE
from indexer.models.weights import WHISPER_TINY_EN
from indexer.records import Event, Refusal, RuntimeReport, Transcript, Utterance, Word
from indexer.stage import Heard, Stretch
from indexer.vocabulary import NOT_UNDERSTOOD, SPEECH_KIND

OPENAI = "openai-whisper"
"""The other engine's name."""
_JOINED = 1.0
"""A pause of at most so many seconds stays in its stretch, as sound: few long stretches are quicker than many short."""
_MARGIN = 0.2
"""Seconds."""
_ASIDE = 0.5
"""Seconds by which a pause may push a word aside."""
_ABBREVIATIONS = frozenset({"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs."})
_STOPS = (".", "?", "!", "\u3002", "\uff1f", "\uff01")
"""What ends a sentence, the full width forms of Chinese and Japanese included."""
NOTHING = Transcript(None, 0.0, ())

_NO_SPEECH, _LOG_PROBABILITY, _COMPRESSION = 0.6, -1.0, 2.4
"""Whisper's own limits: no speech, as far as it can tell, and unsure words; or text so repetitive that it is a loop."""


class Recogniser(Protocol):
    """An engine for Whisper."""

    runtime: str
    """"faster-whisper 1.2.1"."""
    device: str
    precision: str
    refused: tuple[Refusal, ...]
    """Why a card does not serve."""
    batch_size: int
    """Stretches that are decoded together."""
    multilingual: bool
    """Whether it knows many languages, and says in which one it heard somebody speak."""

    def hear(self, sound: NDArray[np.float32], stretches: Sequence[Stretch]) -> Transcript:
        """What is said in each stretch of a sound; there is at least one. Times are of the whole sound.

        Words come with the space before them.
        """


class SpeechStage:
    """What is said, as a `SoundStage`."""

    def __init__(self, name: str, *, revision: int, model: str, recogniser: Recogniser) -> None:
        self.name = name
        self.revision = revision
        self._model = model
        self._recogniser = recogniser

    @property
    def report(self) -> RuntimeReport | None:
        """How it runs."""
        return RuntimeReport(
            stage=self.name,
            model=self._model,
            device=self._recogniser.device,
            runtime=self._recogniser.runtime,
            precision=self._recogniser.precision,
            batch_size=self._recogniser.batch_size,
            refused=self._recogniser.refused,
        )

    def listen(self, sound: NDArray[np.float32], speech: Sequence[Stretch]) -> Heard:
        """A transcript, without utterances where nobody speaks; and events where somebody does, but was not understood.

        Nothing is a sentence but what can be believed.
        """
        if not speech:
            return Heard(transcript=NOTHING)
        found = self._recogniser.hear(sound, joined(speech, len(sound)))
        claims = [
            Claim(sentence, one.confidence)
            for one in _in_place(found.utterances, speech)
            for sentence in _sentences(one)
        ]
        if not self._recogniser.multilingual or found.language_confidence < SURE_LANGUAGE:
            claims = self._believed(sound, claims)
        said = tuple(claim.sentence for claim in claims)
        return Heard(
            transcript=replace(found, utterances=said) if said else NOTHING,
            events=tuple(
                Event(SPEECH_KIND, NOT_UNDERSTOOD, one.start / RATE, one.end / RATE, 1.0)
                for one in wordless(speech, said)
            ),
        )

    def _believed(self, sound: NDArray[np.float32], claims: Sequence[Claim]) -> list[Claim]:
        claims = [claim for claim in claims if not claim.hopeless]
        doubtful = [claim for claim in claims if claim.doubtful]
        if not doubtful:
            return list(claims)
        replayed, places = again(sound, doubtful)
        heard = self._recogniser.hear(replayed, [place for found in places for place in found])
        refuted = {
            id(claim) for claim, found in zip(doubtful, places, strict=True) if not confirmed(claim, found, heard)
        }
        return [claim for claim in claims if id(claim) not in refuted]


def load(stage_name: str, entry: ModelEntry, resources: Resources) -> SpeechStage:
    """The stage of an installed model. `entry.options`: engine, "faster-whisper" (the default) or "openai-whisper".

    Raises ModelError if it is not installed, was altered, or its engine is missing or unknown.
    """
    store = Store(resources.models)
    folder = store.verified(entry) if entry.package is None else builtin_folder()
    return SpeechStage(
        stage_name,
        revision=stage_revision(stage_name, entry, store, resources.config_folders),
        model=entry.name,
        recogniser=_recogniser(entry, folder, resources),
    )


def _recogniser(entry: ModelEntry, folder: Path, resources: Resources) -> Recogniser:
    engine = str(entry.options.get("engine", FasterWhisper.name))
    if engine == FasterWhisper.name:
        return FasterWhisper(folder, resources)
    if engine == OPENAI:
        from indexer.models.openai_whisper import OpenAiWhisper  # noqa: PLC0415 - it imports this module

        return OpenAiWhisper(folder, resources)
    raise ModelError(
        f'The model {entry.name} wants the engine "{engine}", which is not known.',
        f"Name {FasterWhisper.name} or {OPENAI} in its options.",
    )


def builtin_folder() -> Path:
    """Whisper tiny.en from its package. Raises ModelError if it is missing or altered."""
    folders = {file.verified().parent for file in WHISPER_TINY_EN}
    return folders.pop()


def joined(speech: Sequence[Stretch], samples: int) -> list[Stretch]:
    """Stretches as Whisper hears them: short pauses closed, cut at a long one where they would be too long, with a
    margin for what is no voice yet (an "s", an "h"). `samples`: of the whole sound."""
    groups: list[list[Stretch]] = []
    for stretch in speech:
        if not groups or stretch.start - groups[-1][-1].end > _JOINED * RATE:
            groups.append([])
        groups[-1].append(stretch)
    parts = [part for group in groups for part in _fitting(group)]
    margin = int(_MARGIN * RATE)
    result: list[Stretch] = []
    for number, part in enumerate(parts):
        start, end = part[0].start, part[-1].end
        before = (parts[number - 1][-1].end + start + 1) // 2 if number else 0
        after = (end + parts[number + 1][0].start) // 2 if number + 1 < len(parts) else samples
        result.append(Stretch(max(start - margin, before), min(end + margin, after)))
    return result


def _fitting(group: list[Stretch]) -> list[list[Stretch]]:
    """A group as several that are not too long, cut at pauses that are long and near the middle."""
    start, length = group[0].start, group[-1].end - group[0].start
    if length <= LONGEST * RATE or len(group) == 1:
        return [group]

    def worth(place: int) -> float:
        left, right = group[place - 1].end, group[place].start
        return (1 + right - left) * (1 - abs((left + right) / 2 - start - length / 2) / (length / 2))

    cut = max(range(1, len(group)), key=worth)
    return [*_fitting(group[:cut]), *_fitting(group[cut:])]


def _sentences(said: Utterance) -> Iterator[Utterance]:
    """What was said in a stretch, cut where sentences end and where there is a pause; its words without spaces."""
    parts: list[list[Word]] = []
    for word in said.words:
        before = parts[-1][-1] if parts else None
        if before is None or _ends_sentence(before.text) or word.start - before.end >= _JOINED:
            parts.append([])
        parts[-1].append(word)
    for part in parts:
        sentence = utterance_of(part)
        yield replace(sentence, words=tuple(replace(word, text=word.text.strip()) for word in sentence.words))


def _ends_sentence(word: str) -> bool:
    return word.endswith(_STOPS) and word.strip().lower() not in _ABBREVIATIONS


def _in_place(utterances: Sequence[Utterance], speech: Sequence[Stretch]) -> Iterator[Utterance]:
    """Utterances whose words lie where a voice is heard.

    Whisper's times come from an alignment that leaves no gaps: a pause is given to the word before or after it, and may
    push that word aside. A word is there where most of the voice in its span is; the first one after a pause begins
    with the voice, the last one ends with it.
    """
    voices = [None, *(_voice_of(word, speech) for said in utterances for word in said.words), None]
    place = 0
    for said in utterances:
        words: list[Word] = []
        for word in said.words:
            before, voice, after = voices[place : place + 3]
            start, end = word.start, word.end
            if voice is not None and _shared(word, voice) >= 0:
                first, last = voice.start / RATE, voice.end / RATE
                start = first if voice != before and start < first + _ASIDE else max(start, first)
                end = last if voice != after and end > last - _ASIDE else min(end, last)
            words.append(replace(word, start=start, end=end))
            place += 1
        yield replace(said, start=words[0].start, end=words[-1].end, words=tuple(words))


def _voice_of(word: Word, speech: Sequence[Stretch]) -> Stretch | None:
    """The stretch that holds most of a word's span, or lies nearest to it."""
    return max(speech, key=lambda stretch: _shared(word, stretch), default=None)


def _shared(word: Word, stretch: Stretch) -> float:
    """How much of a word lies in a stretch, in samples; below 0: how far it is from it."""
    return min(word.end * RATE, stretch.end) - max(word.start * RATE, stretch.start)


class FasterWhisper:
    """CTranslate2, by faster-whisper."""

    name = "faster-whisper"
    batch_size = 8

    def __init__(self, folder: Path, resources: Resources) -> None:
        """`folder`: a Whisper model in CTranslate2's form. Raises ModelError if it cannot be loaded."""
        import faster_whisper  # noqa: PLC0415 - only where speech is wanted

        self.runtime = f"{self.name} {faster_whisper.__version__}"
        self._folder, self._resources = folder, resources
        self._use(open_model(folder, resources))

    def _use(self, opened: Opened) -> None:
        import faster_whisper  # noqa: PLC0415 - only where speech is wanted

        self.device, self.precision, self.refused = opened.device, opened.precision, opened.refused
        self.multilingual = bool(opened.model.model.is_multilingual)
        self._pipeline = faster_whisper.BatchedInferencePipeline(opened.model)

    def hear(self, sound: NDArray[np.float32], stretches: Sequence[Stretch]) -> Transcript:
        """As a `Recogniser`. What fails on a card is heard on the CPU, and so is everything after it."""
        return hear_on(self.device, lambda: self._hear(sound, stretches), self._leave_card)

    def _leave_card(self, error: Exception) -> None:
        self._use(open_on_cpu(self._folder, self._resources, refusal(error)))

    def _hear(self, sound: NDArray[np.float32], stretches: Sequence[Stretch]) -> Transcript:
        segments, info = self._pipeline.transcribe(
            sound,
            clip_timestamps=[{"start": one.start / RATE, "end": one.end / RATE} for one in stretches],
            vad_filter=False,
            temperature=0.0,
            beam_size=5,
            batch_size=self.batch_size,
            word_timestamps=True,
            # With timestamps, the pipeline drops what Whisper says after the last of them.
            without_timestamps=True,
        )
        utterances = tuple(
            utterance_of([Word(_hyphened(word.word), word.start, word.end, word.probability) for word in segment.words])
            for segment in segments
            if segment.words and is_speech(segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio)
        )
        return Transcript(info.language, float(info.language_probability), utterances)


def _hyphened(word: str) -> str:
    """A part of a compound without the space that small models put before it: "cold" and "-hearted"."""
    return word[1:] if word.startswith(" -") and len(word) > len(" -") else word


def is_speech(no_speech: float, log_probability: float, compression: float) -> bool:
    """Whether a segment passes Whisper's own limits."""
    silent = no_speech > _NO_SPEECH and log_probability < _LOG_PROBABILITY
    return not silent and compression <= _COMPRESSION


def utterance_of(words: Sequence[Word]) -> Utterance:
    """At least one word, each with the space before it, if its language has any, as an utterance."""
    surely = [max(float(word.confidence), 1e-9) for word in words]
    confidence = min(1.0, math.exp(sum(map(math.log, surely)) / len(surely)))
    # The engines give NumPy's numbers.
    plain = tuple(
        replace(word, start=float(word.start), end=float(word.end), confidence=float(word.confidence)) for word in words
    )
    return Utterance("".join(word.text for word in words).strip(), plain[0].start, plain[-1].end, confidence, plain)
