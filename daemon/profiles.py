"""Which plan is in use, which is being built beside it, and the change from one to the other.

The vectors of a new profile are made beside those of the old one, which go on answering. Only when every photo has
its new vector and the new query side is loaded does one transaction in the catalog make the new plan the one in use;
what the old one left is then removed in small steps. All of it can be read off the catalog, so that a process that
was killed anywhere between goes on where it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping

from config.errors import ModelError, ReverieError, StageBroken
from config.paths import Paths
from daemon.answers import Answers
from daemon.new_view import NewView
from daemon.view import BUILTIN_PLAN
from indexer.pictures import Pictures
from indexer.records import Plan, Space
from indexer.stages import cuts_out, filler_of, reads_vectors, source_of
from search.catalog import Catalog
from search.messages import NoteMessage
from search.vectors import drop_snapshots

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How often it is asked whether a new profile is complete: counting costs a query."""

AGAIN_SECONDS = 30.0
"""After so long a new profile that could not be taken into use is tried again."""

SWEEP_ROWS = 1000
"""Photos whose leftovers are removed between two batches of work."""

ASIDE_SECONDS = 300.0
"""After so long a new profile is tried again whose model could not work."""


class ChangeInProgress(ReverieError):
    """Another change of profile has not ended yet."""

    exit_status = 2


