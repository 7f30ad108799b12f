"""Profiles in the catalog: built beside each other, switched, dropped, swept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from config.errors import CatalogError
from indexer.records import Analysis, Detection, Failure, Plan, Space, Tag
from search.catalog import Catalog, Work
from tests.search.library import SPACE, STAGES, add, analysis, failure, found, unit
from tests.search.plans import NEW, OLD, ONLY_NEW, OTHER, content, do_all, index_with, outcome, photos, rows, swept
from tests.search.plans import catalog as catalog  # noqa: PLC0414 - pytest finds fixtures by name


def test_a_plan_is_built_beside_the_one_in_use_and_then_takes_its_place(catalog: Catalog, tmp_path: Path) -> None:
    [one, two] = add(catalog, *photos("a", "b"))
    do_all(catalog)
    catalog.begin(NEW)
    plans = catalog.plans()
    assert plans.active == OLD
    assert plans.building is not None
    assert (plans.building.plan, plans.building.since) == (NEW, 1000.0)
    assert plans.stages.keys() == OLD.stages.keys() | NEW.stages.keys()
    assert catalog.building_progress() == (0, 2)
    assert catalog.counts().done == 2, "they are as ready as they were"
    [work] = catalog.claim(1)
    assert work.stages == ONLY_NEW, "what both plans have is not done again"
    catalog.store([outcome(work)], [])
    assert catalog.building_progress() == (1, 2)
    assert found(catalog, "tabby") == {one, two}
    do_all(catalog)
    catalog.switch()
    assert catalog.plans().active == NEW
    assert catalog.plans().building is None
    swept(catalog)
    assert catalog.counts().vectors == {OTHER.name: 2}
    assert found(catalog, "tabby") == set()
    assert found(catalog, "kitten") == found(catalog, "red") == {one, two}
    assert {job.stage for row in catalog.photos([one, two]) for job in row.jobs} == set(NEW.stages)
    assert not catalog.has_work()
    assert catalog.sweep() == 0
    assert rows(tmp_path, "PRAGMA foreign_key_check") == []


def test_what_models_find_is_kept_and_shown(catalog: Catalog) -> None:
    catalog.activate(NEW)
    catalog.ensure_jobs(NEW.stages)
    [one] = index_with(catalog, NEW)
    [row] = catalog.photos([one])
    assert Tag("cat", 0.9, "detection", count=2) in row.tags
    assert [(seen.label, seen.score, seen.box) for seen in row.detections] == [
        ("cat", 0.9, (0.0, 0.0, 0.5, 0.5)),
        ("cat", 0.7, (0.5, 0.5, 1.0, 1.0)),
    ]
    assert row.aesthetic == 0.75


def test_a_stage_that_runs_again_replaces_what_it_said(catalog: Catalog) -> None:
    catalog.activate(NEW)
    [one] = index_with(catalog, NEW)
    catalog.ensure_jobs({**NEW.stages, "detection:dfine": 2, "aesthetic:clip": 2})
    [work] = catalog.claim(1)
    assert work.stages == ("aesthetic:clip", "detection:dfine")
    again: dict[str, tuple[Detection, ...]] = {"detection:dfine": (Detection("dog", 0.8, (0.1, 0.1, 0.2, 0.2)),)}
    catalog.store([Analysis(media_id=one, stages=dict.fromkeys(work.stages, 2), detections=again)], [])
    [row] = catalog.photos([one])
    assert [seen.label for seen in row.detections] == ["dog"]
    assert row.aesthetic is None
    assert "kitten" in {tag.name for tag in row.tags}, "another stage's tags stay"


def test_beginning_twice_goes_on_and_another_plan_takes_the_place(catalog: Catalog) -> None:
    times = iter(range(1, 100))
    catalog._clock = lambda: float(next(times))
    add(catalog, *photos("a", "b"))
    do_all(catalog)
    catalog.begin(NEW)
    began = catalog.plans().building
    [work] = catalog.claim(1)
    catalog.store([outcome(work)], [])
    catalog.begin(NEW)
    assert catalog.plans().building == began
    assert catalog.building_progress() == (1, 2)
    third = Plan("quality", Space("large@1/1", 16), {**STAGES, "embedding:large": 1})
    catalog.begin(third)
    assert catalog.building_progress() == (0, 2)
    assert {stage for one in catalog.claim(10) for stage in one.stages} == {"embedding:large"}
    swept(catalog)
    assert catalog.counts().vectors == {SPACE.name: 2}
    assert found(catalog, "kitten") == set()
    assert catalog.photos([1])[0].detections == ()


def test_a_newer_revision_of_what_is_being_built_is_still_the_same_change(catalog: Catalog) -> None:
    times = iter(range(1, 100))
    catalog._clock = lambda: float(next(times))
    add(catalog, *photos("a"))
    catalog.begin(NEW)
    began = catalog.plans().building
    do_all(catalog)
    assert catalog.building_progress() == (1, 1)
    catalog.begin(Plan(NEW.profile, NEW.space, {**NEW.stages, "labels:clip": 2}))
    building = catalog.plans().building
    assert began is not None
    assert building is not None
    assert building.since == began.since
    assert [one.stages for one in catalog.claim(10)] == [("labels:clip",)]


def test_cancelling_leaves_the_library_as_it_was(catalog: Catalog, tmp_path: Path) -> None:
    [one, _] = add(catalog, *photos("a", "b"))
    do_all(catalog)
    before = content(tmp_path / "library")
    catalog.begin(NEW)
    [work] = catalog.claim(1)
    catalog.store([outcome(work)], [])
    catalog.cancel()
    assert catalog.building_progress() == (0, 0)
    assert not catalog.has_work(), "at once, not only when it is swept"
    counts = catalog.counts()
    assert (counts.pending, counts.running, counts.done) == (0, 0, 2)
    swept(catalog)
    assert content(tmp_path / "library") == before
    catalog.cancel()
    with pytest.raises(CatalogError) as refused:
        catalog.switch()
    assert "reverie models use" in refused.value.remedy
    assert found(catalog, "tabby") >= {one}


def test_hand_made_tags_and_the_stages_of_no_plan_are_nobodys_leftovers(catalog: Catalog) -> None:
    catalog.ensure_jobs({**STAGES, "faces": 1})
    [one] = add(catalog, *photos("a"))
    catalog.ensure_jobs({**STAGES, "faces": 1})
    [work] = catalog.claim(1)
    said = outcome(work)
    said.tags["faces"] = (Tag("ada", 0.9, "faces"),)
    catalog.store([said], [])
    catalog.set_authored_tags(one, ["best"])
    catalog.begin(NEW)
    catalog.switch()
    swept(catalog)
    assert found(catalog, "ada") == found(catalog, "best") == {one}
    assert found(catalog, "tabby") == set()


@pytest.mark.parametrize("when", ["before", "after"])
def test_results_that_come_too_late_are_not_stored(catalog: Catalog, tmp_path: Path, when: str) -> None:
    add(catalog, *photos("a"))
    do_all(catalog)
    catalog.begin(NEW)
    [work] = catalog.claim(1)
    catalog.cancel()
    if when == "after":
        swept(catalog)
    catalog.store([outcome(work)], [])
    swept(catalog)
    assert catalog.counts().vectors == {SPACE.name: 1}
    assert [space.name for space in catalog.spaces()] == [SPACE.name]
    assert found(catalog, "kitten") == set()
    assert rows(tmp_path, "SELECT count(*) FROM detection UNION SELECT count(*) FROM aesthetic") == [(0,)]
    catalog.ensure_jobs(NEW.stages)
    catalog.identify([], NEW.stages)
    assert not catalog.has_work(), "a stale list of stages does not bring them back"


@pytest.mark.parametrize("steps", [0, 1, 4, 7, 9, 12, 15, 18, 20, 40])
def test_a_plan_that_is_wanted_again_while_it_is_swept_is_whole_in_the_end(catalog: Catalog, steps: int) -> None:
    ids = add(catalog, *photos("a", "b", "c"))
    do_all(catalog)
    catalog.begin(NEW)
    do_all(catalog)
    catalog.cancel()
    for _ in range(steps):
        catalog.sweep(1)
    catalog.begin(NEW)
    do_all(catalog)
    assert catalog.building_progress() == (3, 3)
    catalog.switch()
    swept(catalog)
    assert catalog.counts().vectors == {OTHER.name: 3}
    assert found(catalog, "kitten") == found(catalog, "cat") == set(ids)
    for row in catalog.photos(ids):
        assert len(row.detections) == 2
        assert row.aesthetic == 0.75
        assert {job.state for job in row.jobs} == {"done"}


def test_vectors_stay_as_long_as_a_plan_reads_them(catalog: Catalog) -> None:
    """The labels of one model may go with the search space of another."""
    add(catalog, *photos("a"))
    catalog.activate(NEW)
    catalog.ensure_jobs(NEW.stages)
    do_all(catalog)
    both = Plan("both", Space("large@1/1", 16), {**NEW.stages, "embedding:large": 1})
    catalog.begin(both)
    catalog.switch()
    swept(catalog)
    assert catalog.counts().vectors[OTHER.name] == 1
    [work] = catalog.claim(1)
    assert work.stages == ("embedding:large",)


def test_progress_counts_what_is_there_and_calls_done_what_was_given_up(catalog: Catalog) -> None:
    add(catalog, *photos("a", "b", "c"))
    do_all(catalog)
    catalog.begin(NEW)
    catalog.record_missing(["/p/a.jpg"])
    assert catalog.building_progress() == (0, 2)
    [work, _] = catalog.claim(2)
    catalog.store([], [failure(work, permanent=True)])
    assert catalog.building_progress() == (1, 2)
    assert catalog.counts().done == 2, "in the plan in use nothing is wrong with it"


def test_what_the_plan_in_use_lacks_comes_first(catalog: Catalog) -> None:
    old = add(catalog, *photos("a", "b"))
    do_all(catalog)
    catalog.begin(NEW)
    catalog.record_files(photos("new"))
    [new] = [one for one in (add_with(catalog, "new", catalog.plans().stages)) if one not in old]
    work = catalog.claim(2, first=tuple(OLD.stages))
    assert [one.media_id for one in work] == [new, old[0]]
    assert set(work[0].stages) == OLD.stages.keys() | NEW.stages.keys()
    assert [one.media_id for one in catalog.claim(5, first=["nobody's"])] == [old[1]]


def test_what_waits_for_nothing_but_stages_left_out_is_no_work(catalog: Catalog) -> None:
    old = add(catalog, *photos("a", "b"))
    do_all(catalog)
    catalog.begin(NEW)
    assert catalog.counts().pending == 2
    assert catalog.counts(without=ONLY_NEW).pending == 0
    assert not catalog.has_work(without=ONLY_NEW)
    assert catalog.claim(5, without=ONLY_NEW) == []
    catalog.record_files(photos("new"))
    [new] = [one for one in add_with(catalog, "new", catalog.plans().stages) if one not in old]
    assert catalog.has_work(without=ONLY_NEW)
    assert catalog.counts(without=ONLY_NEW).pending == 1
    for first in ((), tuple(OLD.stages)):
        [work] = catalog.claim(5, first=first, without=ONLY_NEW)
        assert (work.media_id, set(work.stages)) == (new, set(OLD.stages))
        catalog.release([new])
    catalog.claim(1, without=ONLY_NEW)
    assert not catalog.has_work(without=ONLY_NEW)
    assert [one.media_id for one in catalog.claim(5)] == old, "and they are all there when it is tried again"


def add_with(catalog: Catalog, name: str, stages: dict[str, int]) -> list[int]:
    ids = add(catalog, *photos(name))
    catalog.ensure_jobs(stages)
    return ids


def test_a_stored_vector_is_handed_out_where_nothing_else_is_needed(catalog: Catalog) -> None:
    spaces = {"labels:clip": OTHER, "aesthetic:clip": OTHER}
    catalog.activate(NEW)
    [one] = index_with(catalog, NEW)
    catalog.ensure_jobs({**NEW.stages, "labels:clip": 2})
    [work] = catalog.claim(1, vector_spaces=spaces)
    assert work.vectors == ((0, unit(one, OTHER).astype("<f2").tobytes()),)
    catalog.release([one])
    assert catalog.claim(1)[0].vectors == ()
    catalog.release([one])
    assert catalog.claim(1, vector_spaces={"labels:clip": SPACE})[0].vectors == (), "there is none in that space"
    catalog.release([one])
    catalog.ensure_jobs({**NEW.stages, "labels:clip": 2, "detection:dfine": 2})
    assert catalog.claim(1, vector_spaces=spaces)[0].vectors == (), "the detector needs the photo"


def test_a_stage_that_failed_alone_does_not_take_the_others_with_it(catalog: Catalog) -> None:
    [one] = add(catalog, *photos("a"))
    catalog.begin(NEW)
    [work] = catalog.claim(1)
    rest = outcome(Work(**{**_fields(work), "stages": tuple(set(work.stages) - {"detection:dfine"})}))
    failed = Failure(media_id=one, stages=("detection:dfine",), title="It failed.", remedy="Retry.", permanent=True)
    catalog.store([_with_failed(rest, failed)], [])
    states = {job.stage: job.state for job in catalog.photos([one])[0].jobs}
    assert states.pop("detection:dfine") == "quarantined"
    assert set(states.values()) == {"done"}


def _fields(work: Work) -> dict[str, Any]:
    names = ("media_id", "content_hash", "kind", "path", "stat", "attempts", "vectors")
    return {name: getattr(work, name) for name in names}


def _with_failed(one: Analysis, failed: Failure) -> Analysis:
    return Analysis(
        media_id=one.media_id, stages=one.stages, info=one.info, pixels=one.pixels, embeddings=one.embeddings,
        failed=(failed,),
    )  # fmt: skip


def test_the_best_looking_come_first_by_the_judge_in_use(catalog: Catalog) -> None:
    other = Plan("quality", Space("large@1/1", 16), {**STAGES, "aesthetic:large": 1})
    ids = add(catalog, *photos("a", "b", "c"))
    catalog.activate(Plan("standard", SPACE, {**STAGES, "aesthetic:clip": 1}))
    catalog.ensure_jobs(catalog.plans().stages)
    score_all(catalog, {ids[0]: 0.2, ids[1]: 0.9})
    assert best_looking(catalog) == [ids[1], ids[0], ids[2]]
    catalog.begin(other)
    score_all(catalog, {ids[0]: 0.8, ids[1]: 0.1, ids[2]: 0.5})
    assert best_looking(catalog) == [ids[1], ids[0], ids[2]], "what is being built does not judge yet"
    catalog.switch()
    assert best_looking(catalog) == [ids[0], ids[2], ids[1]]
    swept(catalog)
    assert best_looking(catalog) == [ids[0], ids[2], ids[1]]
    assert [row.aesthetic for row in catalog.photos(ids)] == [0.8, 0.1, 0.5]


def test_two_judges_of_one_photo_do_not_mix_their_scores(catalog: Catalog) -> None:
    add(catalog, *photos("a"))
    catalog.activate(Plan("standard", SPACE, {**STAGES, "aesthetic:clip": 1}))
    catalog.begin(Plan("quality", Space("large@1/1", 16), {**STAGES, "aesthetic:large": 1}))
    catalog.ensure_jobs({**STAGES, "aesthetic:clip": 1, "aesthetic:large": 1})
    [work] = catalog.claim(10)
    scores = {"aesthetic:clip": 0.25, "aesthetic:large": 0.75}
    said = analysis(work.media_id)
    catalog.store([dataclasses.replace(said, stages=dict.fromkeys(work.stages, 1), aesthetic=scores)], [])
    assert [row.aesthetic for row in catalog.photos([work.media_id])] == [0.25]
    catalog.switch()
    assert [row.aesthetic for row in catalog.photos([work.media_id])] == [0.75]


def score_all(catalog: Catalog, scores: dict[int, float]) -> None:
    for work in catalog.claim(10):
        said = analysis(work.media_id)
        score = scores.get(work.media_id)
        catalog.store(
            [
                Analysis(
                    media_id=work.media_id, stages=dict.fromkeys(work.stages, 1), info=said.info,
                    aesthetic={} if score is None else {s: score for s in work.stages if s.startswith("aesthetic:")},
                )
            ],
            [],
        )  # fmt: skip


def best_looking(catalog: Catalog) -> list[int]:
    return [row.media_id for row in catalog.listed("1", [], order="aesthetic", limit=10)]
