"""A library that knows one short film, a memo and a photo inside out, for tests of what is told of them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from PIL import Image

from config.paths import Paths
from daemon.model_report import plan_of
from indexer.models.space import SPACE
from indexer.records import (
    Analysis,
    Embedding,
    Event,
    Kind,
    MediaInfo,
    Place,
    Plan,
    Segment,
    Stage,
    Tag,
    Transcript,
    Utterance,
    Word,
)
from indexer.stages import applies
from search.catalog import Catalog
from tests.daemon.workers import record
from tests.indexer.media.clips import counting, write_clip
from tests.search.library import unit

SPEECH = "speech:whisper-tiny-en"
WORDS = ("Happy", "birthday", "to", "you.")
SEGMENTS = (
    Segment(0, 0.0, 8.0, 3.0, 0.9),
    Segment(1, 0.0, 2.0, 1.0, 0.3, 1),
    Segment(2, 2.0, 6.0, 3.0, 0.9, 2),
    Segment(3, 6.0, 8.0, 7.0, 0.2, 3),
)
"""Of the film: eight seconds in three shots."""


class Clips:
    """Three files in a folder: `film`, `memo` (a sound in which nobody speaks) and `photo`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.film = write_clip(folder / "party.mp4", map(counting, range(80)), fps=10, sound=np.zeros(384_000, "f4"))
        self.memo = write_tone(folder / "memo.wav")
        self.photo = folder / "cake.png"
        Image.new("RGB", (64, 48), "pink").save(self.photo)

    def remember(self, paths: Paths) -> None:
        """Have a library know all of it, as if its stages had run."""
        catalog = Catalog(paths.library)
        plan = plan_of("builtin", paths)
        catalog.activate(plan)
        for path, kind in ((self.film, Kind.VIDEO), (self.memo, Kind.AUDIO), (self.photo, Kind.PHOTO)):
            media_id = record(catalog, path, plan.stages)
            catalog.claim(1, slow=kind != Kind.PHOTO)
            catalog.store([self._analysis(media_id, kind, plan)], [])
        catalog.close()

    def _analysis(self, media_id: int, kind: Kind, plan: Plan) -> Analysis:
        stages = {stage: revision for stage, revision in plan.stages.items() if applies(stage, kind)}
        if kind == Kind.PHOTO:
            info = MediaInfo(kind=kind, format="PNG", width=64, height=48)
            return Analysis(media_id=media_id, stages=stages, info=info, embeddings=(_vector(0),))
        if kind == Kind.AUDIO:
            info = MediaInfo(kind=kind, format="WAV", width=None, height=None, duration=1.0, audio_codec="pcm_s16le")
            nothing = Transcript(None, 1.0, ())
            whole = (Segment(0, 0.0, 1.0),)
            return Analysis(media_id=media_id, stages=stages, info=info, segments=whole, transcripts={SPEECH: nothing})
        info = MediaInfo(
            kind=kind, format="MP4", width=160, height=96, duration=8.0, fps=10.0, variable_rate=False,
            video_codec="h264", audio_codec="aac", bit_rate=2_500_000, hdr=False,
        )  # fmt: skip
        words = tuple(Word(word, 2.5 + n / 2, 2.9 + n / 2, 0.9) for n, word in enumerate(WORDS))
        path = (Place(2.0, (0.1, 0.1, 0.3, 0.3)), Place(5.0, (0.5, 0.1, 0.7, 0.3)))
        return Analysis(
            media_id=media_id,
            stages=stages,
            info=info,
            segments=SEGMENTS,
            tags={Stage.CONCEPTS: (Tag("candle", 0.8, "imagenet", 2), Tag("candle", 0.8, "imagenet"))},
            embeddings=tuple(_vector(segment.ordinal) for segment in SEGMENTS[1:]),
            events={
                Stage.SOUND: (
                    Event("sound", "speech", 2.5, 4.4, 0.9),
                    Event("track", "dog", 2.0, 5.0, 0.7, path),
                )
            },
            transcripts={SPEECH: Transcript("en", 1.0, (Utterance(" ".join(WORDS), 2.5, 4.4, 0.9, words),))},
            frames=3,
        )


def write_tone(path: Path, seconds: float = 1.0) -> Path:
    """A sound of one frequency, 16 kHz; another length is another content."""
    tone = np.sin(np.arange(round(seconds * 16_000)) / 6) * 8000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone.astype("<i2").tobytes())
    return path


def _vector(ordinal: int) -> Embedding:
    return Embedding(SPACE, unit(ordinal, SPACE).astype("<f2").tobytes(), ordinal)