class Profiles:
    """The plans of one library. One thread drives `advance`; the rest may be called from any.

    Args:
        catalog: where the plans are kept.
        paths: the library's folders.
        plan_for: makes the plan of a profile as it is defined and installed now. Raises ModelError, ConfigError.
        clock: monotonic seconds.
    """

    def __init__(
        self, catalog: Catalog, paths: Paths, *, plan_for: Callable[[str], Plan], clock: Callable[[], float]
    ) -> None:
        self._catalog = catalog
        self._paths = paths
        self._plan_for = plan_for
        self._clock = clock
        self._lock = threading.Lock()
        self._notes: list[NoteMessage] = []
        self._trouble: ReverieError | None = None
        self._sweeping = True  # a change may have been cut off before everything was removed
        self._swept = False
        self._new = NewView(paths)
        self._due = self._aside_until = 0.0
        self._prepared = False
        plans = catalog.plans()
        self._active = self._refreshed(plans.active or BUILTIN_PLAN)
        self._building = self._refreshed(plans.building.plan) if plans.building is not None else None

    # -- what others ask

    @property
    def active(self) -> Plan:
        """The plan in use."""
        return self._active

    @property
    def building(self) -> Plan | None:
        """The plan that is being built beside it."""
        return self._building

    @property
    def stages(self) -> dict[str, int]:
        """What every photo goes through now: the stages of both plans; where revisions differ, the newer plan's."""
        building = self._building
        return {**self._active.stages, **(building.stages if building else {})}

    @property
    def vector_spaces(self) -> Mapping[str, Space]:
        """The stages that need no more than a stored vector, each with the space of that vector."""
        return {
            stage: plan.space
            for plan in (self._active, self._building)
            if plan is not None
            for stage in plan.stages
            if reads_vectors(stage) and source_of(stage) == filler_of(plan.space)
        }

    @property
    def notes(self) -> list[NoteMessage]:
        """What a person should know about the profile."""
        return list(self._notes)

    @property
    def trouble(self) -> ReverieError | None:
        """Why the plan that is being built cannot be taken into use, when it cannot."""
        return self._trouble

    @property
    def set_aside(self) -> Collection[str]:
        """Stages that are left alone for now, because a model of the plan that is being built cannot work."""
        building = self._building
        if building is None or self._clock() >= self._aside_until:
            return ()
        return [stage for stage in building.stages if stage not in self._active.stages]

    @property
    def opening(self) -> bool:
        """The new profile is complete, and is being opened for use."""
        return self._new.opening

    @property
    def idle(self) -> bool:
        """Nothing is being changed, and nothing is left of earlier changes."""
        return self._building is None and not self._sweeping

    # -- what people order

    def begin(self, name: str) -> bool:
        """Begin to build a profile, or go on if it is being built. False if it is the one in use already.

        Raises ModelError for a profile that is unknown or not installed, ChangeInProgress if another is being built.
        """
        plan = self._plan_for(name)
        with self._lock:
            if self._building is not None and self._building.profile != name:
                raise ChangeInProgress(
                    f"The library is being changed to the profile {self._building.profile}.",
                    "Wait until that is done (`reverie models` tells), or stop it with `reverie models cancel`.",
                )
            if self._building is None and plan == self._active:
                return False
            if plan != self._building:
                self._prepare()
                self._catalog.begin(plan)
                self._start_afresh()
                self._building = plan
                logger.info("the profile %s is being built beside %s", name, self._active.profile)
            elif self._trouble is not None:
                self._start_afresh()  # whoever asks again has mended something
        return True

    def cancel(self) -> str | None:
        """Stop building; the plan in use goes on. Returns the name of the profile that was being built, if any."""
        with self._lock:
            if self._building is None:
                return None
            name = self._building.profile
            self._catalog.cancel()
            self._building = None
            self._start_afresh()
            self._sweeping = True
        logger.info("the change to the profile %s was cancelled", name)
        return name

    def do_without(self, error: StageBroken) -> bool:
        """Leave a plan alone for a while whose model cannot work. False if the plan in use has that stage, too: it
        cannot do without."""
        with self._lock:
            building = self._building
            if error.stage in self._active.stages:
                return False
            if building is None or error.stage not in building.stages:
                return True  # it was cancelled meanwhile, and asks for nothing any more
            logger.error("the profile %s is set aside: %s", building.profile, error)
            self._trouble = ModelError(
                error.title,
                f"{error.remedy} Then `reverie models use {building.profile}` tries again at once;"
                " `reverie models cancel` stops the change. The profile in use goes on meanwhile.",
            )
            self._aside_until = self._clock() + ASIDE_SECONDS
        return True

    def retry(self) -> None:
        """Try at once what failed before."""
        with self._lock:
            self._start_afresh()

    # -- the work

    def prepare(self) -> None:
        """Before any work: write down the plans as their profiles are defined now, and open the jobs that are missing.

        Raises CatalogError; then it is to be called again.
        """
        with self._lock:
            self._prepare()

    def _prepare(self) -> None:
        if self._prepared:
            return
        plans = self._catalog.plans()
        if self._active != plans.active:
            self._catalog.activate(self._active)
        if self._building is not None and plans.building is not None and self._building != plans.building.plan:
            self._catalog.begin(self._building)
        self._catalog.ensure_jobs(self.stages)
        self._prepared = True

    def advance(self, answers: Answers) -> bool:
        """Do the next small part of a change. True if there is more to do at once. Raises CatalogError."""
        with self._lock:
            if self._aside_until and self._clock() >= self._aside_until:
                self._start_afresh()
            if self._building is not None and (self._clock() >= self._due or self._new.is_open):
                self._due = self._clock() + CHECK_SECONDS
                if self._build(self._building, answers):
                    return True
            return self._sweeping and self._sweep()

    def _build(self, plan: Plan, answers: Answers) -> bool:
        """Look how far the new plan is; open its view once it is complete; switch once that is open."""
        try:
            if not self._new.is_checked(plan):
                if not self._new.check(plan):
                    return False
                if not self._aside_until:
                    self._trouble = None
            done, total = self._catalog.building_progress()
            if done < total:
                return False
            if not self._new.opening:
                if self._catalog.ensure_jobs(self.stages):  # of a file that was identified in the moment of `begin`
                    return False
                self._must_not_be_empty(plan)
            view = self._new.open(plan, answers)
            if view is None:
                return False
        except ReverieError as error:
            logger.error("the profile %s cannot be taken into use: %s", plan.profile, error)
            self._new.forget()
            if not self._aside_until:  # that trouble is the same, or comes first
                self._trouble = error
            self._due = self._clock() + AGAIN_SECONDS
            return False
        view.index.refresh()
        self._catalog.switch()
        answers.adopt(view)
        self._active, self._building = plan, None
        self._start_afresh()
        self._notes.clear()
        self._sweeping = True
        logger.info("searches are answered by the profile %s now", plan.profile)
        return True

    def _must_not_be_empty(self, plan: Plan) -> None:
        """Raises ModelError: photos have vectors in use, and not one has a new one. That is no fault of photos."""
        if self._catalog.vector_totals(self._active.space)[1] and not self._catalog.vector_totals(plan.space)[1]:
            raise ModelError(
                f"No photo could be analysed by the profile {plan.profile}.",
                "`reverie status` shows why. `reverie retry` tries again; `reverie models cancel` stops the change.",
            )

    def _sweep(self) -> bool:
        """Remove a little of what plans of the past have left."""
        if self._catalog.sweep(SWEEP_ROWS):
            self._swept = True
            return True
        if self._swept and not cuts_out(self.stages):
            Pictures(self._paths.thumbnails).drop_cut_outs()
        self._swept = False
        kept = [plan.space for plan in (self._active, self._building) if plan is not None]
        drop_snapshots(self._paths.library, keep=kept)
        self._sweeping = False
        return False

    def _start_afresh(self) -> None:
        """Forget what was begun for a plan that is not the one any more, what failed, and what was set aside."""
        self._new.forget()
        self._trouble = None
        self._due = self._aside_until = 0.0

    def _refreshed(self, plan: Plan) -> Plan:
        """The plan as its profile is defined now: a list of labels may have been edited, a plug-in installed.

        A plan whose space would change is kept as it is, with a note: that is a change of profile, and a person's call.
        """
        try:
            fresh = self._plan_for(plan.profile)
        except ReverieError as error:
            self._note(f"The profile {plan.profile} is used as it was: {error.title}", error.remedy)
            return plan
        if fresh.space != plan.space:
            self._note(
                f"The profile {plan.profile} is defined otherwise now; the library still has its old vectors.",
                f"`reverie models use {plan.profile}` makes the new ones beside them.",
            )
            return plan
        return fresh

    def _note(self, title: str, remedy: str) -> None:
        logger.warning("%s %s", title, remedy)
        self._notes.append({"title": title, "remedy": remedy})


def cancelled(profile: str) -> ReverieError:
    """What somebody who waits for a change is told when it was stopped."""
    return ReverieError(
        f"The change to the profile {profile} was cancelled.", f"`reverie models use {profile}` begins it again."
    )
