"""Opening a file at a moment, in the first player that is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from config.errors import ReverieError
from search.clock import clock

DISPLAYS = ("WAYLAND_DISPLAY", "DISPLAY")
INSTALL = "Install mpv or vlc, for example `sudo apt install mpv`."


class CannotPlay(ReverieError):
    """Nothing can play it here."""


@dataclass(frozen=True, slots=True)
class Player:
    """A program that plays files."""

    name: str
    arguments: Callable[[str, float], list[str]]
    """What it is told, of an absolute path and seconds from the beginning."""
    starts_anywhere: bool = True
    """Whether it can start elsewhere than at the beginning."""


PLAYERS = (
    Player("mpv", lambda path, start: [f"--start={start:.3f}", "--image-display-duration=inf", "--", path]),
    Player("vlc", lambda path, start: [f"--start-time={start:.3f}", path]),
    Player("xdg-open", lambda path, _: [path], starts_anywhere=False),
)
"""In the order in which they are taken."""


@dataclass(frozen=True, slots=True)
class Playing:
    """What will be run."""

    player: Player
    command: tuple[str, ...]


def choose(path: str, start: float, environ: Mapping[str, str]) -> Playing:
    """The command that opens a file, an absolute path, at a time. Raises CannotPlay."""
    if not os.path.isfile(path):
        raise CannotPlay(f"There is no file {path}.", "It may have been moved: search again.")
    if not os.access(path, os.R_OK):
        raise CannotPlay(f"You may not read {path}.", "Its owner, or the administrator, can give you the right to.")
    installed = [(player, shutil.which(player.name, path=environ.get("PATH"))) for player in PLAYERS]
    found = next(((player, program) for player, program in installed if program is not None), None)
    if found is None:
        raise CannotPlay("No player is installed.", INSTALL)
    if not any(environ.get(name) for name in DISPLAYS):
        raise CannotPlay(
            "There is no display to play it on: neither WAYLAND_DISPLAY nor DISPLAY is set.",
            "Run it in a graphical session; over SSH, `ssh -X` lends one.",
        )
    player, program = found
    return Playing(player, (program, *player.arguments(path, start)))


def play(playing: Playing, *, silent: bool) -> None:
    """Run the player to its end, in this terminal; `silent`: without what it writes to standard output.

    Raises CannotPlay: it could not play the file.
    """
    try:
        status = subprocess.run(playing.command, stdout=subprocess.DEVNULL if silent else None, check=False).returncode
    except OSError as error:
        raise CannotPlay(f"{playing.command[0]} cannot be run: {error.strerror or error}.", INSTALL) from error
    if status:
        raise CannotPlay(
            f"{playing.player.name} could not play it: it ended with status {status}.",
            f"Try it by hand: `{shlex.join(playing.command)}`.",
        )


def note(playing: Playing, start: float) -> str | None:
    """What a person should know before it starts."""
    if start and not playing.player.starts_anywhere:
        return f"{playing.player.name} cannot start in the middle: go to {clock(start)}. {INSTALL}"
    return None
