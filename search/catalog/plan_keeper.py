"""The part of the catalog's front that keeps the plans."""

from __future__ import annotations

from collections.abc import Callable

from indexer.records import Plan
from search.catalog import plans, sweeping
from search.catalog.database import Database
from search.catalog.rows import Plans


class PlanKeeper:
    """What every media file goes through now, and what it went through before; a base of `Catalog`.

    Each change is one transaction: a kill leaves the state before or after it. Only `begin` writes much, a row for each
    media and stage; what is dropped is marked in a moment, and removed by `sweep`.
    """

    _database: Database
    _clock: Callable[[], float]

    def plans(self) -> Plans:
        """The plan in use and the one being built."""
        with self._database.read() as db:
            return plans.read(db)

    def activate(self, plan: Plan) -> None:
        """Put a plan into use as it is, without building: the first one of a library, or the one in use with stages
        added or removed (`ensure_jobs` opens their jobs)."""
        with self._database.write() as db:
            plans.activate(db, plan, self._clock())

    def begin(self, plan: Plan) -> None:
        """Build a plan beside the one in use: every media gets the jobs of both plans that it lacks.

        Asked twice for the same plan it goes on with it; another plan takes the place of the one that was being built.
        """
        with self._database.write() as db:
            plans.begin(db, plan, self._clock())

    def building_progress(self) -> tuple[int, int]:
        """(done, total) media with a live path, of the plan being built; what was given up on is done. (0, 0): none."""
        with self._database.read() as db:
            return plans.progress(db)

    def switch(self) -> None:
        """Put the plan that is being built into use, however far it is. Raises CatalogError if there is none."""
        with self._database.write() as db:
            plans.switch(db, self._clock())

    def cancel(self) -> None:
        """Drop the plan that is being built, if there is one."""
        with self._database.write() as db:
            plans.cancel(db)

    def sweep(self, limit: int = 5000) -> int:
        """Remove some of what no plan has any more: jobs, tags, detections, scores, vectors and their space.

        Looks at about `limit` media or vectors, in small transactions between which others can write. Returns how many;
        0: nothing is left.
        """
        with self._database.read() as db:
            if not sweeping.needed(db):
                return 0
        swept = 0
        while swept < limit:
            with self._database.write() as db:
                count = sweeping.step(db, limit - swept)
            if not count:
                break
            swept += count
        return swept
