"""What is inside videos and sounds, as the catalog keeps it: moments, events and speech."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.records import (
    Analysis,
    Detection,
    Kind,
    Plan,
    Segment,
    Stage,
    Tag,
    Transcript,
    Word,
)
from search.catalog import Catalog, EventMatch, TagMatch
from tests.search.library import SPACE, digest, found, stat, unit
from tests.search.plans import rows
from tests.search.videos import (
    ACTION,
    DOG,
    GUITAR,
    LABELS,
    MUSIC,
    SPEECH,
    STAGES,
    VIDEO_INFO,
    film,
    said,
    see,
    store_film,
    transcript,
    vector,
    whole_and,
)
from tests.search.videos import catalog as catalog  # noqa: PLC0414 - pytest finds fixtures by name


def test_everything_about_a_video_comes_back_as_it_was_found(catalog: Catalog) -> None:
    heard = transcript(said("Hello there.", 1.0), said("Good-bye!", 5.0))
    box = Detection("dog", 0.9, (0.0, 0.1, 0.5, 1.0), 2)
    one = store_film(
        catalog,
        events={Stage.SOUND: (MUSIC,), ACTION: (GUITAR, DOG)},
        transcripts={SPEECH: heard},
        detections={Stage.CONCEPTS: (box,)},
        tags={Stage.CONCEPTS: (Tag("dog", 0.5, "imagenet", 1), Tag("dog", 0.9, "imagenet", 2, count=2))},
    )
    [row] = catalog.photos([one])
    assert row.info == VIDEO_INFO
    assert row.segments == whole_and(3)
    assert row.events == (MUSIC, DOG, GUITAR)
    assert row.transcript == heard
    assert row.detections == (box,)
    assert row.tags == (
        Tag("dog", 0.9, "imagenet", 0, count=2),
        Tag("dog", 0.9, "imagenet", 2, count=2),
        Tag("dog", 0.5, "imagenet", 1),
    )
    [outside] = catalog.photos([one], moments=False)
    assert outside == replace(
        row, segments=row.segments[:1], events=(), transcript=None, detections=(), tags=row.tags[:1]
    )
    assert catalog.segments_of([one, 999]) == {one: whole_and(3)}
    vectors = catalog.vectors_of_media(SPACE, [one])
    assert vectors.ordinals.tolist() == [1, 2, 3]
    assert catalog.vectors_with_ids(SPACE, vectors.ids[1:2]).ordinals.tolist() == [2]
    assert catalog.vectors_after(SPACE, 0).ordinals.tolist() == [1, 2, 3]


def test_a_tag_of_moments_finds_the_media_once_by_its_surest_moment(catalog: Catalog) -> None:
    tags = (
        Tag("dog", 0.4, "detection", 1, count=1), Tag("dog", 0.8, "detection", 3, count=2), Tag("cat", 0.6, "x", 2)
    )  # fmt: skip
    one = store_film(catalog, tags={Stage.CONCEPTS: tags})
    assert catalog.tagged("dog", "1", (), limit=10) == [(one, 0.8)]
    assert catalog.tagged("dog", "1", (), limit=10, at_least=2) == [(one, 0.8)]
    assert catalog.tags_among(["dog", "cat"], [one]) == [TagMatch(one, "cat", 0.6, None), TagMatch(one, "dog", 0.8, 2)]
    assert catalog.moment_tags_among(["dog", "cat", "owl"], [one, 999]) == [
        TagMatch(one, "dog", 0.4, 1, 1),
        TagMatch(one, "cat", 0.6, None, 2),
        TagMatch(one, "dog", 0.8, 2, 3),
    ]
    assert found(catalog, "cat") == {one}


def test_fewer_moments_take_what_hung_on_them_along_and_nothing_else(catalog: Catalog) -> None:
    tags = tuple(Tag(name, 0.5, "imagenet", number) for number, name in enumerate(("sea", "hill", "town"), 1))
    one = store_film(catalog, tags={Stage.CONCEPTS: tags})
    catalog.ensure_jobs(STAGES | {Stage.DESCRIBE: 2})
    catalog.claim(1, slow=True)
    catalog.store([film(one, 2, stages={Stage.DESCRIBE: 2}, embeddings=(), transcripts={})], [])
    [row] = catalog.photos([one])
    assert row.segments == whole_and(2)
    assert {tag.name for tag in row.tags if tag.segment} == {"sea", "hill"}
    assert catalog.vectors_of_media(SPACE, [one]).ordinals.tolist() == [1, 2]
    assert catalog.counts().vectors == {SPACE.name: 2}
    [again] = catalog.claim(1, slow=True)
    assert Stage.CONCEPTS in again.stages, "what was seen in other moments must be looked at again"
    assert not {Stage.DESCRIBE, SPEECH, ACTION} & set(again.stages)
    catalog.release([one])

    catalog.ensure_jobs(STAGES | {Stage.DESCRIBE: 2, Stage.CONCEPTS: 2})
    catalog.claim(1, slow=True)
    seen = film(one, stages={Stage.CONCEPTS: 2}, info=None, pixels=None, segments=(Segment(0),))
    catalog.store([replace(seen, embeddings=(vector(7, 2),))], [])
    [row] = catalog.photos([one])
    assert row.segments == whole_and(2), "only who describes says what moments there are"
    assert catalog.vectors_of_media(SPACE, [one]).ordinals.tolist() == [2]


@pytest.mark.parametrize(
    "impossible",
    [
        {"segments": whole_and(2)[:1] + whole_and(2)[2:]},
        {"segments": ()},
        {"tags": {Stage.CONCEPTS: (Tag("cat", 0.5, "imagenet", 4),)}},
        {"detections": {Stage.CONCEPTS: (Detection("cat", 0.5, (0, 0, 1, 1), 9),)}},
        {"embeddings": (vector(1, 4),)},
        {"events": {ACTION: (replace(GUITAR, start=9.0),)}},
        {"events": {ACTION: (replace(GUITAR, end=math.nan),)}},
        {"transcripts": {SPEECH: transcript(replace(said("hello"), start=-1.0))}},
        {"transcripts": {SPEECH: transcript(replace(said("hello"), words=(Word("hello", math.nan, 1.0, 0.5),)))}},
    ],
)
def test_what_cannot_be_true_of_one_film_costs_that_film_only(catalog: Catalog, impossible: dict[str, Any]) -> None:
    bad, good = (see(catalog, name, Kind.VIDEO) for name in ("bad.mp4", "good.mp4"))
    catalog.claim(2, slow=True)
    catalog.store([film(bad, **impossible), film(good)], [])
    assert [problem.path for problem in catalog.problems()] == ["/p/bad.mp4"]
    assert catalog.select_media("1").tolist() == [good]
    assert catalog.photos([bad])[0].segments == ()


def test_what_happens_is_found_among_media_as_the_plan_in_use_sees_it(catalog: Catalog) -> None:
    one = store_film(catalog, events={Stage.SOUND: (MUSIC,), ACTION: (GUITAR, replace(GUITAR, start=6.0, end=7.0))})
    other = store_film(catalog, "other.mp4", events={ACTION: (DOG,)})
    found_here = catalog.events_among(["playing guitar", "music", "dog"], [one, other])
    assert found_here == [
        EventMatch(one, MUSIC),
        EventMatch(one, GUITAR),
        EventMatch(one, replace(GUITAR, start=6.0, end=7.0)),
        EventMatch(other, DOG),
    ]
    assert catalog.events_among(["music", "dog"], [one, other], kind="track") == [EventMatch(other, DOG)]
    assert catalog.events_among(["music"], [other]) == catalog.events_among([], [one]) == []
    changed = {stage: revision for stage, revision in STAGES.items() if stage != ACTION} | {"action:new": 1}
    catalog.begin(Plan("new", SPACE, changed))
    catalog.claim(10, slow=True)
    jumping = replace(GUITAR, label="jumping")
    later = Analysis(media_id=one, stages={"action:new": 1}, events={"action:new": (jumping,)})
    catalog.store([later], [])
    assert catalog.photos([one])[0].events == (MUSIC, GUITAR, replace(GUITAR, start=6.0, end=7.0))
    assert catalog.events_among(["jumping"], [one]) == []
    catalog.switch()
    assert catalog.photos([one])[0].events == (MUSIC, jumping)
    assert catalog.events_among(["playing guitar"], [one]) == []


def test_words_are_found_where_they_are_said(catalog: Catalog) -> None:
    speech = transcript(said("We went to the old harbour, early.", 10.0), said("The harbour was empty!", 20.0))
    one = store_film(catalog, transcripts={SPEECH: speech})
    other = store_film(catalog, "other.mp4", transcripts={SPEECH: transcript(said("An old dog", 3.0))})
    matches = catalog.spoken_matches("harbours", 10)
    assert {(match.media_id, match.start, match.end) for match in matches} == {(one, 15.0, 15.5), (one, 21.0, 21.5)}
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    [match] = catalog.spoken_matches('"old" AND "harbour"', 10)
    assert (match.text, match.start, match.end) == ("We went to the old harbour, early.", 14.0, 15.5)
    [match] = catalog.spoken_matches('"was" + "empty"', 10)
    assert (match.start, match.end) == (22.0, 23.5)
    assert {match.media_id for match in catalog.spoken_matches("old", 10)} == {one, other}
    assert [match.media_id for match in catalog.spoken_matches("old", 10, "m.id = ?", [other])] == [other]
    assert len(catalog.spoken_matches("old OR harbour", 2)) == 2
    catalog.record_missing(["/p/film.mp4"])
    assert {match.media_id for match in catalog.spoken_matches("old", 10)} == {other}
    catalog.purge_missing(1e12)
    catalog.record_files([stat("/p/film.mp4")])
    assert catalog.spoken_matches("harbour", 10) == []


def test_an_utterance_whose_words_have_no_times_is_found_as_a_whole(catalog: Catalog) -> None:
    without = replace(said("somebody says hello", 2.0), words=())
    garbled = replace(said("nobody says hello", 7.0), words=(Word("others", 7.0, 8.0, 0.5),))
    store_film(catalog, transcripts={SPEECH: transcript(without, garbled)})
    assert sorted((match.start, match.end) for match in catalog.spoken_matches("hello", 10)) == [
        (2.0, 5.0),
        (7.0, 10.0),
    ]


def test_a_transcript_is_replaced_as_a_whole_and_told_for_the_plan_in_use(catalog: Catalog) -> None:
    one = store_film(catalog, transcripts={SPEECH: transcript(said("wrongly heard"))})
    catalog.begin(Plan("new", SPACE, {**STAGES, "speech:large": 1, SPEECH: 2}))
    [work] = catalog.claim(1, slow=True)
    better = {SPEECH: transcript(said("rightly heard")), "speech:large": transcript(said("sharply heard"))}
    catalog.store([Analysis(media_id=one, stages=dict.fromkeys(work.stages, 2), transcripts=better)], [])
    assert catalog.photos([one])[0].transcript == better[SPEECH]
    assert [match.text for match in catalog.spoken_matches("heard", 10)] == ["rightly heard"]
    silent = store_film(catalog, "silent.mp4", transcripts={SPEECH: Transcript(None, 1.0, ())})
    assert catalog.photos([silent])[0].transcript == Transcript(None, 1.0, ())


def test_what_a_plan_leaves_behind_is_swept_from_long_films_too(catalog: Catalog, tmp_path: Path) -> None:
    many = transcript(*(said("so it goes", 3.0 * number) for number in range(400)))
    tags = {ACTION: tuple(Tag("dance", 0.5, "action", number) for number in range(1, 301))}
    events = {ACTION: (GUITAR,), Stage.SOUND: (MUSIC,)}
    films = [
        store_film(catalog, f"{number}.mp4", moments=300, tags=tags, events=events, transcripts={SPEECH: many})
        for number in range(3)
    ]
    less = {stage: revision for stage, revision in STAGES.items() if stage not in {SPEECH, ACTION}}
    catalog.activate(Plan("builtin", SPACE, less))
    assert catalog.spoken_matches("goes", 10) == [], "at once, not only when it is swept"
    assert catalog.photos(films)[0].events == (MUSIC,)
    while catalog.sweep(2):
        pass
    for table in ("utterance", "transcript", "tag", "moment_tag", "spoken_docsize"):
        assert rows(tmp_path, f"SELECT count(*) FROM {table}") == [(0,)], table
    assert rows(tmp_path, "SELECT DISTINCT stage FROM event") == [(Stage.SOUND,)]
    assert found(catalog, "dance") == set()
    assert len(catalog.segments_of(films)[films[0]]) == 301


def test_purging_a_film_leaves_nothing_of_it(catalog: Catalog, tmp_path: Path) -> None:
    heard = {SPEECH: transcript(said("hello"))}
    store_film(catalog, events={ACTION: (DOG,)}, transcripts=heard, tags={Stage.CONCEPTS: (Tag("dog", 0.5, "x", 1),)})
    catalog.record_missing(["/p/film.mp4"])
    assert catalog.purge_missing(1e12) == [digest("film.mp4")]
    for table in ("media", "segment", "event", "utterance", "transcript", "tag", "moment_tag", "vector", "job"):
        assert rows(tmp_path, f"SELECT count(*) FROM {table}") == [(0,)], table
    assert catalog.counts().vectors == {SPACE.name: 0}


def test_stored_vectors_of_all_moments_are_handed_out_where_nothing_else_is_needed(catalog: Catalog) -> None:
    one = store_film(catalog)
    catalog.ensure_jobs(STAGES | {LABELS: 1})
    [work] = catalog.claim(1, slow=True, vector_spaces={LABELS: SPACE})
    assert work.vectors == tuple((number, unit(number).astype("<f2").tobytes()) for number in (1, 2, 3))
    catalog.store([Analysis(media_id=one, stages={LABELS: 1}, tags={LABELS: (Tag("sea", 0.5, "labels", 3),)})], [])
    assert catalog.tagged("sea", "1", (), limit=10) == [(one, 0.5)]
