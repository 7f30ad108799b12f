"""What the engine answers with videos and sounds: which file, and which spans of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.records import Event, Plan, Tag
from tests.search.films import LISTENER, STAGES, FilmLibrary, action, transcript
from tests.search.test_engine import INFO, SPACE, STATS


@pytest.fixture
def library(tmp_path: Path) -> Iterator[FilmLibrary]:
    made = FilmLibrary(tmp_path)
    yield made
    made.catalog.close()


def test_an_answer_is_the_file_and_the_span_in_which_it_is_seen(library: FilmLibrary) -> None:
    library.film("party.mov", [("lamp", 0, 42), ("cake", 42, 51), ("lamp", 51, 60)], tags={2: [Tag("pie", 0.9, "x")]})
    library.add("boat.jpg", "boat")
    answer = library.ask("cake")
    assert answer.confident
    [result] = answer.results
    assert (Path(result.path).name, result.kind) == ("party.mov", "video")
    [moment] = result.moments
    assert (moment.ordinal, moment.start, moment.end, moment.keyframe) == (2, 42, 51, True)
    assert moment.score == result.score
    assert "looks like: pie" in moment.reasons
    assert "looks like: pie" in result.reasons


def test_a_photo_has_no_moments(library: FilmLibrary) -> None:
    library.add("cat.jpg", "cat")
    assert library.result("cat").moments == ()


def test_a_film_ranks_by_its_best_moment_not_by_all_of_them(library: FilmLibrary) -> None:
    library.add("so-so.jpg", "cat boat")
    library.film("long.mp4", [*(("lamp", at, at + 1) for at in range(50)), ("cat", 50, 51)])
    assert library.names("cat") == ["long.mp4", "so-so.jpg"]
    assert library.spans("cat", "long.mp4") == [(50, 51)]


def test_neighbouring_moments_that_look_the_same_are_one_span(library: FilmLibrary) -> None:
    library.film("cat.mp4", [("cat", 0, 4), ("cat", 4, 8), ("boat", 8, 12), ("cat", 12, 16)])
    assert sorted(library.spans("cat")) == [(0, 8), (12, 16)]


def test_parts_of_one_shot_that_fit_as_well_are_one_span_and_those_of_two_shots_are_not(library: FilmLibrary) -> None:
    shots = [("cat boat", 0, 4), ("cat cake", 4, 8), ("lamp", 8, 12)]
    library.film("one.mp4", shots, one_take=True)
    library.film("two.mp4", shots)
    assert library.spans("cat", "one.mp4") == [(0, 8)]
    assert sorted(library.spans("cat", "two.mp4")) == [(0, 4), (4, 8)]


def test_a_film_has_three_moments_in_an_answer_at_most(library: FilmLibrary) -> None:
    library.film("zoo.mp4", [("cat" if at % 2 else "boat", at, at + 1) for at in range(20)])
    assert len(library.spans("cat")) == 3


def test_a_long_film_does_not_crowd_out_photos(library: FilmLibrary) -> None:
    photos = [library.add(f"{number}.jpg", "cat boat") for number in range(3)]
    library.film("still.mp4", [("cat", at, at + 1) for at in range(3000)])
    photos.append(library.add("last.jpg", "cat boat"))
    results = library.ask("cat").results
    assert Path(results[0].path).name == "still.mp4"
    assert {one.path for one in results[1:]} == set(photos)
    assert library.spans("cat", "still.mp4") == [(0, 3000)]
    assert len(library.ask("similar:still.mp4").results) == 4


def test_a_phrase_that_is_said_answers_with_exactly_the_spans_in_which_it_is_said(library: FilmLibrary) -> None:
    said = transcript(("We sing: Happy Birthday, dear Ann!", 10), ("A birthday is happy.", 20), ("happy", 30),
                      ("birthday", 30.5), ("happy", 40), ("birthday", 50))  # fmt: skip
    library.film("a.mp4", [("lamp", 0, 25), ("lamp boat", 25, 60)], said=said)
    library.film("b.mp4", [("cake", 0, 9)], said=transcript(("Birthday greetings, happy man", 1)))
    library.add("a.jpg", info=replace(INFO, title="happy birthday"))
    for text in ('said:"happy birthday" type:video', 'said:"HAPPY, birthday!"', "said:'Happy Birthday'"):
        assert library.names(text) == ["a.mp4"]
        assert library.spans(text) == [(11.0, 11.9), (30.0, 30.9)]
    [first, second] = library.result('said:"happy birthday"').moments
    assert first.reasons == ('said "We sing: Happy Birthday, dear Ann!"',)
    assert (first.ordinal, second.ordinal) == (1, 2)
    assert library.result('said:"happy birthday"').reasons == ('matches said:"happy birthday"',)


def test_what_is_said_filters_as_all_filters_do(library: FilmLibrary) -> None:
    library.film("a.mp4", [("boat", 0, 5), ("cake", 5, 10)], said=transcript(("Look, a whale!", 6)))
    library.film("b.mp4", [("boat", 0, 9)], said=transcript(("Nothing to see", 1)))
    library.add("c.jpg", "boat")
    assert library.names("boat said:whale") == ["a.mp4"]
    assert library.spans("boat said:whale") == [(7, 7.4)]
    assert set(library.names("boat -said:whale")) == {"b.mp4", "c.jpg"}
    assert set(library.names("said:whale OR said:nothing")) == {"a.mp4", "b.mp4"}
    assert set(library.names("said:whale,nothing")) == {"a.mp4", "b.mp4"}
    assert library.names('said:"whale look"') == []
    assert not library.ask("said:dolphin").confident


def test_free_text_finds_what_is_only_said(library: FilmLibrary) -> None:
    library.film(
        "grandma.mp4",
        [("lamp", 0, 30), ("lamp", 30, 60)],
        said=transcript(("I was a girl then.", 2), ("When the war began, we lived in Poland.", 33), ("Tea?", 50)),
    )
    library.film("other.mp4", [("cat", 0, 30)], said=transcript(("Poland is nice.", 3)))
    library.add("boat.jpg", "boat")
    answer = library.ask("grandma talks about the war in poland")
    assert answer.confident
    assert [Path(one.path).name for one in answer.results] == ["grandma.mp4"]
    [moment] = answer.results[0].moments
    assert (moment.start, moment.end, moment.ordinal) == (34, 36.9, 2)
    assert moment.reasons == ('said "When the war began, we lived in Poland."',)
    assert answer.results[0].reasons[0] == 'said "When the war began, we lived in Poland."'


def test_words_said_in_sentences_that_follow_each_other_are_said_together(library: FilmLibrary) -> None:
    library.film("a.mp4", [("lamp", 0, 90)], said=transcript(("We took the train.", 5), ("To Lisbon!", 9)))
    library.film("b.mp4", [("lamp", 0, 90)], said=transcript(("We took the train.", 5), ("To Lisbon!", 70)))
    answer = library.ask("trains lisbon")
    assert [Path(one.path).name for one in answer.results] == ["a.mp4"]
    assert library.spans("trains lisbon") == [(6.5, 9.9)]


def test_a_phrase_has_its_time_whoever_wrote_it_down(library: FilmLibrary) -> None:
    """Subtitles and what the model heard are both searched; where they agree, the span is said once."""
    library.film(
        "a.mp4",
        [("lamp", 0, 90)],
        said=transcript(("Where is the marmalade", 10.2), ("a parrot shouts", 40)),
        written=transcript(
            ("Where is the marmalade?", 10),
        ),
    )
    assert library.spans("said:parrot") == [(40.5, 40.9)]
    assert library.spans("said:marmalade") == [(11.5, 11.9)]


def test_a_chapter_is_found_by_its_title_with_its_span(library: FilmLibrary) -> None:
    chapters = [("The church", 0, 40), ("First dance", 40, 70), ("Fireworks over the harbour", 70, 90)]
    library.film("wedding.mp4", [("lamp", 0, 90)], chapters=chapters)
    library.film("other.mp4", [("lamp", 0, 90)])
    for text in ("first dance", "dances", "wedding first dance"):
        assert library.names(text)[0] == "wedding.mp4"
        assert library.spans(text)[0] == (40, 70)
    [moment] = library.result("fireworks").moments
    assert (moment.start, moment.end, moment.reasons) == (70, 90, ("chapter: Fireworks over the harbour",))


def test_what_is_seen_comes_before_what_is_only_said_unless_the_text_asks_for_what_is_said(
    library: FilmLibrary,
) -> None:
    library.film("told.mp4", [("lamp", 0, 9)], said=transcript(("That boat again", 1)))
    library.add("a.jpg", "boat")
    assert library.names("boat") == ["a.jpg", "told.mp4"]
    told = {Path(one.path).name: one.score for one in library.ask("somebody talking about the boat").results}
    assert told["told.mp4"] == told["a.jpg"]
    library.film("both.mp4", [("lamp", 0, 4), ("boat", 4, 9)], said=transcript(("What a boat!", 5)))
    result = library.result("boat")
    assert Path(result.path).name == "both.mp4"
    assert [(one.start, one.end) for one in result.moments] == [(4, 9)]
    assert 'said "What a boat!"' in result.moments[0].reasons


def test_a_sound_answers_by_its_words_and_its_speech(library: FilmLibrary) -> None:
    library.sound("memo-milk.mp3", 60, said=transcript(("Remember the dentist on Monday", 20)))
    library.add("boat.jpg", "boat")
    [result] = library.ask("dentist").results
    assert (Path(result.path).name, result.kind) == ("memo-milk.mp3", "audio")
    [moment] = result.moments
    assert (moment.start, moment.end, moment.ordinal, moment.keyframe) == (21, 21.4, None, False)
    assert library.names("milk") == library.names("said:monday") == library.names("type:audio") == ["memo-milk.mp3"]
    assert library.result("milk").moments == ()
    assert library.names("similar:memo-milk.mp3") == []


def test_an_action_is_found_by_words_of_its_name_with_its_span(library: FilmLibrary) -> None:
    library.film(
        "concert.mp4",
        [("lamp", 0, 20), ("lamp", 20, 60)],
        events=[action("playing guitar", 3, 9), action("clapping", 30, 33), action("playing guitar", 40, 55)],
        taken_at="2021-05-01T10:00:00",
    )
    library.film("tagged.mp4", [("boat", 0, 4), ("boat", 4, 9)], tags={2: [Tag("playing guitar", 0.7, "action")]})
    library.film("drums.mp4", [("boat", 0, 9)], events=[action("playing drums", 0, 9)])
    library.add("guitar.jpg", "lamp", tags={"playing guitar": 0.9})
    for text in ('action:"playing guitar"', "action:guitar", "action:play*guitar", "action:GUITAR"):
        assert set(library.names(text)) == {"concert.mp4", "tagged.mp4"}
        assert library.spans(text, "concert.mp4") == [(3, 9), (40, 55)]
        assert library.spans(text, "tagged.mp4") == [(4, 9)]
    assert library.names('action:"playing guitar" after:2020') == ["concert.mp4"]
    assert library.names("action:tar") == []
    assert library.names("type:video -action:guitar") == ["drums.mp4"]
    assert library.result("action:clapping").moments[0].reasons == ("action: clapping",)


def test_free_text_finds_actions_and_sounds_by_their_names(library: FilmLibrary) -> None:
    library.film(
        "party.mp4",
        [("lamp", 0, 40), ("lamp", 40, 60)],
        events=[action("blowing out candles", 42, 51), Event("sound", "music", 0, 30, 0.9)],
    )
    answer = library.ask("blowing out candles")
    assert answer.confident
    assert library.spans("blowing out candles") == [(42, 51)]
    assert "action: blowing out candles" in answer.results[0].reasons
    assert library.spans("music") == [(0, 30)]
    assert "sound: music" in library.result("music").reasons


def test_a_tag_of_moments_gives_their_spans(library: FilmLibrary) -> None:
    dog = [Tag("dog", 0.9, "detection", count=2)]
    library.film(
        "dogs.mp4", [("lamp", at, at + 5) for at in range(0, 25, 5)], tags={1: dog, 2: dog, 4: [Tag("dog", 0.5, "x")]}
    )
    assert library.spans("tag:dog") == [(0, 10), (15, 20)]
    assert library.spans('tag:"2 dogs"') == [(0, 10)]
    assert library.spans("type:video") == []


def test_what_is_heard_is_a_tag_of_its_moments(library: FilmLibrary) -> None:
    """Speech whether it was understood or not, and music: for `tag:` they are tags."""
    library.film(
        "understood.mp4",
        [("boat", 0, 30)],
        events=[Event("sound", "speech", 2, 6, 0.9), Event("sound", "music", 8, 20, 0.8)],
        said=transcript(("Hello you", 2)),
    )
    library.film(
        "foreign.mp4",
        [("boat", 0, 30)],
        events=[Event("sound", "speech", 4, 9, 0.9), Event("sound", "speech", 20, 25, 0.9)],
    )
    library.film("silent.mp4", [("boat", 0, 30)], audio_codec=None)
    assert set(library.names("tag:speech")) == set(library.names("tag:spee*")) == {"understood.mp4", "foreign.mp4"}
    assert library.spans("tag:speech", "foreign.mp4") == [(4, 9), (20, 25)]
    assert library.spans("tag:speech", "understood.mp4") == [(2, 6)]
    assert library.names("tag:speech tag:music") == ["understood.mp4"]
    assert library.names("-tag:speech type:video") == ["silent.mp4"]
    assert library.result("tag:music").moments[0].reasons == ("sound: music",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("type:video", {"half.mp4", "two.mp4"}),
        ("type:videos", {"half.mp4", "two.mp4"}),
        ("type:moment", {"half.mp4", "two.mp4"}),
        ("type:audio", {"memo.mp3"}),
        ("type:photo,audio", {"photo.jpg", "memo.mp3"}),
        ("-type:photo", {"half.mp4", "two.mp4", "memo.mp3"}),
        ("duration:>30s", {"two.mp4", "memo.mp3"}),
        ("duration:>30", {"two.mp4", "memo.mp3"}),
        ("duration:>=30", {"half.mp4", "two.mp4", "memo.mp3"}),
        ("duration:<2m", {"half.mp4", "memo.mp3"}),
        ("duration:<=2m", {"half.mp4", "two.mp4", "memo.mp3"}),
        ("duration:1m..5m", {"two.mp4", "memo.mp3"}),
        ("duration:90", {"memo.mp3"}),
        ("duration:1:30", {"memo.mp3"}),
        ("duration:1m30s", {"memo.mp3"}),
        ("duration:1.5m", {"memo.mp3"}),
        ("duration:2m+", {"two.mp4"}),
        ("duration:1h", set()),
        ("-duration:>30", {"half.mp4", "photo.jpg"}),
        ("has:audio", {"two.mp4", "memo.mp3"}),
        ("has:speech", {"memo.mp3"}),
        ("has:place", {"half.mp4"}),
        ("has:gps", {"half.mp4"}),
        ("-has:place -has:audio", {"photo.jpg"}),
    ],
)
def test_filters_of_films_and_sounds(library: FilmLibrary, text: str, names: set[str]) -> None:
    library.film("half.mp4", [("boat", 0, 30)], audio_codec=None, latitude=1.0, longitude=2.0)
    library.film("two.mp4", [("boat", 0, 120)])
    library.sound("memo.mp3", 89.7, said=transcript(("Hello you", 20)))
    library.add("photo.jpg", "boat")
    assert set(library.names(text)) == names
    assert library.ask(text).confident == bool(names)


def test_a_fact_about_a_film_is_a_reason(library: FilmLibrary) -> None:
    library.film("two.mp4", [("boat", 0, 125)])
    assert library.result("duration:>30s").reasons == ("2:05 long matches duration:>30s",)
    assert library.result("type:video").reasons == ("matches type:video",)


def test_similar_to_a_film_is_what_is_like_any_of_its_moments_and_films_are_found(library: FilmLibrary) -> None:
    film = library.film("mixed.mp4", [("cat", 0, 5), ("boat", 5, 10)])
    library.add("cat.jpg", "cat")
    library.add("boat.jpg", "boat")
    library.add("cake.jpg", "cake")
    assert set(library.names(f"similar:{film}")) == {"cat.jpg", "boat.jpg"}
    library.film("other.mp4", [("cake", 0, 5), ("lamp", 5, 10), ("boat", 10, 15)])
    assert library.spans("similar:boat.jpg", "other.mp4") == [(10, 15)]
    assert library.spans("similar:boat.jpg", "mixed.mp4") == [(5, 10)]
    media_id = library.catalog.media_at(film)
    assert media_id is not None
    found = {Path(one.path).name for one in library.engine.similar(media_id).results}
    assert found == {"cat.jpg", "boat.jpg", "other.mp4"}


def test_the_film_of_a_live_photo_shows_only_when_its_photo_is_gone(library: FilmLibrary) -> None:
    photo = library.add("IMG_1.jpg", "cat", info=replace(INFO, live_id="A"))
    library.film("IMG_1.mov", [("cat", 0, 3)], said=transcript(("Meow meow", 1)), live_id="A")
    for text in ("cat", "type:photo OR type:video", "said:meow", "meow", "duration:<9", "similar:IMG_1.jpg"):
        assert "IMG_1.mov" not in library.names(text)
    library.catalog.record_missing([photo])
    assert library.names("cat") == library.names("said:meow") == ["IMG_1.mov"]


def test_a_film_is_no_part_of_a_burst_of_photos(library: FilmLibrary) -> None:
    info = replace(INFO, taken_at="2021-06-05T10:00:00")
    library.add("a.jpg", "cat", info=info, bits=0)
    library.film("a.mp4", [("cat", 0, 9)], pixels=replace(STATS, perceptual_hash=0), taken_at="2021-06-05T10:00:01")
    library.film("b.mp4", [("cat", 0, 30)], pixels=replace(STATS, perceptual_hash=0), taken_at="2021-06-05T10:00:09")
    assert set(library.names("cat")) == {"a.jpg", "a.mp4", "b.mp4"}
    library.film("a-small.mp4", [("cat", 0, 9)], pixels=replace(STATS, perceptual_hash=1))
    assert sum(one.collapsed for one in library.ask("cat").results) == 1, "the same film, made smaller"


def test_only_what_the_plan_in_use_has_heard_counts(library: FilmLibrary) -> None:
    library.film("a.mp4", [("lamp", 0, 9)], said=transcript(("Hello whale", 1)))
    before = Plan("old", SPACE, {stage: 1 for stage in STAGES if stage != LISTENER})
    library.catalog.activate(before)
    library.catalog.begin(Plan("new", SPACE, STAGES))
    assert library.names("said:whale") == library.names("whale") == []
