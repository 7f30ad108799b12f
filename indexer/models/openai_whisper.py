"""Whisper on PyTorch by OpenAI's own package, with weights from a safetensors file in transformers' layout.

The package's own checkpoints are pickles, which can hold code; the same weights are published as safetensors, under
other names.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import ModelError
from indexer.models.pretrained import CONFIG, read_settings
from indexer.models.resources import Resources
from indexer.models.speech import is_speech, utterance_of
from indexer.models.speech_device import FAILURES, FRAMES, hear_on, refusal
from indexer.models.voice import RATE
from indexer.records import Refusal, Transcript, Utterance, Word
from indexer.runtime.cuda import device_of
from indexer.runtime.failures import device_errors
from indexer.stage import Stretch

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"

_DIMENSIONS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}

_RENAMED = (
    ("model.", ""),
    ("encoder.layer_norm.", "encoder.ln_post."),
    ("decoder.layer_norm.", "decoder.ln."),
    (".embed_positions.weight", ".positional_embedding"),
    (".embed_tokens.", ".token_embedding."),
    (".layers.", ".blocks."),
    (".self_attn_layer_norm.", ".attn_ln."),
    (".encoder_attn_layer_norm.", ".cross_attn_ln."),
    (".final_layer_norm.", ".mlp_ln."),
    (".self_attn.", ".attn."),
    (".encoder_attn.", ".cross_attn."),
    (".q_proj.", ".query."),
    (".k_proj.", ".key."),
    (".v_proj.", ".value."),
    (".out_proj.", ".out."),
    (".fc1.", ".mlp.0."),
    (".fc2.", ".mlp.2."),
)
"""In this order: transformers' names to OpenAI's."""


class OpenAiWhisper:
    """OpenAI's package as a `Recogniser`."""

    precision = "fp32"
    batch_size = 1

    def __init__(self, folder: Path, resources: Resources) -> None:
        """`folder`: a Whisper model as transformers saves it. Raises ModelError if it, or the package, is missing."""
        if importlib.util.find_spec("whisper") is None:
            raise ModelError(
                f"The model {folder.name} needs openai-whisper, which is not installed.",
                "Install it: pip install 'reverie-media[whisper]'",
            )
        import torch  # noqa: PLC0415 - the service must not load it
        import whisper  # noqa: PLC0415

        self.runtime = f"openai-whisper {whisper.__version__}"
        self.device = "CPU"
        self.refused: tuple[Refusal, ...] = ()
        self._model = load_weights(folder)
        self.multilingual = bool(self._model.is_multilingual)
        device = resources.policy.device
        if device != "cpu" and torch.cuda.is_available():
            self._try(device_of(resources))

    def _try(self, device: str) -> None:
        """Move to a card, if one encoding works there."""
        import torch  # noqa: PLC0415 - it is loaded

        try:
            with device_errors(device):
                self._model.to(device)
                silence = torch.zeros((1, self._model.dims.n_mels, FRAMES), device=device)
                with torch.inference_mode():
                    self._model.encoder(silence)
        except FAILURES as error:
            logger.warning("Speech runs on the CPU, because the card failed: %s", error)
            self._leave_card(error)
        else:
            self.device = "CUDA"

    def _leave_card(self, error: Exception) -> None:
        self._model.to("cpu")
        self.device, self.refused = "CPU", (refusal(error),)

    def hear(self, sound: NDArray[np.float32], stretches: Sequence[Stretch]) -> Transcript:
        """As a `Recogniser`. The language is that of the first stretch. What fails on a card is heard on the CPU."""
        return hear_on(self.device, lambda: self._hear(sound, stretches), self._leave_card)

    def _hear(self, sound: NDArray[np.float32], stretches: Sequence[Stretch]) -> Transcript:
        language, probability = self._language(sound[stretches[0].start : stretches[0].end])
        utterances: list[Utterance] = []
        for stretch in stretches:
            found = self._model.transcribe(
                sound[stretch.start : stretch.end],
                language=language,
                temperature=0.0,
                beam_size=5,
                word_timestamps=True,
                condition_on_previous_text=False,
                fp16=False,
            )
            offset = stretch.start / RATE
            for segment in found["segments"]:
                words = [
                    Word(word["word"], offset + word["start"], offset + word["end"], word["probability"])
                    for word in segment["words"]
                ]
                measures = segment["no_speech_prob"], segment["avg_logprob"], segment["compression_ratio"]
                if words and is_speech(*measures):
                    utterances.append(utterance_of(words))
        return Transcript(language, probability, tuple(utterances))

    def _language(self, sound: NDArray[np.float32]) -> tuple[str, float]:
        """Which language is spoken, and how probable that is."""
        if not self.multilingual:
            return "en", 1.0
        import whisper  # noqa: PLC0415

        padded = whisper.pad_or_trim(np.ascontiguousarray(sound))
        spectrum = whisper.log_mel_spectrogram(padded, n_mels=self._model.dims.n_mels).to(self._model.device)
        _, probabilities = self._model.detect_language(spectrum)
        language = max(probabilities, key=probabilities.__getitem__)
        return str(language), float(probabilities[language])


def load_weights(folder: Path) -> Any:
    """A `whisper.model.Whisper` with a folder's weights. Raises ModelError if they are missing or do not fit."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415 - loads torch
    from whisper.model import ModelDimensions, Whisper  # noqa: PLC0415

    config = read_settings(folder, CONFIG)
    try:
        model = Whisper(ModelDimensions(**{ours: int(config[theirs]) for ours, theirs in _DIMENSIONS.items()}))
        weights = {_renamed(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
        weights.pop("proj_out.weight", None)
        model.load_state_dict(weights)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"openai-whisper cannot load the model in {folder}: {str(error).splitlines()[0]}",
            f"Pull the model {folder.name} again, or choose another.",
        ) from error
    return model.eval()


def _renamed(name: str) -> str:
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return name
