"""The work ledger: one row per media and stage, committed before the work starts."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from indexer.records import Failure, Space, stage_order
from search.catalog import fulltext
from search.catalog.rows import Work
from search.catalog.sql import IN_IDS, LIVE, NOT_RETIRED, STAT_COLUMNS, id_list, marks, stat_of, storable


def create(db: sqlite3.Connection, media_id: int, stages: Mapping[str, int], now: float) -> None:
    """Open the jobs that this media does not have yet, but none of a stage that is retired."""
    db.executemany(
        "INSERT OR IGNORE INTO job (media_id, stage, revision, state, updated_at) SELECT ?1, ?2, ?3, 'pending', ?4"
        " WHERE NOT EXISTS (SELECT 1 FROM retired WHERE kind = 'stage' AND name = ?2)",
        [(media_id, stage, revision, now) for stage, revision in stages.items()],
    )


def reopen(db: sqlite3.Connection, media_id: int, stage: str, now: float) -> None:
    """Have a stage run again. If it is running, its result is stored and it runs once more (`close` says why)."""
    db.execute(
        "UPDATE job SET state = 'pending', attempts = 0, problem_title = NULL, problem_remedy = NULL, updated_at = ?"
        " WHERE media_id = ? AND stage = ?",
        (now, media_id, stage),
    )


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
        opened += db.execute(
            "INSERT INTO job (media_id, stage, revision, state, updated_at) SELECT id, ?1, ?2, 'pending', ?3 FROM media"
            " WHERE NOT EXISTS (SELECT 1 FROM job WHERE media_id = media.id AND stage = ?1)",
            (stage, revision, now),
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
    first: Collection[str] = (),
    without: Collection[str] = (),
) -> list[int]:
    """Media that have a live path and pending jobs, and none running; those that lack a stage of `first` before the
    others, of each the lowest id first."""
    # One stage at a time, each in the order of its index: together they would all have to be read and sorted.
    urgent = {media_id for stage in first for media_id in _waiting(db, limit, exclude, stage)}
    found = sorted(urgent)[:limit]
    left = limit - len(found)
    if not left or not without:
        return found + _waiting(db, left, [*exclude, *found]) if left else found
    # Stage by stage again: one that is left out may wait for every photo of the library, and each would be passed by.
    others = {
        media_id
        for stage in _open_stages(db).difference(first, without)
        for media_id in _waiting(db, left, [*exclude, *found], stage)
    }
    return found + sorted(others)[:left]


def _open_stages(db: sqlite3.Connection) -> set[str]:
    """Those that something waits for, found by one step through the index for each."""
    rows = db.execute(
        "WITH RECURSIVE one (stage) AS ("
        " SELECT min(stage) FROM job INDEXED BY job_waiting WHERE state = 'pending' UNION ALL"
        " SELECT (SELECT min(stage) FROM job INDEXED BY job_waiting WHERE state = 'pending' AND stage > one.stage)"
        " FROM one WHERE one.stage NOT NULL) SELECT stage FROM one WHERE stage NOT NULL"
    )
    return {stage for (stage,) in rows}


def _waiting(db: sqlite3.Connection, limit: int, exclude: Collection[int], stage: str | None = None) -> list[int]:
    """Claimable media with one stage pending, or with any."""
    index, which = ("job_open", "state != 'done'") if stage is None else ("job_waiting", "job.stage = ?")
    rows = db.execute(
        f"SELECT DISTINCT job.media_id FROM job INDEXED BY {index} CROSS JOIN media m ON m.id = job.media_id"
        f" WHERE job.state = 'pending' AND {which} AND job.{NOT_RETIRED} AND {LIVE} AND NOT job.media_id {IN_IDS}"
        " AND NOT EXISTS (SELECT 1 FROM job other WHERE other.media_id = job.media_id AND other.state = 'running')"
        " ORDER BY job.media_id LIMIT ?",
        (*([] if stage is None else [stage]), id_list(exclude), limit),
    )
    return [row[0] for row in rows]


def claim(
    db: sqlite3.Connection,
    limit: int,
    now: float,
    *,
    exclude: Collection[int],
    first: Collection[str],
    vector_spaces: Mapping[str, Space],
    without: Collection[str],
) -> list[Work]:
    """Take the next media to work on; see `Catalog.claim`."""
    media_ids = claimable(db, limit, exclude, first, without)
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
    # Of several copies, read the one that has a sidecar: it knows more.
    stat = stat_of(
        db.execute(
            f"SELECT {STAT_COLUMNS} FROM file WHERE media_id = ? AND missing_since IS NULL"
            " ORDER BY sidecar IS NULL, id LIMIT 1",
            (media_id,),
        ).fetchone()
    )
    waiting = {stage for stage, _ in pending}
    [digest] = db.execute("SELECT content_hash FROM media WHERE id = ?", (media_id,)).fetchone()
    return Work(
        media_id,
        digest.hex(),
        stat.path,
        stat,
        tuple(sorted(waiting, key=stage_order)),
        max(attempts for _, attempts in pending),
        _stored_vector(db, media_id, {vector_spaces.get(stage) for stage in waiting}),
    )


def _stored_vector(db: sqlite3.Connection, media_id: int, spaces: set[Space | None]) -> bytes | None:
    """The vector of the whole media in the one space that all owed stages read; None where there is none."""
    space = next(iter(spaces)) if len(spaces) == 1 else None
    if space is None:
        return None
    row = db.execute(
        "SELECT data FROM segment CROSS JOIN vector ON vector.segment_id = segment.id"
        " WHERE media_id = ? AND ordinal = 0 AND space_id = (SELECT id FROM space WHERE name = ? AND dimension = ?)",
        (media_id, space.name, space.dimension),
    ).fetchone()
    return None if row is None else bytes(row[0])


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
            " state = CASE WHEN ? OR attempts + 1 >= ? THEN 'quarantined' ELSE 'pending' END"
            " WHERE media_id = ? AND stage = ? AND state = 'running'",
            [
                (
                    storable(failure.title),
                    storable(failure.remedy),
                    now,
                    failure.permanent,
                    max_attempts,
                    failure.media_id,
                    stage,
                )
                for stage in failure.stages
            ],
        )
    fulltext.rewrite(db, {failure.media_id for failure in failures if failure.vanished})


def retry(db: sqlite3.Connection, now: float) -> int:
    """quarantined -> pending with a clean slate; returns how many media."""
    media = db.execute(
        "SELECT count(DISTINCT media_id) FROM job WHERE state = 'quarantined' AND state != 'done'"
    ).fetchone()[0]
    db.execute(
        "UPDATE job SET state = 'pending', attempts = 0, problem_title = NULL, problem_remedy = NULL, updated_at = ?"
        " WHERE state = 'quarantined'",
        (now,),
    )
    return int(media)
