"""The ledger: what is claimed, closed, counted, given up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.records import Space, Stage, Tag
from search.catalog import Catalog
from tests.search.library import SPACE, STAGES, add, analysis, failure, finish, found, index, stat, unit


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "library")
    yield catalog
    catalog.close()


def test_work_comes_once_oldest_first_with_its_stages_in_order(catalog: Catalog) -> None:
    ids = add(catalog, *(stat(f"/p/{number}.jpg") for number in range(5)))
    first = catalog.claim(2)
    assert [work.media_id for work in first] == ids[:2]
    assert first[0].stages == (Stage.METADATA, Stage.DESCRIBE, Stage.PIXELS, Stage.CONCEPTS)
    assert [work.media_id for work in catalog.claim(10, exclude={ids[3]})] == [ids[2], ids[4]]
    assert [work.media_id for work in catalog.claim(10)] == [ids[3]]
    assert catalog.claim(10) == []
    assert catalog.counts().running == 5


def test_what_was_running_at_a_kill_is_pending_again_at_no_cost(catalog: Catalog, tmp_path: Path) -> None:
    add(catalog, stat("/p/a.jpg"), stat("/p/b.jpg"))
    catalog.claim(10)
    again = Catalog(tmp_path / "library")
    assert again.release_running() == 2
    assert [work.attempts for work in again.claim(10)] == [0, 0]
    again.close()


def test_work_given_back_costs_no_attempt(catalog: Catalog) -> None:
    [one] = add(catalog, stat("/p/a.jpg"))
    catalog.claim(1)
    catalog.release([one])
    assert [work.attempts for work in catalog.claim(1)] == [0]


def test_a_failing_file_is_tried_three_times_then_quarantined_with_its_reason(catalog: Catalog) -> None:
    add(catalog, stat("/p/bad.jpg", 3), stat("/p/good.jpg"))
    catalog.record_files([stat("/q/link.jpg", 3)])
    for attempts in range(3):
        work = {one.path: one for one in catalog.claim(10)}
        assert work["/p/bad.jpg"].attempts == attempts
        stored = [analysis(work["/p/good.jpg"].media_id)] if "/p/good.jpg" in work else []
        catalog.store(stored, [failure(work["/p/bad.jpg"])])
    assert catalog.claim(10) == []
    assert [(one.path, one.title, one.attempts) for one in catalog.problems()] == [
        ("/p/bad.jpg", "It is broken.", 3),
        ("/q/link.jpg", "It is broken.", 3),
    ]
    counts = catalog.counts()
    assert (counts.quarantined, counts.problems, counts.done, counts.pending) == (1, 2, 1, 0)
    assert len(catalog.problems(limit=1, offset=1)) == 1
    assert catalog.retry_problems() == 1
    finish(catalog)
    assert (catalog.problems(), catalog.counts().done) == ([], 2)


def test_a_permanent_failure_is_quarantined_at_once(catalog: Catalog) -> None:
    add(catalog, stat("/p/bad.jpg"))
    catalog.store([], [failure(*catalog.claim(1), permanent=True)])
    assert catalog.counts().quarantined == 1


def test_a_file_that_vanished_under_the_worker_is_looked_at_afresh(catalog: Catalog) -> None:
    seen = stat("/p/a.jpg")
    add(catalog, seen)
    catalog.store([], [failure(*catalog.claim(1), vanished=True)])
    assert catalog.unidentified(10) == [seen]
    assert catalog.problems() == []
    add(catalog, seen)
    assert [work.attempts for work in catalog.claim(10)] == [0]


def test_a_new_revision_or_stage_opens_jobs_and_keeps_the_old_answer_meanwhile(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg"), tags=["cat"])
    assert catalog.ensure_jobs(STAGES) == 0
    assert catalog.ensure_jobs(STAGES | {Stage.CONCEPTS: 2}) == 1
    [work] = catalog.claim(10)
    assert work.stages == (Stage.CONCEPTS,)
    assert found(catalog, "cat") == {one}
    catalog.store([replace(analysis(one, tags=["dog"]), stages={Stage.CONCEPTS: 2}, info=None, pixels=None)], [])
    assert (found(catalog, "cat"), found(catalog, "dog")) == (set(), {one})
    assert catalog.ensure_jobs(STAGES | {Stage.CONCEPTS: 2}) == 0
    assert catalog.photos([one])[0].info is not None


def test_open_jobs_of_a_stage_nobody_runs_any_more_are_dropped(catalog: Catalog) -> None:
    [one] = add(catalog, stat("/p/a.jpg"))
    catalog.ensure_jobs({Stage.DESCRIBE: 1})
    assert [job.stage for job in catalog.photos([one])[0].jobs] == [Stage.DESCRIBE]


def test_a_stage_says_nothing_about_the_others(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg"), tags=["cat"], title="my cat")
    catalog.set_authored_tags(one, ["felix"])
    catalog.ensure_jobs(STAGES | {Stage.DESCRIBE: 2})
    catalog.claim(1)
    catalog.store(
        [replace(analysis(one, title="new"), stages={Stage.DESCRIBE: 2}, pixels=None, tags={}, embeddings=())], []
    )
    [row] = catalog.photos([one])
    assert [tag.name for tag in row.tags] == ["felix", "cat"]
    assert row.pixels is not None
    assert catalog.counts().vectors == {SPACE.name: 1}


@pytest.mark.parametrize(
    "vector", [np.zeros(16), np.full(16, math.nan), np.full(16, math.inf), np.ones(16), unit(1)[:8]]
)
def test_a_vector_that_is_none_harms_only_its_own_file(catalog: Catalog, vector: np.typing.NDArray[np.float32]) -> None:
    bad, good = add(catalog, stat("/p/bad.jpg"), stat("/p/good.jpg"))
    catalog.claim(2)
    catalog.store([analysis(bad, vector=vector), analysis(good)], [])
    assert catalog.select_media("TRUE").tolist() == [good]
    assert [problem.path for problem in catalog.problems()] == ["/p/bad.jpg"]
    assert catalog.counts().done == 1


def test_impossible_values_harm_only_their_own_file(catalog: Catalog) -> None:
    huge, nan, surrogate = add(catalog, *(stat(f"/p/{name}.jpg") for name in ("huge", "nan", "surrogate")))
    catalog.claim(3)
    nan_tag: dict[str, tuple[Tag, ...]] = {Stage.CONCEPTS: (Tag("cat", math.nan, "imagenet"),)}
    catalog.store(
        [analysis(huge, iso=2**70), replace(analysis(nan), tags=nan_tag), analysis(surrogate, title="odd \udce9 name")],
        [],
    )
    assert catalog.select_media("TRUE").tolist() == [surrogate]
    assert {problem.path for problem in catalog.problems()} == {"/p/huge.jpg", "/p/nan.jpg"}
    assert found(catalog, "odd") == {surrogate}


def test_one_space_has_one_dimension(catalog: Catalog) -> None:
    index(catalog, stat("/p/a.jpg"))
    [other] = add(catalog, stat("/p/b.jpg"))
    catalog.claim(1)
    [embedding] = analysis(other).embeddings
    wrong = replace(embedding, space=Space(SPACE.name, 8), vector=unit(3, Space("", 8)).astype("<f2").tobytes())
    catalog.store([replace(analysis(other), embeddings=(wrong,))], [])
    assert catalog.counts().quarantined == 1
    assert catalog.spaces() == [SPACE]


def test_a_result_for_media_that_was_forgotten_meanwhile_is_dropped(catalog: Catalog) -> None:
    gone, kept = add(catalog, stat("/p/gone.jpg"), stat("/p/kept.jpg"))
    catalog.claim(2)
    catalog.record_missing(["/p/gone.jpg"])
    catalog.purge_missing(1e12)
    catalog.store([analysis(gone), analysis(kept)], [])
    assert catalog.select_media("TRUE").tolist() == [kept]


def test_what_goes_through_a_stage_again_is_told_from_what_is_new(catalog: Catalog) -> None:
    [one] = index(catalog, stat("/p/a.jpg"))
    add(catalog, stat("/p/new.jpg"))
    assert catalog.rereading() == {}
    catalog.ensure_jobs(STAGES | {Stage.METADATA: 2})
    assert catalog.rereading() == {Stage.METADATA: 1}
    works = {work.media_id: work.stages for work in catalog.claim(10)}
    assert works[one] == (Stage.METADATA,), "no network runs for it"
    catalog.store([replace(analysis(one), stages={Stage.METADATA: 2}, pixels=None, tags={}, embeddings=())], [])
    assert catalog.rereading() == {}
