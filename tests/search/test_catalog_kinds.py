"""Photos, videos and sounds: what each owes, in which lane, and what stands for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from indexer.records import Failure, Kind, Plan, Segment, Stage
from search.catalog import Catalog, Work
from tests.search.library import SPACE, analysis, digest, found, stat
from tests.search.videos import (
    ACTION,
    GUITAR,
    OF_PHOTOS,
    OF_SOUNDS,
    OF_VIDEOS,
    SPEECH,
    STAGES,
    VIDEO_INFO,
    film,
    said,
    see,
    store_film,
    transcript,
)
from tests.search.videos import catalog as catalog  # noqa: PLC0414 - pytest finds fixtures by name


def stages_of(work: Sequence[Work]) -> list[set[str]]:
    return [set(one.stages) for one in work]


def test_each_kind_owes_the_stages_that_apply_to_it_in_a_lane_of_its_own(catalog: Catalog) -> None:
    video, photo, sound = (
        see(catalog, name, kind) for name, kind in (("a.mp4", Kind.VIDEO), ("b.jpg", Kind.PHOTO), ("c.mp3", Kind.AUDIO))
    )
    assert catalog.ensure_jobs(STAGES) == 0
    quick, slow = catalog.claim(10), catalog.claim(10, slow=True, first=[SPEECH])
    assert [(work.media_id, work.kind) for work in quick] == [(photo, Kind.PHOTO)]
    assert [(work.media_id, work.kind) for work in slow] == [(video, Kind.VIDEO), (sound, Kind.AUDIO)]
    assert stages_of([*quick, *slow]) == [OF_PHOTOS, OF_VIDEOS, OF_SOUNDS]
    assert not catalog.has_work()
    catalog.release([sound])
    assert catalog.has_work()
    assert catalog.claim(10) == []
    assert not catalog.has_work(without=OF_SOUNDS)
    assert catalog.counts().kinds == {"photo": 1, "video": 1, "audio": 1}
    assert catalog.ensure_jobs(STAGES | {"speech:large": 1, "aesthetic:clip": 1}) == 4


def test_a_plan_that_is_built_opens_jobs_by_kind_and_is_done_where_nothing_is_owed(catalog: Catalog) -> None:
    for name, kind in (("b.jpg", Kind.PHOTO), ("c.mp3", Kind.AUDIO)):
        see(catalog, name, kind)
    catalog.begin(Plan("other", SPACE, STAGES | {"speech:large": 1}))
    assert catalog.building_progress() == (0, 2)
    [work] = catalog.claim(10)
    catalog.store([replace(analysis(work.media_id), stages=dict.fromkeys(work.stages, 1))], [])
    assert catalog.building_progress() == (1, 2)


def test_a_file_that_proves_to_be_of_another_kind_owes_what_that_kind_owes(catalog: Catalog) -> None:
    mistaken = see(catalog, "a.jpg", Kind.PHOTO)
    [work] = catalog.claim(1)
    catalog.store([film(mistaken, stages={Stage.DESCRIBE: 1}, embeddings=(), transcripts={}, pixels=None)], [])
    assert catalog.claim(10) == []
    [again] = catalog.claim(10, slow=True)
    assert (again.kind, set(again.stages)) == (Kind.VIDEO, OF_VIDEOS - {Stage.DESCRIBE})
    assert again.attempts == work.attempts == 0
    assert catalog.counts().kinds == {"video": 1}
    catalog.store([film(mistaken, stages=dict.fromkeys(again.stages, 1), info=None, events={ACTION: (GUITAR,)})], [])
    [row] = catalog.photos([mistaken])
    assert (row.kind, len(row.segments), row.events) == (Kind.VIDEO, 4, (GUITAR,))
    assert {job.state for job in row.jobs} == {"done"}
    assert catalog.ensure_jobs(STAGES) == 0

    catalog.record_files([stat("/q/copy.jpg")])
    catalog.identify([(stat("/q/copy.jpg"), digest("a.jpg"), Kind.PHOTO)], STAGES)
    assert not catalog.has_work(), "what its worker has found out is not guessed anew"

    catalog.ensure_jobs(STAGES | {Stage.DESCRIBE: 2})
    catalog.claim(1, slow=True)
    catalog.store([replace(analysis(mistaken), stages={Stage.DESCRIBE: 2}, embeddings=())], [])
    [row] = catalog.photos([mistaken])
    assert (row.kind, row.segments, row.events, row.transcript) == (Kind.PHOTO, (Segment(0),), (), None)
    assert {job.stage for job in row.jobs} == OF_PHOTOS
    owed = {"segmentation:sam", Stage.PIXELS, Stage.CONCEPTS}
    assert stages_of(catalog.claim(10)) == [owed], "what was said of moments says nothing of a photo"
    assert catalog.counts().vectors == {SPACE.name: 0}


def test_a_stage_that_failed_on_a_file_of_another_kind_is_told_from_those_not_tried(catalog: Catalog) -> None:
    mistaken = see(catalog, "a.mp3", Kind.AUDIO)
    catalog.claim(1, slow=True)
    failed = Failure(media_id=mistaken, stages=(SPEECH,), title="It failed.", remedy="Retry.", permanent=True)
    described = film(mistaken, stages={Stage.DESCRIBE: 1}, embeddings=(), transcripts={}, pixels=None, failed=(failed,))
    catalog.store([described], [])
    states = {job.stage: job.state for job in catalog.photos([mistaken])[0].jobs}
    assert states == dict.fromkeys(OF_VIDEOS, "pending") | {Stage.DESCRIBE: "done", SPEECH: "quarantined"}


def test_what_cannot_be_stored_of_a_file_of_another_kind_leaves_nothing_running(catalog: Catalog) -> None:
    mistaken = see(catalog, "a.jpg", Kind.PHOTO)
    catalog.claim(1)
    impossible = film(mistaken, stages={Stage.DESCRIBE: 1}, embeddings=(), transcripts={}, segments=(Segment(3),))
    catalog.store([impossible], [])
    [row] = catalog.photos([mistaken])
    assert row.kind == Kind.PHOTO
    assert {job.stage: job.state for job in row.jobs} == dict.fromkeys(OF_PHOTOS, "quarantined")
    assert catalog.counts().running == 0


@pytest.mark.parametrize("video_first", [True, False])
def test_the_photo_of_a_live_photo_stands_for_its_video(catalog: Catalog, *, video_first: bool) -> None:
    photo, video = see(catalog, "live.heic", Kind.PHOTO), see(catalog, "live.mov", Kind.VIDEO)
    both = [*catalog.claim(1), *catalog.claim(1, slow=True)]
    assert [work.media_id for work in both] == [photo, video]
    still = replace(analysis(photo, live_id="L1"), stages=dict.fromkeys(OF_PHOTOS, 1))
    moving = film(video, info=replace(VIDEO_INFO, live_id="L1"), transcripts={SPEECH: transcript(said("hello"))})
    for one in (moving, still) if video_first else (still, moving):
        catalog.store([one], [])
    assert shown(catalog) == {photo}
    assert [row.live for row in catalog.photos([photo, video])] == ["/p/live.mov", "/p/live.heic"]
    alone = store_film(catalog, "alone.mov", info=replace(VIDEO_INFO, live_id="L2"))
    assert shown(catalog) == {photo, alone}
    catalog.record_missing(["/p/live.heic"])
    assert shown(catalog) == {video, alone}
    assert [match.media_id for match in catalog.spoken_matches("hello", 10)] == [video]
    assert catalog.photos([video])[0].live is None
    catalog.record_files([stat("/p/live.heic")])
    assert shown(catalog) == {photo, alone}
    assert catalog.spoken_matches("hello", 10) == []


def test_a_video_is_shown_again_when_its_photo_proves_to_belong_to_another(catalog: Catalog) -> None:
    photo = see(catalog, "live.heic", Kind.PHOTO)
    catalog.claim(1)
    catalog.store([replace(analysis(photo, live_id="L1"), stages=dict.fromkeys(OF_PHOTOS, 1))], [])
    video = store_film(catalog, info=replace(VIDEO_INFO, live_id="L1"))
    assert shown(catalog) == {photo}
    catalog.ensure_jobs(STAGES | {Stage.METADATA: 2})
    catalog.claim(1)
    catalog.store([replace(analysis(photo), stages={Stage.METADATA: 2}, embeddings=())], [])
    assert shown(catalog) == {photo, video}


def shown(catalog: Catalog) -> set[int]:
    """What search may show, all of whose ways to it agree."""
    selected = set(catalog.select_media("1").tolist())
    assert {one.media_id for one in catalog.listed("1", (), order="date", limit=100)} == selected
    assert catalog.brief(range(1, 100)).keys() == selected
    assert found(catalog, "p") == selected
    assert set(catalog.vectors_with_ids(SPACE, range(1, 1000)).media_ids.tolist()) == selected
    return selected
