"""Adds films and sounds with known content to a library of the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.records import (
    WHOLE,
    Analysis,
    Embedding,
    Event,
    Kind,
    MediaInfo,
    Note,
    PixelStats,
    Segment,
    Stage,
    Tag,
    Transcript,
    Utterance,
    Word,
)
from indexer.vocabulary import CHAPTER_KIND
from search.catalog import FileStat, PhotoRow
from search.engine import Result
from tests.search.test_engine import SPACE, STATS, Library, encode

LISTENER = "speech:test"
WATCHER = "action:test"
STAGES: dict[str, int] = {
    Stage.METADATA: 1, Stage.DESCRIBE: 1, Stage.PIXELS: 1, Stage.CONCEPTS: 1, Stage.SOUND: 1, LISTENER: 1, WATCHER: 1
}  # fmt: skip
KINDS = ("action", "sound", "track", CHAPTER_KIND)
Shot = tuple[str, float, float]
"""What is seen, from when, to when."""


def utterance(text: str, start: float) -> Utterance:
    """A sentence, half a second a word."""
    words = tuple(
        Word(word, start + number / 2, start + number / 2 + 0.4, 0.9) for number, word in enumerate(text.split())
    )
    return Utterance(text, start, words[-1].end, 0.9, words)


def transcript(*said: tuple[str, float]) -> Transcript:
    return Transcript("en", 1.0, tuple(utterance(text, start) for text, start in said))


def action(label: str, start: float, end: float, confidence: float = 0.8) -> Event:
    return Event("action", label, start, end, confidence)


class FilmLibrary(Library):
    """Photos, films and sounds, added one by one."""

    def film(
        self,
        name: str,
        shots: Sequence[Shot],
        *,
        said: Transcript | None = None,
        written: Transcript | None = None,
        chapters: Sequence[tuple[str, float, float]] = (),
        events: Sequence[Event] = (),
        tags: Mapping[int, Sequence[Tag]] | None = None,
        pixels: PixelStats | None = None,
        one_take: bool = False,
        **info: Any,
    ) -> str:
        """A film of shots; each is a moment. `written` are its subtitles. `one_take`: the moments are parts of one
        shot."""
        segments = tuple(
            Segment(number, start, end, (start + end) / 2, 0.5, 1 if one_take else number)
            for number, (_, start, end) in enumerate(shots, 1)
        )
        duration = shots[-1][2]
        vectors = [encode(shows) + 0.001 * (number % 7) * _TILT for number, (shows, _, _) in enumerate(shots)]
        facts: dict[str, Any] = {"format": "MP4", "width": 4, "height": 3, "duration": duration, "audio_codec": "aac"}
        every = [(ordinal, tag) for ordinal, of_it in (tags or {}).items() for tag in of_it]
        if chapters:
            info["notes"] = (Note("chapters", "; ".join(title for title, _, _ in chapters)),)
        titled = tuple(Event(CHAPTER_KIND, *chapter, 1.0) for chapter in chapters)
        return self._store(
            name,
            Kind.VIDEO,
            info=MediaInfo(kind=Kind.VIDEO, **(facts | info)),
            segments=(Segment(0, 0.0, duration, 0.0, 0.5), *segments),
            tags=tuple(replace(tag, segment=to) for ordinal, tag in every for to in sorted({0, ordinal})),
            embeddings=tuple(
                Embedding(SPACE, (vector / np.linalg.norm(vector)).astype("<f2").tobytes(), number)
                for number, vector in enumerate(vectors, 1)
            ),
            pixels=pixels,
            said=said,
            written=written,
            events=(*events, *titled),
        )

    def sound(self, name: str, duration: float, *, said: Transcript, events: Sequence[Event] = ()) -> str:
        info = MediaInfo(kind=Kind.AUDIO, format="MP3", width=None, height=None, duration=duration, audio_codec="mp3")
        return self._store(
            name, Kind.AUDIO, info=info, segments=(replace(WHOLE, start=0.0, end=duration),), said=said, events=events
        )

    def _store(
        self,
        name: str,
        kind: Kind,
        *,
        info: MediaInfo,
        segments: tuple[Segment, ...],
        tags: tuple[Tag, ...] = (),
        embeddings: tuple[Embedding, ...] = (),
        pixels: PixelStats | None = None,
        said: Transcript | None = None,
        written: Transcript | None = None,
        events: Sequence[Event] = (),
    ) -> str:
        self._count += 1
        path = f"/films/{name}"
        stat = FileStat(path, 1, self._count, self._count, 1)
        self.catalog.record_files([stat])
        self.catalog.identify([(stat, self._count.to_bytes(32, "big"), kind)], STAGES)
        [work] = self.catalog.claim(1, slow=True)
        bits = int.from_bytes(np.random.default_rng(self._count).bytes(7), "big")
        by_kind = {one: tuple(event for event in events if event.kind == one) for one in KINDS}
        analysis = Analysis(
            media_id=work.media_id,
            stages=dict.fromkeys(work.stages, 1),
            info=info,
            pixels=pixels or replace(STATS, perceptual_hash=bits) if kind == Kind.VIDEO else None,
            segments=segments,
            tags={Stage.CONCEPTS: tags},
            embeddings=embeddings,
            events={
                WATCHER: by_kind["action"],
                Stage.SOUND: by_kind["sound"],
                Stage.CONCEPTS: by_kind["track"],
                Stage.METADATA: by_kind[CHAPTER_KIND],
            },
            transcripts={LISTENER: said or Transcript(None, 1.0, ())}
            | ({} if written is None else {Stage.METADATA: written}),
        )
        self.catalog.store([analysis], [])
        self._index.refresh()
        return path

    def result(self, text: str) -> Result:
        """The best answer."""
        return self.ask(text).results[0]

    def spans(self, text: str, name: str | None = None) -> list[tuple[float, float]]:
        """The spans of the best answer, or of the one called so."""
        results = self.ask(text).results
        result = next(one for one in results if name is None or Path(one.path).name == name)
        return [(round(one.start, 2), round(one.end, 2)) for one in result.moments]

    def row(self, path: str) -> PhotoRow:
        media_id = self.catalog.media_at(path)
        assert media_id is not None
        [row] = self.catalog.photos([media_id])
        return row


_TILT: NDArray[np.float32] = np.eye(4, dtype=np.float32)[3]
"""Makes the vectors of moments that show the same differ a little, as in a real film."""
