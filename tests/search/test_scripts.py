"""Words of every script: how they are cut, and what finds them, in what is written and in what is said."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.records import Transcript, Utterance, Word
from search.engine import UNREAD
from search.scripts import indexed, letters, words
from tests.search.films import FilmLibrary
from tests.search.test_engine import INFO

CAPTIONS = {
    "festival.jpg": "東京の夏祭りと花火大会 beach",
    "shanghai.jpg": "在上海外滩看夜景,外婆很开心",
    "cat.jpg": "我家的猫",
    "jeju.jpg": "제주도 바다에서 찍은 가족사진",
    "hill.jpg": "산에 올랐다",
    "hike.jpg": "무지개와 산책",
    "beach.jpg": "ไปเที่ยวทะเลที่ภูเก็ต",
    "camera.jpg": "ﾃﾞｼﾞﾀﾙｶﾒﾗで撮影 \uff21\uff22\uff23",
    "taken apart.jpg": unicodedata.normalize("NFD", "한글날 がっこう"),
    "hindi.jpg": "हिन्दी भाषा",
    "russian.jpg": "наша собака",
    "german.jpg": "Café an der Straße",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilmLibrary]:
    made = FilmLibrary(tmp_path_factory.mktemp("library"))
    for name, caption in CAPTIONS.items():
        made.add(name, "lamp", info=replace(INFO, description=caption))
    made.add("微信图片_20220526.jpg", "boat")
    made.add("plain cake.jpg", "cake")
    made.add("sweets.jpg", "cake", info=replace(INFO, keywords=("誕生日",), people=("山田花子",)))
    made.film("talk.mp4", [("boat", 0, 20)], said=Transcript("ja", 1.0, (SAID, GERMAN)))
    made.catalog.set_authored_tags(1, ["思い出"])
    yield made
    made.catalog.close()


SAID = Utterance(
    "明日は夏祭りに行きます",
    2.0,
    5.0,
    0.9,
    tuple(
        Word(text, start, start + 0.4, 0.9)
        for text, start in [("明日", 2.0), ("は", 2.5), ("夏", 3.0), ("祭り", 3.5), ("に行きます", 4.0)]
    ),
)
GERMAN = Utterance(
    "Die große Straße, hier",
    10.0,
    12.0,
    0.9,
    tuple(
        Word(text, 10 + at / 2, 10.4 + at / 2, 0.9) for at, text in enumerate([" Die", " große", " Straße,", " hier"])
    ),
)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("夏祭り", "festival.jpg"),
        ('"夏祭り"', "festival.jpg"),
        ("花火", "festival.jpg"),
        ("東京 花火大会", "festival.jpg"),
        ("東京 beach", "festival.jpg"),
        ("外滩", "shanghai.jpg"),
        ("外婆", "shanghai.jpg"),
        ("猫", "cat.jpg"),
        ("바다", "jeju.jpg"),
        ("제주도 사진", "jeju.jpg"),
        ("산", "hill.jpg"),
        ("ทะเล", "beach.jpg"),
        ("ภูเก็ต", "beach.jpg"),
        ("デジタルカメラ", "camera.jpg"),
        ("カメラ", "camera.jpg"),
        ("abc", "camera.jpg"),
        ("\uff71\uff42c", None),
        ("한글날", "taken apart.jpg"),
        ("がっこう", "taken apart.jpg"),
        ("हिन्दी", "hindi.jpg"),
        ("собака", "russian.jpg"),
        ("cafe straße", "german.jpg"),
        ("strasse", "german.jpg"),
        ("微信", "微信图片_20220526.jpg"),
        ("誕生日", "sweets.jpg"),
        ("花子", "sweets.jpg"),
        ("誕生日 cake", "sweets.jpg"),
        ("思い出", "festival.jpg"),
        ("tag:思い出", "festival.jpg"),
        ("path:微信", "微信图片_20220526.jpg"),
        ("明日 行き", "talk.mp4"),
        ("said:夏祭り", "talk.mp4"),
    ],
)
def test_a_word_inside_is_found_and_nothing_else(library: FilmLibrary, query: str, name: str | None) -> None:
    answer = library.ask(query)
    assert answer.confident == (name is not None)
    if name is not None:
        assert Path(answer.results[0].path).name == name
        assert {Path(one.path).name for one in answer.results} <= {name, "talk.mp4"}, "others only where it is said"


@pytest.mark.parametrize(
    "query", ["鲸鱼", "京東", "花大", "火山", "猫 鲸鱼", "鲸鱼 cake", "개", "の", "ก", "лодка", "祭夏"]
)
def test_what_is_written_nowhere_is_refused(library: FilmLibrary, query: str) -> None:
    answer = library.ask(query)
    assert not answer.confident, answer.results
    assert answer.results == ()
    assert UNREAD in (answer.note or "")


def test_a_word_inside_is_excluded_where_it_would_be_found(library: FilmLibrary) -> None:
    assert "festival.jpg" not in library.names("type:photo -花火", everything=True)
    assert "hike.jpg" in library.names("type:photo -산", everything=True)


@pytest.mark.parametrize(
    ("query", "span"),
    [
        ("said:夏祭り", (3.0, 3.9)),
        ('said:"明日は"', (2.0, 2.9)),
        ("明日 夏祭り", (2.0, 3.9)),
        ("said:straße", (11.0, 11.4)),
        ("große straße", (10.5, 11.4)),
    ],
)
def test_the_moment_is_that_of_the_matching_words(library: FilmLibrary, query: str, span: tuple[float, float]) -> None:
    assert library.spans(query, "talk.mp4") == [pytest.approx(span)]


def test_runs_without_blanks_are_cut_letter_by_letter_and_all_else_is_left_alone(library: FilmLibrary) -> None:
    assert words("iPhoneで撮影2023年") == ["iphone", "で撮影", "2023", "年"]
    assert letters("ที่ทะเล 2 cats") == ["ที่", "ท", "ะ", "เ", "ล", "2", "cats"]
    assert indexed("Plain ASCII, as it is.") == "Plain ASCII, as it is."
