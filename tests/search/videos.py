"""Videos with known content, and a catalog whose plan has stages for every kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    Transcript,
    Utterance,
    Word,
)
from search.catalog import Catalog
from tests.search.library import SPACE, analysis, digest, stat, unit

SPEECH, ACTION, LABELS = "speech:small", "action:clip", "labels:clip"
STAGES: dict[str, int] = {
    Stage.METADATA: 1,
    Stage.DESCRIBE: 1, Stage.PIXELS: 1, Stage.CONCEPTS: 1, Stage.SOUND: 1, SPEECH: 1, ACTION: 1, "segmentation:sam": 1
}  # fmt: skip
PLAN = Plan("builtin", SPACE, STAGES)
OF_PHOTOS = {Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS, Stage.CONCEPTS, "segmentation:sam"}
OF_VIDEOS = {Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS, Stage.CONCEPTS, Stage.SOUND, SPEECH, ACTION}
OF_SOUNDS = {Stage.METADATA, Stage.DESCRIBE, Stage.SOUND, SPEECH}

VIDEO_INFO = MediaInfo(
    kind=Kind.VIDEO, format="MP4", width=1920, height=1080, duration=30.5, fps=29.97, variable_rate=True,
    video_codec="hevc", audio_codec="aac", bit_rate=8_000_000, hdr=False, keywords=("trip",),
)  # fmt: skip
DOG = Event("track", "dog", 1.0, 2.5, 0.7, (Place(1.0, (0.1, 0.2, 0.3, 0.4)), Place(2.5, (0.5, 0.6, 0.7, 1 / 3))))
MUSIC = Event("sound", "music", 0.0, 30.0, 0.9)
GUITAR = Event("action", "playing guitar", 4.0, 8.0, 0.8)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path / "library", clock=lambda: 1000.0)
    made.activate(PLAN)
    yield made
    made.close()


def see(catalog: Catalog, name: str, kind: Kind) -> int:
    seen = stat(f"/p/{name}")
    catalog.record_files([seen])
    catalog.identify([(seen, digest(name), kind)], STAGES)
    media_id = catalog.media_at(seen.path)
    assert media_id is not None
    return media_id


def said(text: str, start: float = 0.0) -> Utterance:
    """One word a second."""
    words = tuple(Word(word, start + number, start + number + 0.5, 0.8) for number, word in enumerate(text.split()))
    return Utterance(text, start, start + len(words), 0.8, words)


def transcript(*utterances: Utterance) -> Transcript:
    return Transcript("en", 0.9, utterances)


def whole_and(moments: int) -> tuple[Segment, ...]:
    """The whole and moments of ten seconds each."""
    return (
        Segment(0, 0.0, 10.0 * moments, 5.0, 0.75),
        *(Segment(one, 10.0 * one - 10, 10.0 * one, 10.0 * one - 5, 0.5, 1) for one in range(1, moments + 1)),
    )


def film(media_id: int, moments: int = 3, **changes: Any) -> Analysis:
    """What every stage says about one video."""
    values: dict[str, Any] = {
        "media_id": media_id,
        "stages": {stage: STAGES[stage] for stage in OF_VIDEOS},
        "info": VIDEO_INFO,
        "pixels": analysis(media_id).pixels,
        "segments": whole_and(moments),
        "embeddings": tuple(vector(number, number) for number in range(1, moments + 1)),
        "transcripts": {SPEECH: transcript()},
    }
    return Analysis(**(values | changes))


def vector(seed: int, ordinal: int) -> Embedding:
    return Embedding(SPACE, unit(seed).astype("<f2").tobytes(), ordinal)


def store_film(catalog: Catalog, name: str = "film.mp4", **changes: Any) -> int:
    media_id = see(catalog, name, Kind.VIDEO)
    catalog.claim(10, slow=True)
    catalog.store([film(media_id, **changes)], [])
    assert catalog.problems() == []
    return media_id
