"""The command line as scripts and people meet it: help, exit statuses, JSON, pipes and terminals."""

from __future__ import annotations

import argparse
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reverie import COMMANDS, build_parser
from tests.e2e.driver import PROGRAM, Reverie
from tests.sample_photos import copy_photos
from tests.test_architecture import HEAVY

PROJECT = Path(PROGRAM[-1]).parent


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, ready_models: Path) -> Reverie:
    """A library of four photos, and no service."""
    folder = tmp_path_factory.mktemp("line")
    copy_photos(folder / "photos", "coffee.png", "chelsea.png", "rocket.jpg", "astronaut.png")
    reverie = Reverie(folder / "library", ready_models.parent.parent, REVERIE_WATCH__QUIET_SECONDS="0.1")
    assert reverie.run("index", folder / "photos").returncode == 0
    return reverie


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from parsers(sub)


def test_every_command_and_option_is_explained() -> None:
    found = list(parsers(build_parser(COMMANDS.values())))
    assert {parser.prog.split()[1] for parser in found[1:]} == set(COMMANDS) | {"completion"}
    for parser in found:
        assert parser.description, parser.prog
        for action in parser._actions:
            assert action.help or action.metavar == "COMMAND" or action.choices, (parser.prog, action)


def test_help_names_every_command(make_reverie: Callable[..., Reverie]) -> None:
    reverie = make_reverie()
    shown = reverie.run("--help")
    assert shown.returncode == 0
    for name in COMMANDS:
        assert f"\n    {name} " in shown.stdout
    bare = reverie.run()
    assert (bare.returncode, bare.stdout) == (2, shown.stdout)


def test_the_exit_status_says_how_it_went(indexed: Reverie, make_reverie: Callable[..., Reverie]) -> None:
    photos = indexed.library.parent / "photos"
    for arguments, status in (
        (["search", "a cup of coffee on a table"], 0),
        (["search", "camera:leica"], 1),
        (["search", "after:sometime"], 2),
        (["search", "boat", "--limit", "0"], 2),
        (["search", "--unknown"], 2),
        (["serach", "boat"], 2),
        (["show", str(photos / "coffee.png")], 0),
        (["show", str(photos / "nothing.jpg")], 1),
        (["--config", "/not/there.yaml", "status"], 2),
    ):
        finished = indexed.run(*arguments)
        assert finished.returncode == status, (arguments, finished)
        assert "Traceback" not in finished.stderr
    assert make_reverie("nowhere").run("search", "boat").returncode == 3


def test_without_a_library_search_says_how_to_begin(make_reverie: Callable[..., Reverie]) -> None:
    reverie = make_reverie("nowhere")
    finished = reverie.run("search", "boat")
    assert finished.stderr.startswith(f"reverie: There is no library at {reverie.library} yet.\n  Index a folder: ")
    assert not reverie.library.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "coffee"],
        ["search", "after:sometime"],
        ["show", "/not/there.jpg"],
        ["similar", "/not/there.jpg"],
        ["transcript", "/not/there.mp4"],
        ["highlights", "/not/there.mp4"],
        ["play", "/not/there.mp4"],
        ["status"],
        ["save"],
        ["index", "/not/there"],
        ["retry"],
    ],
)
def test_json_is_one_object_also_when_it_fails(indexed: Reverie, arguments: list[str]) -> None:
    finished = indexed.run(*arguments, "--json")
    message = json.loads(finished.stdout)
    assert isinstance(message, dict)
    assert finished.stderr == ""
    if finished.returncode > 1 or "error" in message:
        assert set(message["error"]) == {"title", "remedy", "exit_status"}
        assert message["error"]["exit_status"] == finished.returncode


def test_words_that_are_not_text_are_wrong_use(indexed: Reverie) -> None:
    command = [*(os.fsencode(word) for word in PROGRAM), b"search", b"caf\xe9"]
    finished = subprocess.run(command, env=indexed.environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "not valid UTF-8" in finished.stderr


def test_what_nobody_foresaw_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken_command.py").write_text(
        "def add_parsers(commands):\n    commands.add_parser('search', description='x')\n"
        "def run(*arguments, **options):\n    raise ZeroDivisionError('seven')\n",
        encoding="utf-8",
    )
    script = "import sys, reverie; reverie.COMMANDS['search'] = 'broken_command'; sys.exit(reverie.main(['search']))"
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{tmp_path}"}
    finished = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 3
    assert finished.stderr.startswith(
        "reverie: Something went wrong that we did not foresee (ZeroDivisionError: seven)"
    )
    assert "Traceback" not in finished.stderr


