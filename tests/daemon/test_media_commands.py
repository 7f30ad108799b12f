"""transcript, highlights and play, with a service and without: what a person types, and what comes of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import av
import pytest

import reverie
from config.paths import resolve
from indexer.records import Analysis, Stage, Transcript, Utterance
from indexer.stages import STAGES
from search.catalog import Catalog
from search.named import media_named
from tests.daemon.api import Api
from tests.daemon.clip import Clips, write_tone
from tests.daemon.workers import record
from tests.e2e.driver import PROGRAM, Reverie
from tests.test_architecture import HEAVY

SRT = "1\n00:00:02,500 --> 00:00:04,400\nHappy birthday to you.\n"
PLAYER = '#!/bin/sh\nprintf "%s\\n" "$0" "$@" > "$PLAYED"\necho "Playing."\n'


@dataclass(frozen=True)
class Finished:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


class Known:
    """A library that knows clips, and the program that asks it."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self.clips = Clips(folder / "clips")
        self.reverie = Reverie(folder / "library", models.parent.parent, XDG_STATE_HOME=str(folder / "state"))
        self.clips.remember(resolve(self.reverie.library, None, self.reverie.environment))

    def run(self, *arguments: str | Path, **environment: str) -> Finished:
        """One command to its end, in this process: most of the time of another one would go into its start."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.reverie.environment | environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            contextlib.chdir(self.clips.film.parent),
        ):
            try:
                status = reverie.main(list(map(str, arguments)))
            except SystemExit as wrong_use:
                status = int(str(wrong_use.code))
        return Finished(status, out.getvalue(), err.getvalue())

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def refusal(self, *arguments: str | Path) -> tuple[int, str]:
        """The exit status and the sentence of a command that must fail."""
        finished = self.run(*arguments)
        assert finished.returncode, finished
        assert finished.stdout == ""
        return finished.returncode, finished.stderr

    def players(self, *names: str) -> dict[str, str]:
        """An environment in which these players are installed, and no others; they write down what they are told."""
        programs = self.folder / "-".join(("players", *names))
        programs.mkdir(exist_ok=True)
        for name in names:
            (programs / name).write_text(PLAYER, encoding="utf-8")
            (programs / name).chmod(0o755)
        return {"PATH": str(programs), "DISPLAY": ":0", "PLAYED": str(self.folder / "played")}

    def play(self, *arguments: str, **environment: str) -> Finished:
        (self.folder / "played").unlink(missing_ok=True)
        return self.run("play", *arguments, **environment)

    def played(self) -> list[str]:
        """The player and what it was told."""
        program, *told = (self.folder / "played").read_text(encoding="utf-8").splitlines()
        return [Path(program).name, *told]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, ready_models: Path) -> Known:
    return Known(tmp_path_factory.mktemp("known"), ready_models)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, ready_models: Path) -> Iterator[Known]:
    """The same with a service."""
    known = Known(tmp_path_factory.mktemp("served"), ready_models)
    known.reverie.start(known.clips.film.parent)
    yield known
    assert "Traceback" not in known.reverie.stop()


def test_a_transcript_is_printed_in_the_form_that_is_asked_for(known: Known) -> None:
    film = known.clips.film
    assert known.run("transcript", film).stdout == "Happy birthday to you.\n"
    assert known.run("transcript", film, "--format", "srt").stdout == SRT
    assert known.run("transcript", film, "--format", "vtt").stdout.startswith("WEBVTT\n")
    [said] = known.json("transcript", film)["utterances"]
    assert (said["text"], said["words"][1]["text"]) == ("Happy birthday to you.", "birthday")


def test_subtitles_are_told_from_what_was_heard(tmp_path: Path, ready_models: Path) -> None:
    known = Known(tmp_path, ready_models)
    assert known.run("transcript", known.clips.film).stderr == ""
    written = Transcript("en", 1.0, (Utterance("Blow the candles out!", 5.0, 6.0, 1.0, ()),))
    with contextlib.closing(
        Catalog(resolve(known.reverie.library, None, known.reverie.environment).library)
    ) as catalog:
        media_id = media_named(catalog, str(known.clips.film))
        assert media_id is not None
        stages: dict[str, int] = {Stage.METADATA: STAGES[Stage.METADATA]}
        catalog.store([Analysis(media_id=media_id, stages=stages, transcripts={Stage.METADATA: written})], [])
    told = known.run("transcript", known.clips.film)
    assert told.stdout == "Blow the candles out!\n"
    assert told.stderr == "These are the subtitles. `said:` also finds what the speech model heard.\n"
    assert known.json("transcript", known.clips.film)["utterances"][0]["text"] == "Blow the candles out!"


def test_a_transcript_is_written_to_a_file_and_replaces_none_unasked(known: Known, tmp_path: Path) -> None:
    out = tmp_path / "party.srt"
    assert known.run("transcript", known.clips.film, "-o", out).stdout == ""
    assert out.read_text(encoding="utf-8") == SRT
    status, said = known.refusal("transcript", known.clips.film, "-o", out, "--format", "txt")
    assert (status, out.read_text(encoding="utf-8")) == (2, SRT)
    assert "exists already" in said
    assert known.run("transcript", known.clips.film, "-o", out, "--format", "txt", "--force").returncode == 0
    assert out.read_text(encoding="utf-8") == "Happy birthday to you.\n"
    assert list(tmp_path.iterdir()) == [out]


def test_where_there_is_no_transcript_the_reason_is_told(known: Known) -> None:
    for path, reason in (
        (known.clips.photo, "is a photo: nothing is said in it"),
        (known.clips.memo, "Nobody speaks in"),
        (known.folder / "none.mp4", "There is no file"),
    ):
        status, said = known.refusal("transcript", path)
        assert status == 1
        assert reason in said


def test_highlights_are_printed(known: Known) -> None:
    whole = known.run("highlights", known.clips.film, "--seconds", "30")
    assert whole.stdout == "0:00-0:08\n"
    message = known.json("highlights", known.clips.film, "--seconds", "3")
    assert (message["duration"], message["written"]) == (8.0, None)
    assert sum(span["end"] - span["start"] for span in message["spans"]) <= 3
    [best] = message["spans"]
    assert best["start"] <= 2.5 <= best["end"]  # where somebody speaks, in the best picture
    assert known.run("highlights", known.clips.memo).stdout == "0:00-0:01\n"


def test_highlights_are_cut_to_a_new_video(known: Known, tmp_path: Path) -> None:
    out = tmp_path / "best.mp4"
    finished = known.run("highlights", known.clips.film, "--seconds", "3", "-o", out)
    assert finished.returncode == 0, finished
    assert finished.stdout.endswith(f"{out}: 0:03 of 0:08\n")
    with av.open(str(out)) as container:
        assert container.duration == pytest.approx(3e6, abs=0.2e6)
        assert container.streams.video[0].codec_context.name == "h264"
    before = out.read_bytes()
    assert "exists already" in known.refusal("highlights", known.clips.film, "-o", out)[1]
    assert out.read_bytes() == before


def test_what_cannot_be_cut_is_refused_before_anything_is_written(known: Known, tmp_path: Path) -> None:
    for arguments, reason in (
        ((known.clips.memo, "-o", tmp_path / "best.mp4"), "only videos can be cut"),
        ((known.clips.photo, "-o", tmp_path / "best.mp4"), "is a photo"),
        ((known.clips.film, "-o", tmp_path / "best.avi"), "does not end in .mp4"),
        ((known.clips.film, "-o", known.clips.film, "--force"), "is the video itself"),
        ((known.clips.film, "--seconds", "0"), "is not a number of seconds above 0"),
    ):
        assert reason in known.refusal("highlights", *arguments)[1]
    assert list(tmp_path.iterdir()) == []


def test_a_result_is_played_at_the_moment_that_answered(known: Known) -> None:
    [result] = known.json("search", 'said:"happy birthday"')["results"]
    [moment] = result["moments"]
    assert (moment["start"], moment["ordinal"]) == (2.5, 2)
    assert known.play("1", **known.players("mpv", "vlc", "xdg-open")).returncode == 0
    assert known.played() == ["mpv", "--start=2.500", "--image-display-duration=inf", "--", str(known.clips.film)]
    kept = known.folder / "state" / "reverie" / "last-search.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    refused = known.play("2", **known.players("mpv"))
    assert refused.returncode == 2
    assert "There is no result 2: the last search had 1 result." in refused.stderr


@pytest.mark.parametrize(
    ("named", "start"), [("party.mp4", "0.000"), ("party.mp4@0:03", "3.000"), ("./party.mp4@1:02:03.5", "3723.500")]
)
def test_a_file_is_played_at_a_time(known: Known, named: str, start: str) -> None:
    assert known.play(named, **known.players("vlc", "xdg-open")).returncode == 0
    assert known.played() == ["vlc", f"--start-time={start}", str(known.clips.film)]


def test_what_a_player_writes_does_not_stand_beside_the_json(known: Known) -> None:
    finished = known.play("party.mp4@0:03", "--json", **known.players("mpv"))
    assert json.loads(finished.stdout)["command"][1:] == known.played()[1:]


def test_a_player_that_cannot_start_in_the_middle_is_taken_last_and_the_time_is_told(known: Known) -> None:
    finished = known.play("party.mp4@0:03", **known.players("xdg-open"))
    assert (finished.returncode, known.played()) == (0, ["xdg-open", str(known.clips.film)])
    assert "go to 0:03" in finished.stderr


def test_what_cannot_be_played_is_told(known: Known) -> None:
    able = known.players("mpv")
    for arguments, environment, reason in (
        (["party.mp4"], known.players(), "No player is installed."),
        (["party.mp4"], able | {"DISPLAY": ""}, "There is no display"),
        (["nothing.mp4"], able, "There is no file"),
        (["1"], able | {"XDG_STATE_HOME": "/nowhere"}, "There is no last search"),
        (["1"], able | {"REVERIE_LIBRARY": str(known.folder / "other")}, "There is no last search in this library"),
    ):
        finished = known.play(*arguments, **environment)
        assert finished.returncode > 1
        assert reason in finished.stderr
        assert not (known.folder / "played").exists()


def test_a_search_answers_also_where_nothing_can_be_remembered(known: Known) -> None:
    finished = known.run("search", "type:video", XDG_STATE_HOME="/proc/nowhere")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_a_service_answers_alike(known: Known, served: Known) -> None:
    for arguments in (["transcript", "--format", "srt"], ["highlights", "--seconds", "3"]):
        there = served.run(*arguments, served.clips.film)
        here = known.run(*arguments, known.clips.film)
        assert (there.returncode, there.stdout) == (0, here.stdout)
    for path in (served.clips.photo, served.clips.memo):
        assert served.refusal("transcript", path)[0] == 1


def test_the_socket_has_the_inside_of_a_film(served: Known) -> None:
    api = Api(served.reverie, served.clips.film.parent)
    film = str(served.clips.film)
    assert api.get("/v1/transcript", path=film)["language"] == "en"
    assert api.get("/v1/highlights", path=film)["spans"] == [{"start": 0.0, "end": 8.0}]
    for wrong in ("seconds=0", "seconds=nan", "seconds=x"):
        status, error = api.refusal("GET", f"/v1/highlights?path={film}&{wrong}")
        assert (status, error["exit_status"]) == (400, 2)
    shown = api.get("/v1/show", path=film)
    assert [moment["ordinal"] for moment in shown["segments"]] == [1, 2, 3]
    assert [tag["name"] for tag in shown["segments"][1]["tags"]] == ["candle"]
    assert [tag["name"] for tag in shown["tags"]] == ["candle"]
    assert shown["segments"][1]["thumbnail"].endswith("-2.jpg")
    assert [event["kind"] for event in shown["events"]] == ["track", "sound"]
    assert shown["events"][0]["path"][1] == {"time": 5.0, "box": [0.5, 0.1, 0.7, 0.3]}
    assert "Happy birthday to you." in shown["summary"]
    assert api.get("/v1/status")["kinds"] == {"photo": 1, "video": 1, "audio": 1}


def test_a_timeline_is_shown_to_people(known: Known) -> None:
    shown = known.run("show", known.clips.film).stdout
    for line in (
        "  0:02-0:06  shot 2  candle 0.80",
        "  0:02-0:04  said    “Happy birthday to you.”",
        "  0:02-0:05  track   dog 0.70",
    ):
        assert line in shown.splitlines()
    facts = dict(line.split(maxsplit=1) for line in shown.splitlines() if line.startswith(("length", "highlights")))
    assert facts == {"length": "0:08, 10.00 frames/s, h264, aac, 2.5 Mbit/s", "highlights": "0:00-0:08"}
    found = known.run("search", 'said:"happy birthday"').stdout
    assert f"  1  ~/clips/{known.clips.film.name}  at 0:02-0:0" in found


def test_what_is_still_to_be_analysed_is_told_so(known: Known, tmp_path: Path) -> None:
    waiting = Known(tmp_path / "waiting", Path(known.reverie.environment["XDG_CACHE_HOME"], "reverie", "models"))
    late = write_tone(waiting.folder / "late.wav", 2.0)
    remember_only(waiting, late)
    for command in ("transcript", "highlights"):
        status, said = waiting.refusal(command, late)
        assert status == 1
        assert "is still to be analysed: it is waiting" in said


def remember_only(known: Known, path: Path) -> None:
    """Have a library know that a file is there, and no more."""
    catalog = Catalog(known.reverie.library)
    plan = catalog.plans().active
    assert plan is not None
    record(catalog, path, plan.stages)
    catalog.close()


def test_asking_a_service_for_the_inside_imports_nothing_heavy(served: Known) -> None:
    heavy = {*HEAVY, "av"}
    script = (
        "import reverie, sys\n"
        "status = reverie.main(sys.argv[1:])\n"
        f"sys.stderr.write(' '.join(sorted({heavy!r} & set(sys.modules))))\n"
        "sys.exit(status)\n"
    )
    for command in ("transcript", "highlights", "show"):
        finished = subprocess.run(
            [sys.executable, "-c", script, command, str(served.clips.film)],
            cwd=Path(PROGRAM[-1]).parent,
            env=served.reverie.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (finished.returncode, finished.stderr) == (0, ""), command
