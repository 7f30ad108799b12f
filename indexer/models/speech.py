"""Speech to text with true times: Whisper (Radford et al., 2022), on stretches that were found to hold speech.

Where nobody speaks Whisper makes words up, so Silero's voice activity detector (bundled with faster-whisper) looks
first. The stretches are cut out of the sound here, each with its place: joined together, as is usual, the times would
be stretched over what was left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.listing import ModelEntry
from indexer.models.resources import Resources
from indexer.models.store import Store
from indexer.models.weights import WHISPER_TINY_EN
from indexer.records import RuntimeReport, Transcript, Utterance, Word

OPENAI = "openai-whisper"
"""The other engine's name."""
RATE = 16_000
"""Samples a second."""
LONGEST = 28.0
"""Seconds of a stretch; Whisper hears 30 at once."""
_JOINED = 1.0
"""A pause of at most so many seconds stays in its stretch, as sound: few long stretches are quicker than many short."""
_PAUSE_MS = 500
_MARGIN_MS = 200

_NO_SPEECH, _LOG_PROBABILITY, _COMPRESSION = 0.6, -1.0, 2.4
"""Whisper's own limits: no speech, as far as it can tell, and unsure words; or text so repetitive that it is a loop."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of sound, in samples."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser made of the stretches."""

    language: str
    language_confidence: float
    utterances: tuple[Utterance, ...]
    """Times are of the whole sound."""


class Recogniser(Protocol):
    """An engine for Whisper."""

    runtime: str
    """"faster-whisper 1.2.1"."""
    device: str
    precision: str
    batch_size: int
    """Stretches that are decoded together."""

    def hear(self, sound: NDArray[np.float32], spans: Sequence[Span]) -> Heard:
        """What is said in each stretch of a sound; there is at least one."""


class SpeechModel:
    """Turns sound into a transcript."""

    def __init__(self, recogniser: Recogniser, *, model: str) -> None:
        self._recogniser = recogniser
        self._model = model

    @property
    def report(self) -> RuntimeReport:
        """How it runs."""
        return RuntimeReport(
            stage=f"speech:{self._model}",
            model=self._model,
            device=self._recogniser.device,
            runtime=self._recogniser.runtime,
            precision=self._recogniser.precision,
            batch_size=self._recogniser.batch_size,
        )

    def transcribe(self, sound: NDArray[np.float32]) -> Transcript:
        """(N,) mono, 16 kHz, -1 to 1, to what is said in it. Nothing where nobody speaks. From one thread."""
        spans = speech_spans(sound)
        if not spans:
            return Transcript(None, 0.0, ())
        heard = self._recogniser.hear(sound, spans)
        return Transcript(heard.language, heard.language_confidence, heard.utterances)


def load(entry: ModelEntry, resources: Resources) -> SpeechModel:
    """An installed model. `entry.options`: engine, "faster-whisper" (the default) or "openai-whisper".

    Raises ModelError if it is not installed, was altered, or its engine is missing or unknown.
    """
    store = Store(resources.models)
    folder = store.verified(entry) if entry.package is None else builtin_folder()
    engine = str(entry.options.get("engine", FasterWhisper.name))
    if engine == FasterWhisper.name:
        return SpeechModel(FasterWhisper(folder, resources), model=entry.name)
    if engine == OPENAI:
        from indexer.models.openai_whisper import OpenAiWhisper  # noqa: PLC0415 - it imports this module

        return SpeechModel(OpenAiWhisper(folder, resources), model=entry.name)
    raise ModelError(
        f'The model {entry.name} wants the engine "{engine}", which is not known.',
        f"Name {FasterWhisper.name} or {OPENAI} in its options.",
    )


def builtin_folder() -> Path:
    """Whisper tiny.en from its package. Raises ModelError if it is missing or altered."""
    folders = {file.verified().parent for file in WHISPER_TINY_EN}
    return folders.pop()


def speech_spans(sound: NDArray[np.float32]) -> list[Span]:
    """Where somebody speaks in a sound (N,) of 16 kHz: in order, apart, none longer than 28 seconds."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415 - loads CTranslate2

    if len(sound) == 0:
        return []
    options = VadOptions(max_speech_duration_s=LONGEST, min_silence_duration_ms=_PAUSE_MS, speech_pad_ms=_MARGIN_MS)
    return joined([Span(found["start"], found["end"]) for found in get_speech_timestamps(sound, options)])


def joined(spans: Sequence[Span]) -> list[Span]:
    """Spans with the short pauses between them closed, as long as the result is not too long."""
    result: list[Span] = []
    for span in spans:
        last = result[-1] if result else None
        if last and span.start - last.end <= _JOINED * RATE and span.end - last.start <= LONGEST * RATE:
            result[-1] = Span(last.start, span.end)
        else:
            result.append(span)
    return result


class FasterWhisper:
    """CTranslate2, by faster-whisper."""

    name = "faster-whisper"
    batch_size = 8

    def __init__(self, folder: Path, resources: Resources) -> None:
        """`folder`: a Whisper model in CTranslate2's form. Raises ModelError if it cannot be loaded."""
        import ctranslate2  # noqa: PLC0415 - only where speech is wanted
        import faster_whisper  # noqa: PLC0415

        device, _, index = resources.policy.device.partition(":")
        on_gpu = device != "cpu" and ctranslate2.get_cuda_device_count() > 0
        self.runtime = f"{self.name} {faster_whisper.__version__}"
        self.device = "CUDA" if on_gpu else "CPU"
        self.precision = "fp16" if on_gpu else "int8"
        try:
            model = faster_whisper.WhisperModel(
                str(folder),
                device="cuda" if on_gpu else "cpu",
                device_index=int(index or 0),
                compute_type="float16" if on_gpu else "int8",
                cpu_threads=resources.threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"{self.runtime} cannot load the model in {folder}: {error}",
                f"Pull the model {folder.name} again, or choose another.",
            ) from error
        self._pipeline = faster_whisper.BatchedInferencePipeline(model)

    def hear(self, sound: NDArray[np.float32], spans: Sequence[Span]) -> Heard:
        """As a `Recogniser`."""
        segments, info = self._pipeline.transcribe(
            sound,
            clip_timestamps=[{"start": span.start / RATE, "end": span.end / RATE} for span in spans],
            vad_filter=False,
            temperature=0.0,
            beam_size=5,
            batch_size=self.batch_size,
            word_timestamps=True,
            without_timestamps=False,
        )
        utterances = tuple(
            utterance_of(
                segment.text,
                segment.avg_logprob,
                [word_of(word.word, word.start, word.end, word.probability) for word in segment.words or ()],
            )
            for segment in segments
            if is_speech(segment.no_speech_prob, segment.avg_logprob, segment.compression_ratio) and segment.words
        )
        return Heard(info.language, float(info.language_probability), utterances)


def is_speech(no_speech: float, log_probability: float, compression: float) -> bool:
    """Whether a segment passes Whisper's own limits."""
    silent = no_speech > _NO_SPEECH and log_probability < _LOG_PROBABILITY
    return not silent and compression <= _COMPRESSION


def word_of(text: str, start: float, end: float, probability: float) -> Word:
    """A word in plain numbers: the engines give NumPy's."""
    return Word(text.strip(), float(start), float(end), float(probability))


def utterance_of(text: str, log_probability: float, words: Sequence[Word]) -> Utterance:
    """A segment of at least one word; `log_probability` is the mean over its tokens."""
    confidence = min(1.0, math.exp(log_probability))
    return Utterance(text.strip(), words[0].start, words[-1].end, confidence, tuple(words))
