"""The part of the catalog's front that tells what is inside videos and sounds."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from indexer.records import Event, Segment, Tag, Transcript
from search.catalog import candidates, inside, spoken
from search.catalog.database import Database
from search.catalog.rows import EventMatch, SpokenMatch, TagMatch


class InsideReader:
    """Moments, events and speech; a base of `Catalog`."""

    _database: Database

    def segments_of(self, media_ids: Collection[int]) -> dict[int, tuple[Segment, ...]]:
        """The segments of each of these media, in order: the whole, then the moments. Media that have not been
        described are left out."""
        with self._database.read() as db:
            return inside.segments_of(db, media_ids)

    def tags_of_moments(self, moments: Collection[tuple[int, int]]) -> dict[tuple[int, int], tuple[Tag, ...]]:
        """The tags of these moments, each (media id, ordinal), surest first; moments without any are left out."""
        with self._database.read() as db:
            return inside.tags_of_moments(db, moments)

    def events_of(self, media_ids: Collection[int], *, kind: str | None = None) -> dict[int, tuple[Event, ...]]:
        """What happens in each of these media, in order of its start, as the plan in use finds it; `kind`: of one kind
        only."""
        with self._database.read() as db:
            return inside.events_of(db, media_ids, kind)

    def transcripts_of(self, media_ids: Collection[int]) -> dict[int, tuple[Transcript, ...]]:
        """What is said in each of these media: the subtitles first, then what the plan in use has heard. Media of which
        neither is known are left out."""
        with self._database.read() as db:
            return inside.transcripts_of(db, media_ids)

    def moment_tags_among(self, names: Collection[str], media_ids: Collection[int]) -> list[TagMatch]:
        """Which moments of these media have which of these tags: all of them, by media and moment, the surest of any
        stage. Reads every moment of these media, so ask about those that are shown, not about all candidates."""
        with self._database.read() as db:
            return candidates.moment_tags_among(db, names, media_ids)

    def events_among(
        self, labels: Collection[str], media_ids: Collection[int], *, kind: str | None = None
    ) -> list[EventMatch]:
        """When which of these ("playing guitar", "speech") happen in these media, by media and start, as the plan in
        use finds it. `kind`: only "action", "sound" or "track"."""
        with self._database.read() as db:
            return inside.events_among(db, labels, media_ids, kind)

    def spoken_matches(
        self, match: str, limit: int, where: str = "1", parameters: Sequence[object] = ()
    ) -> list[SpokenMatch]:
        """The best utterances for an FTS5 MATCH expression, best first, as the plan in use has heard them, in
        searchable media that fulfil a condition on `m`. Of one media there may be several.

        An utterance is about a sentence, so all words of the expression must stand in one. Words from outside must come
        quoted: a syntax error raises sqlite3.OperationalError.
        """
        with self._database.read() as db:
            return spoken.matches(db, match, limit, where, parameters)
