"""A change of profile: the new beside the old, one switch, and nothing left behind; whatever is killed in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.errors import ModelError, StageBroken
from config.paths import Paths
from daemon.answers import Answers
from daemon.profiles import ASIDE_SECONDS, ChangeInProgress, Profiles
from daemon.view import BUILTIN_PLAN
from indexer.records import Analysis, Embedding, Failure, Kind, MediaInfo, Plan, Space, Stage
from search.catalog import Catalog, Work
from tests.search.library import add, stat, unit

OTHER = Plan("other", Space("other@1", 384), {**BUILTIN_PLAN.stages, "embedding:other": 1})
"""A plan with a space of its own that is asked through the builtin query side, which is there on every machine."""

PHOTOS = 5


class Library:
    """A library with photos, opened and killed as often as a test likes."""

    def __init__(self, folder: Path, model_cache: Path) -> None:
        self.paths = Paths(
            library=folder / "library", model_cache=model_cache, socket=folder / "socket", config_folders=()
        )
        self.plans: dict[str, Plan] = {"builtin": BUILTIN_PLAN, "other": OTHER}
        self.catalogs: list[Catalog] = []

    def open(self) -> None:
        """What a start does. What was open before is simply left, as by a kill."""
        self.catalog = Catalog(self.paths.library)
        self.catalogs.append(self.catalog)
        self.catalog.release_running()
        self.clock = 0.0
        self.profiles = Profiles(self.catalog, self.paths, plan_for=self.plan_for, clock=lambda: self.clock)
        self.profiles.prepare()
        self.answers = Answers(self.paths, self.catalog)

    def plan_for(self, name: str) -> Plan:
        if name not in self.plans:
            raise ModelError(f"The profile {name} is not installed.", f"`reverie models pull {name}`")
        return self.plans[name]

    def work(self, limit: int = 500) -> list[Work]:
        """What a worker would do, for so many photos."""
        claimed = self.catalog.claim(limit, first=self.profiles.active.stages)
        self.catalog.store([self.analysis(one) for one in claimed], [])
        return claimed

    def analysis(self, one: Work) -> Analysis:
        stages = self.profiles.stages
        spaces = {Stage.CONCEPTS: BUILTIN_PLAN.space, "embedding:other": OTHER.space}
        vectors = [
            Embedding(space, unit(one.media_id, space).astype("<f2").tobytes())
            for stage, space in spaces.items()
            if stage in one.stages
        ]
        described = MediaInfo(kind=Kind.PHOTO, format="JPEG", width=40, height=30)
        return Analysis(
            media_id=one.media_id,
            stages={stage: stages[stage] for stage in one.stages},
            info=described if Stage.DESCRIBE in one.stages else None,
            embeddings=tuple(vectors),
        )

    def advance(self, until: Callable[[], bool]) -> None:
        """Let the change go on until a condition holds."""
        deadline = time.monotonic() + 30
        while not until():
            assert time.monotonic() < deadline
            self.clock += 1
            if not self.profiles.advance(self.answers):
                time.sleep(0.01)  # it is loading in the background

    def found(self) -> int:
        """How many photos a question is answered with."""
        return len(self.answers.search("a cat", limit=50, everything=True)["results"])


@pytest.fixture
def library(tmp_path: Path, model_cache: Path) -> Iterator[Library]:
    made = Library(tmp_path, model_cache)
    made.open()
    yield made
    for catalog in made.catalogs:
        catalog.close()


@pytest.fixture
def indexed(library: Library) -> Library:
    add(library.catalog, *(stat(f"/{number}.jpg") for number in range(PHOTOS)))
    library.work()
    library.answers.index.refresh()
    assert library.found() == PHOTOS
    return library


def test_a_new_library_is_of_the_builtin_profile(library: Library) -> None:
    assert library.catalog.plans().active == BUILTIN_PLAN
    assert library.profiles.active == BUILTIN_PLAN
    assert library.profiles.building is None
    assert library.profiles.notes == []


def test_labels_that_were_edited_are_looked_for_at_the_next_start(indexed: Library) -> None:
    indexed.plans["builtin"] = Plan("builtin", BUILTIN_PLAN.space, {**BUILTIN_PLAN.stages, Stage.CONCEPTS: 7})
    indexed.open()
    assert indexed.profiles.active.stages[Stage.CONCEPTS] == 7
    assert indexed.catalog.counts().pending == PHOTOS
    assert indexed.found() == PHOTOS


def test_a_profile_that_now_means_another_space_is_kept_as_it_was_and_that_is_said(indexed: Library) -> None:
    indexed.plans["builtin"] = Plan("builtin", Space("elsewhere@1", 384), dict(BUILTIN_PLAN.stages))
    indexed.open()
    assert indexed.profiles.active == BUILTIN_PLAN
    [note] = indexed.profiles.notes
    assert "reverie models use builtin" in note["remedy"]
    assert indexed.found() == PHOTOS


def test_a_profile_whose_models_have_gone_is_kept_as_it_was_and_that_is_said(indexed: Library) -> None:
    del indexed.plans["builtin"]
    indexed.open()
    assert indexed.profiles.active == BUILTIN_PLAN
    [note] = indexed.profiles.notes
    assert "not installed" in note["title"]
    assert indexed.found() == PHOTOS


def test_the_old_answers_until_every_photo_has_its_new_vector(indexed: Library) -> None:
    assert indexed.profiles.begin("other")
    for _ in range(PHOTOS):
        assert indexed.profiles.active == BUILTIN_PLAN
        assert indexed.answers.plan == BUILTIN_PLAN
        assert indexed.found() == PHOTOS
        indexed.advance(lambda: indexed.profiles._new.is_checked(OTHER))
        assert len(indexed.work(1)) == 1
    indexed.advance(lambda: indexed.profiles.building is None)
    assert indexed.answers.plan == indexed.profiles.active == OTHER
    assert indexed.found() == PHOTOS
    indexed.advance(lambda: indexed.profiles.idle)
    assert dict(indexed.catalog.counts().vectors) == {"other@1": PHOTOS}
    assert indexed.found() == PHOTOS


def test_the_snapshot_of_vectors_that_are_gone_goes_too(indexed: Library) -> None:
    indexed.answers.index.save()
    [old] = indexed.paths.library.glob("vectors-*")
    indexed.profiles.begin("other")
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    indexed.answers.index.save()
    [new] = indexed.paths.library.glob("vectors-*")
    assert new != old


@pytest.mark.parametrize("moment", ["begun", "half done", "complete", "switched"])
def test_a_kill_at_any_moment_costs_nothing(indexed: Library, moment: str) -> None:
    indexed.profiles.begin("other")
    if moment != "begun":
        indexed.work(2 if moment == "half done" else 500)
    if moment == "switched":
        indexed.advance(lambda: indexed.profiles.building is None)
    indexed.open()
    assert indexed.found() == PHOTOS
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    assert indexed.profiles.active == indexed.answers.plan == OTHER
    assert indexed.found() == PHOTOS
    assert dict(indexed.catalog.counts().vectors) == {"other@1": PHOTOS}


def test_a_photo_that_comes_meanwhile_is_part_of_both(indexed: Library) -> None:
    indexed.profiles.begin("other")
    indexed.work()
    indexed.catalog.record_files([stat("/new.jpg")])
    indexed.catalog.identify([(stat("/new.jpg"), b"n" * 32, Kind.PHOTO)], indexed.profiles.stages)
    indexed.advance(lambda: indexed.profiles._new.is_checked(OTHER))
    assert indexed.profiles.building is not None
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    assert indexed.found() == PHOTOS + 1


def test_a_file_that_only_knows_of_the_old_plan_is_waited_for(indexed: Library) -> None:
    indexed.profiles.begin("other")
    indexed.work()
    indexed.catalog.record_files([stat("/late.jpg")])
    indexed.catalog.identify([(stat("/late.jpg"), b"l" * 32, Kind.PHOTO)], BUILTIN_PLAN.stages)
    indexed.work()
    indexed.advance(indexed.catalog.has_work)
    assert indexed.profiles.building is not None
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    assert indexed.found() == PHOTOS + 1


def test_a_change_that_was_cancelled_leaves_nothing(indexed: Library) -> None:
    indexed.profiles.begin("other")
    indexed.work(2)
    assert indexed.profiles.cancel() == "other"
    assert indexed.profiles.cancel() is None
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    assert indexed.profiles.active == indexed.answers.plan == BUILTIN_PLAN
    assert dict(indexed.catalog.counts().vectors) == {BUILTIN_PLAN.space.name: PHOTOS}
    assert indexed.found() == PHOTOS


def test_one_change_at_a_time(indexed: Library) -> None:
    indexed.plans["third"] = Plan("third", Space("third@1", 384), dict(BUILTIN_PLAN.stages))
    assert not indexed.profiles.begin("builtin")
    assert indexed.profiles.begin("other")
    assert indexed.profiles.begin("other")
    with pytest.raises(ChangeInProgress, match="to the profile other") as caught:
        indexed.profiles.begin("third")
    assert "reverie models cancel" in caught.value.remedy
    with pytest.raises(ModelError, match="not installed"):
        indexed.profiles.begin("nothing")


def test_a_profile_that_cannot_be_asked_is_not_taken_into_use(
    indexed: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").touch()
    monkeypatch.setattr(
        indexed.profiles._new, "_paths", Paths(indexed.paths.library, tmp_path / "broken", tmp_path, ())
    )
    indexed.profiles.begin("other")
    indexed.work()
    indexed.advance(lambda: indexed.profiles.trouble is not None)
    assert indexed.profiles.active == indexed.answers.plan == BUILTIN_PLAN
    assert indexed.found() == PHOTOS
    monkeypatch.undo()
    indexed.clock += 60
    indexed.advance(lambda: indexed.profiles.idle)
    assert indexed.profiles.trouble is None
    assert indexed.answers.plan == OTHER


BROKEN = StageBroken("embedding:other", "The weights are damaged.", "Pull them again.")


@pytest.mark.parametrize("mended_by", ["time", "retry", "use"])
def test_a_plan_whose_model_cannot_work_is_set_aside_and_tried_again(indexed: Library, mended_by: str) -> None:
    indexed.profiles.begin("other")
    assert indexed.profiles.do_without(BROKEN)
    assert list(indexed.profiles.set_aside) == ["embedding:other"]
    indexed.advance(lambda: indexed.profiles._new.is_checked(OTHER))
    trouble = indexed.profiles.trouble
    assert trouble is not None
    assert trouble.title == "The weights are damaged."
    assert "`reverie models cancel`" in trouble.remedy
    assert indexed.found() == PHOTOS
    match mended_by:
        case "time":
            indexed.clock += ASIDE_SECONDS
        case "retry":
            indexed.profiles.retry()
        case _:
            assert indexed.profiles.begin("other")
    assert not indexed.profiles.set_aside
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    assert (indexed.profiles.trouble, indexed.answers.plan) == (None, OTHER)


def test_the_plan_in_use_cannot_do_without_its_stages_and_a_cancelled_one_needs_none(indexed: Library) -> None:
    indexed.profiles.begin("other")
    assert not indexed.profiles.do_without(StageBroken(Stage.CONCEPTS, "Gone.", ""))
    assert (indexed.profiles.trouble, list(indexed.profiles.set_aside)) == (None, [])
    indexed.profiles.cancel()
    assert indexed.profiles.do_without(BROKEN)
    assert (indexed.profiles.trouble, list(indexed.profiles.set_aside)) == (None, [])


def test_a_profile_by_which_no_photo_could_be_analysed_is_not_taken_into_use(indexed: Library) -> None:
    indexed.profiles.begin("other")
    claimed = indexed.catalog.claim(500)
    indexed.catalog.store(
        [],
        [Failure(media_id=one.media_id, stages=one.stages, title="No.", remedy="", permanent=True) for one in claimed],
    )
    indexed.advance(lambda: indexed.profiles.trouble is not None)
    assert indexed.profiles.active == indexed.answers.plan == BUILTIN_PLAN
    assert indexed.found() == PHOTOS
    indexed.catalog.retry_problems()
    indexed.profiles.retry()
    indexed.work()
    indexed.advance(lambda: indexed.profiles.idle)
    assert indexed.answers.plan == OTHER
