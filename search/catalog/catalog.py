"""The catalog's front: every question and change, each in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.records import Analysis, Failure, Kind, Space
from search.catalog import candidates, files, fulltext, jobs, reads, results
from search.catalog.database import Database
from search.catalog.inside_reader import InsideReader
from search.catalog.plan_keeper import PlanKeeper
from search.catalog.root_keeper import RootKeeper
from search.catalog.rows import (
    Brief,
    Counts,
    FileStat,
    KnownFile,
    PhotoRow,
    Problem,
    Sampled,
    TagMatch,
    TextMatch,
    Vectors,
    Work,
)

FILE_NAME = "catalog.sqlite3"


class Catalog(PlanKeeper, RootKeeper, InsideReader):
    """What was seen, what it holds, and what is still to do.

    Safe to use from many threads: one writes at a time, readers never wait and never see half a batch.
    Every method may raise `CatalogError` when the disk fails; what was committed before stays.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open `directory`/catalog.sqlite3, made if need be. `clock` gives Unix seconds.

        Raises NewerCatalog when a later version wrote it, CatalogError when it cannot be used. Deletes nothing.
        """
        self._database = Database(directory / FILE_NAME)
        self._clock = clock

    def close(self) -> None:
        """Close the file; the catalog cannot be used any more."""
        self._database.close()

    # Files

    def known_files(self, under: str) -> dict[str, KnownFile]:
        """Every path at or below a folder, those that are missing included."""
        with self._database.read() as db:
            return files.known(db, under)

    def record_files(self, seen: Sequence[FileStat], *, written: Collection[str] = ()) -> None:
        """Remember paths as they are now.

        A path whose signature changed holds unknown content again, unless the catalog knows the very same file
        (device, inode, size, mtime) under another path: then it is a hard link or a rename, and shares that media
        without being read. A path that was missing is alive again. A changed sidecar makes "metadata" run again.

        A path whose size and time are what they were, but not its inode or the inode's time, keeps its content and is
        to be read again; so is an unchanged one that is among the `written`, and one that the system refused to read.

        A video or sound that only became longer is another content, and what was known of its first part is forgotten.
        """
        with self._database.write() as db:
            files.record(db, seen, written, self._clock())

    def note_files(self, seen: Sequence[FileStat]) -> None:
        """Remember inode, device and times of paths that hold what they held: after a mount, they may be others."""
        if seen:
            with self._database.write() as db:
                files.note(db, seen)

    def record_missing(self, paths: Sequence[str]) -> None:
        """Hide paths that are gone from search. They are kept as tombstones, in case they come back,
        unless the same file is alive under another path (it was moved)."""
        with self._database.write() as db:
            files.record_missing(db, paths, self._clock())

    def purge_missing(self, older_than: float) -> list[bytes]:
        """Forget paths that went missing before `older_than` (Unix seconds), and all media that no path holds any
        more with everything derived from them. Returns the content hashes (32 bytes) of the media forgotten."""
        with self._database.write() as db:
            return files.purge(db, older_than)

    def unidentified(self, limit: int) -> list[FileStat]:
        """Paths whose content is still to be read and hashed, oldest first; then those to be read again."""
        with self._database.read() as db:
            return files.unidentified(db, limit)

    def sampled(self, path: str) -> Sampled | None:
        """What a path to be read again held, if a sample is enough to tell whether it still does."""
        with self._database.read() as db:
            return files.sampled(db, path)

    def identify(
        self,
        items: Sequence[tuple[FileStat, bytes, Kind]],
        stages: Mapping[str, int],
        samples: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Say what paths hold: (stat, SHA-256 digest, kind). New content gets a job per stage (with its revision).

        `samples`: of some digests, the sample of the content that is to be kept with it. An item is ignored if its path
        was recorded differently since `stat` was taken.
        """
        with self._database.write() as db:
            files.identify(db, items, stages, samples or {}, self._clock())

    def record_problem(self, path: str, title: str, remedy: str, *, refused: bool = False) -> None:
        """Remember why a path cannot be read; it is left alone until it changes or `retry_problems`.

        `refused`: the system would not let us read it, which `retry_refused` tries again.
        """
        with self._database.write() as db:
            files.record_problem(db, path, title, remedy, self._clock(), refused=refused)

    def retry_refused(self, under: str) -> int:
        """Try everything at or below a folder again, once, that the system would not let us read. Returns how much."""
        with self._database.write() as db:
            return files.retry_refused(db, under, self._clock())

    def try_again(self, path: str) -> None:
        """Give one path a fresh start, whatever was wrong with it."""
        with self._database.write() as db:
            files.try_again(db, path, self._clock())

    def without_file(self, media_ids: Collection[int]) -> set[int]:
        """Those of these media that no path holds any more."""
        with self._database.read() as db:
            return jobs.without_file(db, media_ids)

    # Jobs

    def ensure_jobs(self, stages: Mapping[str, int]) -> int:
        """At start: open a job wherever media lack a stage or have it at another revision; drop open jobs of stages
        that are not asked for any more. Returns how many jobs were opened.

        Ask for the stages of both plans (`Plans.stages`), and those that belong to none. A stage that the plans had
        once and have no more gets no job.
        """
        with self._database.write() as db:
            return jobs.ensure(db, stages, self._clock())

    def release_running(self) -> int:
        """At start: running -> pending, attempts unchanged (a kill is not the file's fault). Returns how many media."""
        with self._database.write() as db:
            return jobs.release_all(db, self._clock())

    def claim(
        self,
        limit: int,
        *,
        slow: bool = False,
        exclude: Collection[int] = (),
        first: Collection[str] = (),
        vector_spaces: Mapping[str, Space] | None = None,
        without: Collection[str] = (),
    ) -> list[Work]:
        """Take media that have a live path and pending jobs, and none running. Their jobs are running, and committed
        as such, when this returns.

        Photos, or with `slow` videos and sounds. Media that lack a stage of `first` come before the others; of each,
        the lowest id first. Where all that a media owes reads vectors of one space (`vector_spaces`: stage to that
        space), its stored vectors are handed out. Jobs of the stages `without` are left as they are.
        """
        with self._database.write() as db:
            return jobs.claim(
                db,
                limit,
                self._clock(),
                slow=slow,
                exclude=exclude,
                first=first,
                vector_spaces=vector_spaces or {},
                without=without,
            )

    def has_work(self, *, without: Collection[str] = ()) -> bool:
        """Whether `claim` would find something, slow or not; cheap, whatever the size of the library."""
        with self._database.read() as db:
            return any(jobs.claimable(db, 1, (), slow=slow, without=without) for slow in (False, True))

    def release(self, media_ids: Collection[int]) -> None:
        """Give claimed media back unharmed: running -> pending, attempts unchanged."""
        with self._database.write() as db:
            jobs.release(db, media_ids, self._clock())

    def store(self, analyses: Sequence[Analysis], failures: Sequence[Failure], *, max_attempts: int = 3) -> None:
        """Store a batch and close its jobs, in one transaction. Only jobs that were claimed are closed.

        A failure counts as an attempt; a permanent one, or the `max_attempts`th, quarantines its stages. A vanished
        file costs no attempt: the paths that held it are unidentified again. An analysis that cannot be stored
        (a vector that is no unit vector, say) is quarantined, and the rest of the batch stored.
        """
        with self._database.write() as db:
            results.store(db, analyses, failures, max_attempts, self._clock())

    def retry_problems(self) -> int:
        """Give everything that was given up on a fresh start. Returns how many paths and media."""
        with self._database.write() as db:
            return files.clear_problems(db) + jobs.retry(db, self._clock())

    def set_authored_tags(self, media_id: int, names: Iterable[str]) -> None:
        """Mirror the hand-made tags of a media file, replacing those it had. `authored.json` is their home."""
        with self._database.write() as db:
            results.set_authored_tags(db, media_id, names)

    # What people see

    def counts(self, *, without: Collection[str] = ()) -> Counts:
        """The library in numbers. What waits for nothing but stages `without` is not pending."""
        with self._database.read() as db:
            return reads.counts(db, without)

    def rereading(self) -> dict[str, int]:
        """Stage to how many media that were analysed before go through it again."""
        with self._database.read() as db:
            return reads.rereading(db)

    def problems(self, limit: int = 100, offset: int = 0) -> list[Problem]:
        """Every live path that could not be read or holds quarantined media, by path."""
        with self._database.read() as db:
            return reads.problems(db, limit, offset)

    # What the engine asks

    def without_path(self, media_ids: Collection[int]) -> list[int]:
        """Those of these media that no living file holds."""
        with self._database.read() as db:
            return reads.without_path(db, media_ids)

    def media_at(self, path: str) -> int | None:
        """The media that a live path holds; None: not known, or not identified yet."""
        with self._database.read() as db:
            return reads.media_at(db, path)

    def paths_of_inode(self, inode: int) -> list[str]:
        """Live paths that had this inode when they were looked at, on whatever device."""
        with self._database.read() as db:
            return reads.paths_of_inode(db, inode)

    def paths_of(self, media_ids: Collection[int], where: str, parameters: Sequence[object]) -> set[str]:
        """The live paths of these media that fulfil a condition on `file`."""
        with self._database.read() as db:
            return reads.paths_of(db, media_ids, where, parameters)

    def media_with_hashes(self, content_hashes: Collection[bytes]) -> dict[bytes, int]:
        """Of these SHA-256 digests, those the catalog knows, each with its media id."""
        with self._database.read() as db:
            return reads.media_with_hashes(db, content_hashes)

    def photos(self, media_ids: Sequence[int], *, moments: bool = True) -> list[PhotoRow]:
        """Everything known about these media, in the order asked; unknown ids are left out.

        Without `moments`, what is inside videos and sounds is left out, which may be much: all segments but the whole,
        their tags and detections, events and the transcript.
        """
        with self._database.read() as db:
            return reads.photos(db, media_ids, moments=moments)

    def text_matches(
        self, match: str, limit: int, where: str = "1", parameters: Sequence[object] = ()
    ) -> list[TextMatch]:
        """The best searchable media for an FTS5 MATCH expression that fulfil a condition on `m`, best first.

        Words from outside must come quoted: a syntax error raises sqlite3.OperationalError.
        """
        with self._database.read() as db:
            return fulltext.matches(db, match, limit, where, parameters)

    def select_media(self, where: str, parameters: Sequence[object] = ()) -> NDArray[np.int64]:
        """Ids, ascending, of the searchable media (described, with a live path) that fulfil an SQL condition on the
        media row `m`; values are bound from `parameters`."""
        with self._database.read() as db:
            return reads.select_media(db, where, parameters)

    def matching_media(self, where: str, parameters: Sequence[object] = ()) -> NDArray[np.int64]:
        """Like `select_media`, in no order and with media that search must not show among them: several times quicker
        over a large library, for who leaves those out later anyway."""
        with self._database.read() as db:
            return reads.matching_media(db, where, parameters)

    def brief(self, media_ids: Collection[int]) -> dict[int, Brief]:
        """What ranking needs of each of these media; those that search must not show are left out."""
        with self._database.read() as db:
            return candidates.brief(db, media_ids)

    def listed(self, where: str, parameters: Sequence[object], *, order: str, limit: int) -> list[Brief]:
        """The first `limit` searchable media that fulfil a condition on `m`, by "date" (newest first), "-date",
        "quality" or "aesthetic"."""
        with self._database.read() as db:
            return candidates.listed(db, where, parameters, order, limit)

    def tagged(
        self, name: str, where: str, parameters: Sequence[object], *, limit: int, at_least: int | None = None
    ) -> list[tuple[int, float]]:
        """(media id, confidence) of the `limit` searchable media surest to have a tag that fulfil a condition;
        `at_least`: only where so many were counted."""
        with self._database.read() as db:
            return candidates.tagged(db, name, where, parameters, limit=limit, at_least=at_least)

    def tags_among(self, names: Collection[str], media_ids: Collection[int]) -> list[TagMatch]:
        """Which of these media have which of these tags, each as a whole; `moment_tags_among` knows the moments."""
        with self._database.read() as db:
            return candidates.tags_among(db, names, media_ids)

    # What the vector index asks

    def spaces(self) -> list[Space]:
        """Every vector space ever written, oldest first."""
        with self._database.read() as db:
            return reads.spaces(db)

    def vector_totals(self, space: Space) -> tuple[int, int]:
        """(newest vector id, number of vectors); (0, 0) for a space without vectors."""
        with self._database.read() as db:
            return reads.vector_totals(db, space)

    def newest_vector_ever(self) -> int:
        """The greatest id that a vector ever had, forgotten ones included."""
        with self._database.read() as db:
            return reads.newest_vector_ever(db)

    def vector_ids(self, space: Space) -> NDArray[np.int64]:
        """(n,) the ids of all vectors, ascending."""
        with self._database.read() as db:
            return reads.vector_ids(db, space)

    def vectors_after(self, space: Space, newest: int, limit: int = 10_000) -> Vectors:
        """The first `limit` vectors with ids above `newest`, ascending."""
        with self._database.read() as db:
            return reads.vectors_after(db, space, newest, limit)

    def vectors_with_ids(self, space: Space, ids: Iterable[int]) -> Vectors:
        """Those of these vectors that still exist and belong to searchable media, in no particular order."""
        with self._database.read() as db:
            return reads.vectors_with_ids(db, space, ids)

    def vectors_of_media(self, space: Space, media_ids: Sequence[int]) -> Vectors:
        """The vectors of these media, in their order, searchable or not."""
        with self._database.read() as db:
            return reads.vectors_of_media(db, space, media_ids)
