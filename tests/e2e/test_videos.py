"""Videos and sounds as a person has them: every kind is indexed or listed with a reason, and moments are found."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import sample_footage
from tests.e2e.driver import Reverie
from tests.films import RATE, View, film, soundtrack
from tests.indexer.media.clips import with_matrix
from tests.sample_footage import CITY, CITY_CUT, READING
from tests.sample_photos import copy_photos

BIRTHDAY, FLOWER = 9.0, 24.5
"""When it is said, in party.mp4."""
SHOWN = {"a cup of coffee": (7, 15), "a cat": (15, 21), "a motorcycle": (30, 38)}
"""What party.mp4 shows from when to when."""
GOOD = {
    *("party.mp4", "portrait.mov", "uneven.mp4", "silent.mkv", "memo.wav", "ten-bit.mp4", "4k.mp4", "one-frame.mp4"),
    *("really-a-video.jpg", "sound-only.mp4", "cut-short.mp4", "coffee.png", CITY.name, READING.name),
}
BAD = {"empty.mp4", "text.mp4", "no-index.mp4", "playlist.mp4", "random.mov"}


def make_good(folder: Path) -> None:
    party = [View("rocket.jpg", 7), View("coffee.png", 8), View("chelsea.png", 6), View("", 2), View("flower.jpg", 7)]
    says = [(BIRTHDAY, "Happy birthday to you, my dear."), (FLOWER, "Look at the yellow flower in the garden.")]
    film(folder / "party.mp4", [*party, View("motorcycle_left.png", 8)], says=says, plays=[(30.0, 38.0)])
    sideways = film(folder / "portrait.mov", [View("horse.png", 3)], size=(320, 180), silent=True)
    with_matrix(sideways, (0, 1, 0, -1, 0, 0, 0, 0, 1))
    times = [number / 15 + (0.02 if number % 3 else 0.0) for number in range(60)]
    film(folder / "uneven.mp4", [View("astronaut.png", 4)], times=times, silent=True)
    film(folder / "silent.mkv", [View("china.jpg", 3)], silent=True)
    film(
        folder / "ten-bit.mp4", [View("clock_motion.png", 3)], codec="libx265", pixel_format="yuv420p10le", silent=True
    )
    film(folder / "4k.mp4", [View("grass.png", 1)], size=(3840, 2160), fps=5, silent=True)
    film(folder / "one-frame.mp4", [View("moon.png", 0.1)], fps=10, silent=True)
    film(folder / "really-a-video.jpg", [View("coins.png", 3)], container="mp4", silent=True)
    film(folder / "sound-only.mp4", [], says=[(0.5, "Remember the milk.")], seconds=4)
    whole = film(
        folder / "cut-short.mp4", [View("hubble_deep_field.jpg", 8)], container_options={"movflags": "faststart"}
    )
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with wave.open(str(folder / "memo.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        spoken = soundtrack(6, [(1.0, "The key is under the green stone.")])
        file.writeframes((spoken * 32767).astype("<i2").tobytes())
    copy_photos(folder, "coffee.png")
    sample_footage.check()
    for real in (CITY, READING):
        shutil.copyfile(real, folder / real.name)


def make_bad(folder: Path) -> None:
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("Dear diary, this is no video at all.\n" * 20, encoding="utf-8")
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", encoding="utf-8")
    (folder / "random.mov").write_bytes(np.random.default_rng(1).bytes(20_000))
    whole = film(folder / "no-index.mp4", [View("rocket.jpg", 3)], silent=True)
    data = whole.read_bytes()
    whole.write_bytes(data[: data.index(b"moov") - 4])  # the index comes last: as of a camera whose battery died


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, ready_models: Path) -> Iterator[tuple[Reverie, Path]]:
    """All kinds of files, indexed; and where they are."""
    folder = tmp_path_factory.mktemp("videos")
    media = folder / "media"
    media.mkdir()
    make_good(media)
    make_bad(media)
    reverie = Reverie(folder / "library", ready_models.parent.parent)
    finished = reverie.run("index", media, timeout=110)
    assert finished.returncode == 0, finished.stderr
    yield reverie, media
    shutil.rmtree(media)


def moments(reverie: Reverie, query: str, name: str = "party.mp4") -> list[dict[str, Any]]:
    """The moments of a file that answer a query, best first."""
    results = reverie.json("search", query)["results"]
    [result] = [result for result in results if Path(result["path"]).name == name]
    found: list[dict[str, Any]] = result["moments"]
    return found


def test_every_file_is_indexed_or_listed_with_a_reason(library: tuple[Reverie, Path]) -> None:
    reverie, _ = library
    status = reverie.json("status")
    problems = {Path(problem["path"]).name: problem for problem in status["problems"]}
    assert problems.keys() == BAD
    for problem in problems.values():
        assert problem["title"].endswith(".")
        assert problem["remedy"].endswith(".")
    assert "playlist" in problems["playlist.mp4"]["title"]
    assert "empty" in problems["empty.mp4"]["title"]
    assert status["counts"]["done"] == len(GOOD)


@pytest.mark.parametrize("query", SHOWN)
def test_a_moment_is_found_where_it_is_shown(library: tuple[Reverie, Path], query: str) -> None:
    reverie, _ = library
    best = moments(reverie, query)[0]
    start, end = SHOWN[query]
    assert start - 2 <= best["start"] < best["end"] <= end + 2
    assert Path(best["thumbnail"]).is_file()


@pytest.mark.parametrize(("query", "at"), [('said:"happy birthday"', BIRTHDAY), ("said:flower", FLOWER)])
def test_what_is_said_is_found_when_it_is_said(library: tuple[Reverie, Path], query: str, at: float) -> None:
    reverie, _ = library
    assert [Path(result["path"]).name for result in reverie.json("search", query)["results"]] == ["party.mp4"]
    assert moments(reverie, query)[0]["start"] == pytest.approx(at, abs=2)


def test_words_that_are_only_spoken_find_a_voice_memo(library: tuple[Reverie, Path]) -> None:
    reverie, _ = library
    result = reverie.json("search", "key under the green stone")["results"][0]
    assert (Path(result["path"]).name, result["kind"]) == ("memo.wav", "audio")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type:video duration:>20s", {"party.mp4"}),
        ("type:audio", {"memo.wav", "sound-only.mp4", READING.name}),
        ("type:photo", {"coffee.png"}),
        ("type:video has:audio", {"party.mp4", "cut-short.mp4"}),
        ("type:video has:speech", {"party.mp4"}),
    ],
)
def test_filters(library: tuple[Reverie, Path], query: str, expected: set[str]) -> None:
    reverie, _ = library
    assert set(reverie.found(query)) == expected


def test_sizes_are_those_a_player_shows(library: tuple[Reverie, Path]) -> None:
    reverie, media = library
    info = {name: reverie.json("show", media / name)["info"] for name in ("portrait.mov", "4k.mp4", "ten-bit.mp4")}
    assert (info["portrait.mov"]["width"], info["portrait.mov"]["height"]) == (180, 320)
    assert (info["4k.mp4"]["width"], info["4k.mp4"]["height"]) == (3840, 2160)
    assert info["ten-bit.mp4"]["video_codec"] == "hevc"
    assert reverie.json("show", media / "uneven.mp4")["info"]["variable_rate"]


def test_nothing_is_said_over_music_and_silence(library: tuple[Reverie, Path]) -> None:
    reverie, media = library
    transcript = reverie.json("show", media / "party.mp4")["transcript"]
    spoken = [(said["start"], said["end"]) for said in transcript["utterances"]]
    assert len(spoken) == 2
    assert spoken[0][0] == pytest.approx(BIRTHDAY, abs=0.5)
    assert spoken[1][0] == pytest.approx(FLOWER, abs=0.5)


def test_real_footage_is_cut_where_it_was_cut(library: tuple[Reverie, Path]) -> None:
    reverie, media = library
    shots = {one["shot"]: one["start"] for one in reversed(reverie.json("show", media / CITY.name)["segments"])}
    assert shots == {1: 0.0, 2: pytest.approx(CITY_CUT, abs=0.1)}


def test_a_real_reading_is_found_by_its_words(library: tuple[Reverie, Path]) -> None:
    reverie, _ = library
    assert reverie.found("said:selfish") == [READING.name]
    assert reverie.found("rather cold hearted and rather selfish")[0] == READING.name


def test_a_video_without_sound_says_so(library: tuple[Reverie, Path]) -> None:
    reverie, media = library
    finished = reverie.run("transcript", media / "silent.mkv")
    assert finished.returncode == 1
    assert "silent.mkv has no sound." in finished.stderr


def test_status_tells_how_to_get_a_model_of_actions(library: tuple[Reverie, Path]) -> None:
    reverie, _ = library
    [note] = reverie.json("status")["notes"]
    assert "What happens in videos is not recognised" in note["title"]
    assert "reverie models pull standard" in note["remedy"]
