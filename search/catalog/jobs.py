"""The work ledger: one row per media and stage, committed before the work starts."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from indexer.records import Analysis, Failure, Kind, Space, Stage, stage_order
from indexer.stages import applies, kinds_of
from search.catalog import fulltext
from search.catalog.rows import Work
from search.catalog.sql import IN_IDS, NOT_RETIRED, STAT_COLUMNS, id_list, marks, stat_of, storable

READABLE = "EXISTS (SELECT 1 FROM file WHERE file.media_id = m.id AND file.missing_since IS NULL AND file.reread = 0)"
"""Some path that is there is known to hold the media row `m`."""


def create(db: sqlite3.Connection, media_id: int, kind: Kind, stages: Mapping[str, int], now: float) -> None:
    """Open the jobs that this media does not have yet: of the stages that its kind goes through, and none that is
    retired."""
    db.executemany(
        "INSERT OR IGNORE INTO job (media_id, stage, revision, state, updated_at, slow)"
        " SELECT ?1, ?2, ?3, 'pending', ?4, ?5"
        " WHERE NOT EXISTS (SELECT 1 FROM retired WHERE kind = 'stage' AND name = ?2)",
        [(media_id, stage, revision, now, is_slow(kind)) for stage, revision in stages.items() if applies(stage, kind)],
    )


def is_slow(kind: Kind) -> bool:
    """Whether media of this kind take minutes: what has a length in time does."""
    return kind != Kind.PHOTO


def follow_kind(db: sqlite3.Connection, media_id: int, kind: Kind, stages: Mapping[str, int], now: float) -> None:
    """Make the jobs of media whose kind turned out to be another one agree with it; `stages` are those of the plans."""
    owed = [stage for (stage,) in db.execute("SELECT stage FROM job WHERE media_id = ?", (media_id,))]
    db.executemany(
        "DELETE FROM job WHERE media_id = ? AND stage = ?",
        [(media_id, stage) for stage in owed if not applies(stage, kind)],
    )
    db.execute("UPDATE job SET slow = ? WHERE media_id = ?", (is_slow(kind), media_id))
    create(db, media_id, kind, stages, now)


def give_back_but(db: sqlite3.Connection, media_id: int, stages: Collection[str], now: float) -> None:
    """running -> pending for all stages of a media file but these."""
    db.execute(
        f"UPDATE job SET state = 'pending', updated_at = ? WHERE media_id = ? AND state = 'running'"
        f" AND stage NOT IN ({marks(stages)})",
        (now, media_id, *stages),
    )


def unanswered(db: sqlite3.Connection, analysis: Analysis) -> tuple[str, ...]:
    """The stages of a media file that run and did not fail: what an analysis that cannot be stored was to answer. Not
    only those that it names: if it says that the file is of another kind, nobody tries the others as they are."""
    failed = {stage for failure in analysis.failed for stage in failure.stages}
    rows = db.execute("SELECT stage FROM job WHERE media_id = ? AND state = 'running'", (analysis.media_id,))
    return tuple(stage for (stage,) in rows if stage not in failed)


def reopen(db: sqlite3.Connection, media_id: int, stage: str, now: float) -> None:
    """Have a stage run again. If it is running, its result is stored and it runs once more (`close` says why)."""
    db.execute(
        "UPDATE job SET state = 'pending', attempts = 0, problem_title = NULL, problem_remedy = NULL, updated_at = ?"
        " WHERE media_id = ? AND stage = ?",
        (now, media_id, stage),
    )


def reopen_looks(db: sqlite3.Connection, media_id: int, but: Collection[str], now: float) -> None:
    """Have all stages but these look again at a video that is cut into other moments than before: after a change of
    the settings, what they said hangs on moments that are no more."""
    done = db.execute("SELECT stage FROM job WHERE media_id = ? AND state = 'done'", (media_id,)).fetchall()
    for (stage,) in done:
        if stage not in but and stage != Stage.METADATA and {Kind.PHOTO, Kind.VIDEO} <= kinds_of(stage):
            reopen(db, media_id, stage, now)


def reopen_pictures(db: sqlite3.Connection, media_id: int, now: float) -> None:
    """Have all stages look again at a photo that a sidecar has turned."""
    for (stage,) in db.execute("SELECT stage FROM job WHERE media_id = ? AND state = 'done'", (media_id,)).fetchall():
        if stage != Stage.METADATA and applies(stage, Kind.PHOTO):
            reopen(db, media_id, stage, now)


def ensure(db: sqlite3.Connection, stages: Mapping[str, int], now: float) -> int:
    """Give every media a job per stage at the current revision; see `Catalog.ensure_jobs`."""
    opened = open_all(db, stages, now)
    current = ", ".join("?" for _ in stages)
    db.execute(f"DELETE FROM job WHERE state != 'done' AND stage NOT IN ({current})", tuple(stages))
    return opened


def open_all(db: sqlite3.Connection, stages: Mapping[str, int], now: float) -> int:
    """Open a job wherever media lack one of these stages or have it at another revision; returns how many.

    A retired stage gets none: nobody may bring back what is being removed but the plan that has it.
    """
    gone = {name for (name,) in db.execute("SELECT name FROM retired WHERE kind = 'stage'")}
    wanted = {stage: revision for stage, revision in stages.items() if stage not in gone}
    opened = 0
    if wanted:
        # One pass over all jobs, whatever the number of stages: the ledger is the catalog's longest table.
        current = f"CASE stage {'WHEN ? THEN ? ' * len(wanted)}ELSE revision END"
        pairs = [value for pair in wanted.items() for value in pair]
        opened += db.execute(
            f"UPDATE job SET state = 'pending', revision = {current}, attempts = 0, problem_title = NULL,"
            f" problem_remedy = NULL, updated_at = ? WHERE revision != {current}",
            (*pairs, now, *pairs),
        ).rowcount
    for stage, revision in wanted.items():
        kinds = sorted(kinds_of(stage))
        opened += db.execute(
            "INSERT INTO job (media_id, stage, revision, state, updated_at, slow)"
            f" SELECT id, ?1, ?2, 'pending', ?3, kind != '{Kind.PHOTO}' FROM media WHERE kind IN ({marks(kinds)})"
            " AND NOT EXISTS (SELECT 1 FROM job WHERE media_id = media.id AND stage = ?1)",
            (stage, revision, now, *kinds),
        ).rowcount
    return opened


def release_all(db: sqlite3.Connection, now: float) -> int:
    """running -> pending, for every job; returns how many media."""
    media = db.execute(
        "SELECT count(DISTINCT media_id) FROM job WHERE state = 'running' AND state != 'done'"
    ).fetchone()[0]
    db.execute("UPDATE job SET state = 'pending', updated_at = ? WHERE state = 'running'", (now,))
    return int(media)


def release(db: sqlite3.Connection, media_ids: Collection[int], now: float) -> None:
    """running -> pending for these media, attempts unchanged."""
    db.execute(
        f"UPDATE job SET state = 'pending', updated_at = ? WHERE state = 'running' AND media_id {IN_IDS}",
        (now, id_list(media_ids)),
    )


def claimable(
    db: sqlite3.Connection,
    limit: int,
    exclude: Collection[int],
    *,
    slow: bool,
    first: Collection[str] = (),
    without: Collection[str] = (),
) -> list[int]:
    """Media of one lane that have a live path and pending jobs, and none running; those that lack a stage of `first`
    before the others, of each the lowest id first. A path that is to be read again may hold something else by now."""
    # One stage at a time, each in the order of its index: together they would all have to be read and sorted, and one
    # that is left out may wait for every photo of the library, each of which would be passed by.
    waiting = _open_stages(db, slow=slow).difference(without)
    found: list[int] = []
    for stages in (waiting.intersection(first), waiting.difference(first)):
        if left := limit - len(found):
            passed = id_list([*exclude, *found])
            found += sorted({one for stage in stages for one in _waiting(db, left, passed, stage, slow=slow)})[:left]
    return found


def _open_stages(db: sqlite3.Connection, *, slow: bool) -> set[str]:
    """Those that something waits for and that are not retired, found by one step through the index for each."""
    first = "SELECT min(stage) FROM job INDEXED BY job_waiting WHERE state = 'pending' AND slow = ?1"
    rows = db.execute(
        f"WITH RECURSIVE one (stage) AS ({first} UNION ALL"
        f" SELECT ({first} AND stage > one.stage) FROM one WHERE one.stage NOT NULL)"
        f" SELECT stage FROM one WHERE stage NOT NULL AND {NOT_RETIRED}",
        (slow,),
    )
    return {stage for (stage,) in rows}


def _waiting(db: sqlite3.Connection, limit: int, passed: str, stage: str, *, slow: bool) -> list[int]:
    """Claimable media with one stage pending, the lowest id first."""
    rows = db.execute(
        "SELECT job.media_id FROM job INDEXED BY job_waiting CROSS JOIN media m ON m.id = job.media_id"
        f" WHERE job.state = 'pending' AND job.slow = ? AND job.stage = ? AND {READABLE} AND NOT job.media_id {IN_IDS}"
        " AND NOT EXISTS (SELECT 1 FROM job other WHERE other.media_id = job.media_id AND other.state = 'running')"
        " ORDER BY job.media_id LIMIT ?",
        (slow, stage, passed, limit),
    )
    return [row[0] for row in rows]


def claim(
    db: sqlite3.Connection,
    limit: int,
    now: float,
    *,
    slow: bool,
    exclude: Collection[int],
    first: Collection[str],
    vector_spaces: Mapping[str, Space],
    without: Collection[str],
) -> list[Work]:
    """Take the next media to work on; see `Catalog.claim`."""
    media_ids = claimable(db, limit, exclude, slow=slow, first=first, without=without)
    work = [_work(db, media_id, vector_spaces, without) for media_id in media_ids]
    db.execute(
        f"UPDATE job SET state = 'running', updated_at = ? WHERE state = 'pending' AND {NOT_RETIRED}"
        f" AND media_id {IN_IDS} AND stage NOT IN ({marks(without)})",
        (now, id_list(media_ids), *without),
    )
    return work


def _work(db: sqlite3.Connection, media_id: int, vector_spaces: Mapping[str, Space], without: Collection[str]) -> Work:
    pending = db.execute(
        f"SELECT stage, attempts FROM job WHERE media_id = ? AND state = 'pending' AND {NOT_RETIRED}"
        f" AND stage NOT IN ({marks(without)})",
        (media_id, *without),
    ).fetchall()
    # Of several copies, read the one that has sidecars: it knows more.
    stat = stat_of(
        db.execute(
            f"SELECT {STAT_COLUMNS} FROM file WHERE media_id = ? AND missing_since IS NULL AND reread = 0"
            " ORDER BY sidecars IS NULL, id LIMIT 1",
            (media_id,),
        ).fetchone()
    )
    waiting = {stage for stage, _ in pending}
    digest, kind = db.execute("SELECT content_hash, kind FROM media WHERE id = ?", (media_id,)).fetchone()
    return Work(
        media_id,
        digest.hex(),
        Kind(kind),
        stat.path,
        stat,
        tuple(sorted(waiting, key=stage_order)),
        max(attempts for _, attempts in pending),
        _stored_vectors(db, media_id, {vector_spaces.get(stage) for stage in waiting}),
    )


def _stored_vectors(db: sqlite3.Connection, media_id: int, spaces: set[Space | None]) -> tuple[tuple[int, bytes], ...]:
    """The vectors of a media file in the one space that all owed stages read."""
    space = next(iter(spaces)) if len(spaces) == 1 else None
    if space is None:
        return ()
    rows = db.execute(
        "SELECT ordinal, data FROM segment CROSS JOIN vector ON vector.segment_id = segment.id"
        " WHERE media_id = ? AND space_id = (SELECT id FROM space WHERE name = ? AND dimension = ?) ORDER BY ordinal",
        (media_id, space.name, space.dimension),
    )
    return tuple(rows)


def close(db: sqlite3.Connection, media_id: int, stages: Mapping[str, int], now: float) -> None:
    """Mark stages done.

    Only where they run: a job that was opened again meanwhile (its sidecar changed under the worker) stays open.
    """
    db.executemany(
        "UPDATE job SET state = 'done', revision = ?, attempts = 0, problem_title = NULL, problem_remedy = NULL,"
        " updated_at = ? WHERE media_id = ? AND stage = ? AND state = 'running'",
        [(revision, now, media_id, stage) for stage, revision in stages.items()],
    )


def fail(db: sqlite3.Connection, failures: Sequence[Failure], max_attempts: int, now: float) -> None:
    """Count, quarantine or send back what went wrong; see `Catalog.store`."""
    for failure in failures:
        if failure.vanished:
            release(db, [failure.media_id], now)
            db.execute(
                "UPDATE file SET media_id = NULL WHERE media_id = ? AND missing_since IS NULL", (failure.media_id,)
            )
            continue
        db.executemany(
            "UPDATE job SET attempts = attempts + 1, problem_title = ?, problem_remedy = ?, updated_at = ?,"
            " refused = ?, state = CASE WHEN ? OR attempts + 1 >= ? THEN 'quarantined' ELSE 'pending' END"
            " WHERE media_id = ? AND stage = ? AND state = 'running'",
            [
                (
                    storable(failure.title),
                    storable(failure.remedy),
                    now,
                    failure.refused,
                    failure.permanent,
                    max_attempts,
                    failure.media_id,
                    stage,
                )
                for stage in failure.stages
            ],
        )
    fulltext.rewrite(db, {failure.media_id for failure in failures if failure.vanished})


def retry(db: sqlite3.Connection, now: float, media_id: int | None = None) -> int:
    """quarantined -> pending with a clean slate, for all media or for one; returns how many media."""
    media = db.execute(
        "SELECT count(DISTINCT media_id) FROM job WHERE state = 'quarantined' AND state != 'done'"
        " AND media_id = ifnull(?, media_id)",
        (media_id,),
    ).fetchone()[0]
    db.execute(
        "UPDATE job SET state = 'pending', attempts = 0, problem_title = NULL, problem_remedy = NULL, updated_at = ?"
        " WHERE state = 'quarantined' AND state != 'done' AND media_id = ifnull(?, media_id)",
        (now, media_id),
    )
    return int(media)


def retry_refused(db: sqlite3.Connection, media_ids: Collection[int], now: float) -> None:
    """quarantined -> pending for these media where the system refused to let them be read. What was tried is still
    counted, so that each is tried once, alone."""
    db.execute(
        "UPDATE job SET state = 'pending', updated_at = ? WHERE state = 'quarantined' AND state != 'done' AND refused"
        f" AND media_id {IN_IDS}",
        (now, id_list(media_ids)),
    )


def without_file(db: sqlite3.Connection, media_ids: Collection[int]) -> set[int]:
    """Those of these media that no live path holds; see `Catalog.without_file`."""
    rows = db.execute(
        f"SELECT DISTINCT media_id FROM file WHERE missing_since IS NULL AND media_id {IN_IDS}", (id_list(media_ids),)
    )
    return set(media_ids) - {media_id for (media_id,) in rows}