def shell(reverie: Reverie, command: str) -> subprocess.CompletedProcess[str]:
    """A line of bash; `reverie` in it is the program, and any part of a pipe that fails counts."""
    program = " ".join(PROGRAM)
    script = f'set -o pipefail; reverie() {{ {program} "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", script], env=reverie.environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_reader_that_has_seen_enough_is_no_error(indexed: Reverie) -> None:
    finished = shell(indexed, "reverie search type:photo | head -1")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert len(finished.stdout.splitlines()) == 1
    finished = shell(indexed, "reverie search type:photo --json | true")
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [
        "reverie search type:photo",
        "PYTHONUNBUFFERED=1 reverie search type:photo --json",
        "reverie config show",
        "reverie config show --help",
        "reverie --version",
        "reverie completion bash",
        "reverie --config /not/there.yaml status --json",
    ],
)
def test_an_output_that_cannot_be_written_is_said_in_one_sentence(indexed: Reverie, command: str) -> None:
    for output, reason in (("/dev/full", "No space left on device"), ("&-", "standard output is closed")):
        finished = shell(indexed, f"unset PYTHONUNBUFFERED; {command} >{output}")
        assert finished.returncode == 3
        assert finished.stderr == f"reverie: The output cannot be written: {reason}.\n"


@pytest.mark.parametrize("errors", ["/dev/full", "&-"])
def test_the_exit_status_is_right_also_where_no_error_can_be_written(indexed: Reverie, errors: str) -> None:
    finished = shell(indexed, f"reverie --config /not/there.yaml status 2>{errors}")
    assert (finished.returncode, finished.stdout, finished.stderr) == (2, "", "")


def test_indexing_works_with_every_stream_closed(indexed: Reverie, tmp_path: Path) -> None:
    photo = indexed.library.parent / "photos" / "coffee.png"
    finished = shell(indexed, f"reverie --library {tmp_path} index {photo} <&- >&- 2>&-")
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, "", "")
    finished = shell(indexed, f"reverie --library {tmp_path} search coffee")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "coffee.png" in finished.stdout


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_completion_scripts_are_there(indexed: Reverie, name: str) -> None:
    finished = indexed.run("completion", name)
    assert finished.returncode == 0
    assert "similar" in finished.stdout
    if name == "bash":
        checked = subprocess.run(["bash", "-n"], input=finished.stdout, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("terminal", "escape"),
    [
        ({"KITTY_WINDOW_ID": "1"}, b"\x1b_Ga=T,f=100,"),
        ({"TERM_PROGRAM": "WezTerm"}, b"\x1b]1337;File=inline=1;"),
        ({"TERM": "xterm"}, None),
        ({"KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, None),  # noqa: S108 - only a value
    ],
)
def test_pictures_are_drawn_in_terminals_that_can(
    indexed: Reverie, terminal: dict[str, str], escape: bytes | None
) -> None:
    shown = in_terminal(indexed, terminal, "search", "coffee")
    assert b"coffee.png" in shown
    assert (escape in shown) if escape else (b"\x1b" not in shown)


def test_pictures_are_drawn_nowhere_else(indexed: Reverie) -> None:
    indexed_for_kitty = Reverie(indexed.library, Path(indexed.environment["XDG_CACHE_HOME"]), KITTY_WINDOW_ID="1")
    assert "\x1b" not in indexed_for_kitty.run("search", "coffee").stdout
    assert b"\x1b" not in in_terminal(indexed, {"KITTY_WINDOW_ID": "1"}, "search", "coffee", "--no-thumbnails")


def in_terminal(reverie: Reverie, terminal: dict[str, str], *arguments: str) -> bytes:
    """What a command writes to a terminal that says this of itself."""
    ours, theirs = pty.openpty()
    quiet = dict.fromkeys(("TMUX", "STY", "KITTY_WINDOW_ID", "TERM_PROGRAM", "KONSOLE_VERSION", "LC_TERMINAL"), "")
    with subprocess.Popen([*PROGRAM, *arguments], env=reverie.environment | quiet | terminal, stdout=theirs):
        os.close(theirs)
        received = b""
        try:
            while piece := os.read(ours, 65536):
                received += piece
        except OSError:
            pass  # how Linux says that the other end of a terminal has closed
    os.close(ours)
    return received


def test_asking_a_service_imports_nothing_heavy(make_reverie: Callable[..., Reverie], tmp_path: Path) -> None:
    copy_photos(tmp_path / "photos", "coffee.png")
    reverie = make_reverie(REVERIE_WATCH__QUIET_SECONDS="0.1")
    reverie.start(tmp_path / "photos")
    reverie.eventually(lambda: reverie.found("coffee") == ["coffee.png"], within=20)
    script = (
        "import reverie, sys\n"
        "status = reverie.main(sys.argv[1:])\n"
        f"sys.stderr.write(' '.join(sorted({HEAVY!r} & set(sys.modules))))\n"
        "sys.exit(status)\n"
    )
    coffee = str(tmp_path / "photos" / "coffee.png")
    for arguments in (["search", "coffee"], ["similar", coffee], ["show", coffee], ["status"]):
        finished = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=PROJECT,
            env=reverie.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.stderr == "", arguments
        assert finished.stdout
