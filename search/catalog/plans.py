"""The plan in use and the one built beside it: begun, dropped or put into use in one transaction each.

Nothing is deleted here, however large the library: what no plan has any more is only marked as retired, and
`search.catalog.sweeping` removes it bit by bit.
"""

from __future__ import annotations

import json
import sqlite3

from config.errors import CatalogError
from indexer.records import Plan, Space
from indexer.stages import filler_of
from search.catalog import jobs
from search.catalog.rows import Building, Plans

ACTIVE = "active"
BUILDING = "building"


def read(db: sqlite3.Connection) -> Plans:
    """The plan in use and the one being built."""
    found = {
        role: Building(Plan(profile, Space(space, dimension), json.loads(stages)), since)
        for role, profile, space, dimension, stages, since in db.execute(
            "SELECT role, profile, space, dimension, stages, since FROM plan"
        )
    }
    return Plans(found[ACTIVE].plan if ACTIVE in found else None, found.get(BUILDING))


def activate(db: sqlite3.Connection, plan: Plan, now: float) -> None:
    """Put a plan into use as it is; see `Catalog.activate`."""
    before = read(db).active
    if before != plan:
        _put(db, ACTIVE, plan, now)
        if before is not None:
            _retire(db, before)


def begin(db: sqlite3.Connection, plan: Plan, now: float) -> None:
    """Build a plan beside the one in use; see `Catalog.begin`."""
    before = read(db).building
    if before is None or before.plan != plan:
        # A profile whose labels were edited meanwhile is still the same change, begun when it was.
        same = before is not None and (before.plan.profile, before.plan.space) == (plan.profile, plan.space)
        _put(db, BUILDING, plan, before.since if before is not None and same else now)
        if before is not None:
            _retire(db, before.plan)
    jobs.open_all(db, read(db).stages, now)


def switch(db: sqlite3.Connection, now: float) -> None:
    """Put what is being built into use; see `Catalog.switch`."""
    plans = read(db)
    if plans.building is None:
        raise CatalogError("No profile is being built.", "Begin with `reverie models use NAME`.")
    db.execute("DELETE FROM plan WHERE role = ?", (ACTIVE,))
    db.execute("UPDATE plan SET role = ?, since = ? WHERE role = ?", (ACTIVE, now, BUILDING))
    if plans.active is not None:
        _retire(db, plans.active)


def cancel(db: sqlite3.Connection) -> None:
    """Drop what is being built; see `Catalog.cancel`."""
    building = read(db).building
    if building is not None:
        db.execute("DELETE FROM plan WHERE role = ?", (BUILDING,))
        _retire(db, building.plan)


def progress(db: sqlite3.Connection) -> tuple[int, int]:
    """(done, total) media of what is being built; see `Catalog.building_progress`."""
    building = read(db).building
    if building is None:
        return 0, 0
    total = db.execute("SELECT count(DISTINCT media_id) FROM file WHERE media_id NOT NULL AND missing_since IS NULL")
    # Only what is open is read, in the order of the partial index: the least there is towards the end.
    waiting = db.execute(
        "SELECT count(*) FROM (SELECT DISTINCT media_id FROM job INDEXED BY job_open WHERE state != 'done'"
        " AND state IN ('pending', 'running') AND stage IN (SELECT value FROM json_each(?))) AS m"
        " WHERE EXISTS (SELECT 1 FROM file WHERE file.media_id = m.media_id AND file.missing_since IS NULL)",
        (json.dumps(list(building.plan.stages)),),
    )
    [count], [open_media] = total.fetchone(), waiting.fetchone()
    return int(count) - int(open_media), int(count)


def _put(db: sqlite3.Connection, role: str, plan: Plan, since: float) -> None:
    """Give a plan its role. What it has that was retired is retired no longer.

    That is safe halfway through a removal: the jobs of a retired stage are removed before the first of its results,
    and those of every retired stage before the first vector, so what has a job that is done is still all there.
    """
    db.execute(
        "INSERT OR REPLACE INTO plan (role, profile, space, dimension, stages, since) VALUES (?, ?, ?, ?, ?, ?)",
        (role, plan.profile, plan.space.name, plan.space.dimension, json.dumps(plan.stages), since),
    )
    db.execute("DELETE FROM retired WHERE kind = 'space' AND name = ?", (plan.space.name,))
    db.executemany("DELETE FROM retired WHERE kind = 'stage' AND name = ?", [(stage,) for stage in plan.stages])


def _retire(db: sqlite3.Connection, dropped: Plan) -> None:
    """Mark what only the dropped plan had; what a remaining plan has, too, keeps its jobs and results."""
    plans = read(db)
    db.executemany(
        "INSERT OR REPLACE INTO retired (kind, name, step) VALUES ('stage', ?, 'jobs')",
        [(stage,) for stage in dropped.stages if stage not in plans.stages],
    )
    # As long as the stage that fills a space runs, its labels and scores read the vectors.
    spaces = {plan.space.name for plan in plans.all}
    if dropped.space.name not in spaces and filler_of(dropped.space) not in plans.stages:
        db.execute(
            "INSERT OR REPLACE INTO retired (kind, name, step) VALUES ('space', ?, 'results')", (dropped.space.name,)
        )
