"""The commands for the inside of videos and sounds: transcript, highlights, play."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast, get_args

from config.errors import ReverieError
from config.settings import Settings, load
from daemon import last_search, player
from daemon.ask import FOUND, ask, print_json
from indexer.records import Kind, Transcript, Utterance, Word
from search.clock import clock, seconds_of, span
from search.messages import HighlightsMessage, TranscriptMessage
from search.subtitles import Format, subtitles

if TYPE_CHECKING:
    from config.commands import SubParsers

FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_SECONDS = 20.0


class WrongOutput(ReverieError):
    """Nothing may be written there."""

    exit_status = 2


def add_parsers(subparsers: SubParsers) -> None:
    """Add the commands for the inside of videos and sounds."""
    about = "Print what is said in a video or sound, as text, as subtitles or as JSON with the time of every word."
    transcript = subparsers.add_parser("transcript", help="what is said in a video or sound", description=about)
    transcript.add_argument("path", type=Path, help="an indexed video or sound")
    transcript.add_argument("--format", choices=FORMATS, help="default: what the name after -o ends in, or txt")
    _add_output(transcript, "write there instead of to standard output")
    transcript.add_argument("--json", action="store_true", help="the same as --format json")

    about = (
        "Find the parts of a video or sound that are worth watching: good pictures in which something happens, each "
        "unlike the others. Without -o they are printed; with it they are cut out and joined to a new video."
    )
    highlights = subparsers.add_parser("highlights", help="the best parts of a video", description=about)
    highlights.add_argument("path", type=Path, help="an indexed video or sound")
    highlights.add_argument(
        "--seconds",
        type=_seconds,
        default=DEFAULT_SECONDS,
        metavar="N",
        help="how long they are together (default: 20)",
    )
    _add_output(highlights, "write them there as one video (MP4)")
    highlights.add_argument("--json", action="store_true", help="print one JSON object")

    about = (
        "Open a result of the last search in a player (mpv, vlc or what the desktop takes), at the moment that "
        "answered. A file can be named instead, and a time in it: clip.mp4@0:42."
    )
    play = subparsers.add_parser("play", help="open a result at its moment", description=about)
    play.add_argument("result", metavar="RESULT", help="the number of a result, a PATH, or PATH@TIME")
    play.add_argument("--json", action="store_true", help="print one JSON object: what is run")


def run(
    args: argparse.Namespace,
    out: TextIO,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    config: Path | None = None,
) -> int:
    """Do what a command asks, and return the exit status. Raises ReverieError."""
    settings = load(environ=environ, flags=flags, config=config)
    return _COMMANDS[args.command](args, out, settings, environ)


def _transcript(args: argparse.Namespace, out: TextIO, settings: Settings, _: Mapping[str, str]) -> int:
    _check_output(args)
    path = os.path.abspath(args.path)
    message = ask(
        settings,
        lambda client: cast(TranscriptMessage, client.get("/v1/transcript", {"path": path})),
        lambda answers: answers.transcript(path),
    )
    text = subtitles(_record(message), _format(args))
    if args.output is None:
        out.write(text)
    else:
        with _new_file(args.output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if message["note"]:
        sys.stderr.write(f"{message['note']}\n")
    return FOUND


def _highlights(args: argparse.Namespace, out: TextIO, settings: Settings, _: Mapping[str, str]) -> int:
    if args.output is not None and args.output.suffix.lower() != ".mp4":
        raise WrongOutput(f"{args.output} does not end in .mp4.", "Name it so: an MP4 file is what is written.")
    _check_output(args)
    path = os.path.abspath(args.path)
    message = ask(
        settings,
        lambda client: cast(HighlightsMessage, client.get("/v1/highlights", {"path": path, "seconds": args.seconds})),
        lambda answers: answers.highlights(path, seconds=args.seconds),
    )
    spans = [(one["start"], one["end"]) for one in message["spans"]]
    if args.output is not None:
        if message["kind"] != Kind.VIDEO:
            raise WrongOutput(f"{path} is a sound: only videos can be cut.", "Without -o its highlights are printed.")
        _cut(path, spans, args.output, settings)
    if args.json:
        written = None if args.output is None else os.path.abspath(args.output)
        print_json(out, {**message, "written": written})
    else:
        length = sum(end - start for start, end in spans)
        out.writelines(f"{span(start, end)}\n" for start, end in spans)
        if args.output is not None:
            out.write(f"{args.output}: {clock(length)} of {clock(message['duration'])}\n")
    return FOUND


def _cut(path: str, spans: list[tuple[float, float]], output: Path, settings: Settings) -> None:
    from indexer.media.container import VideoLimits  # noqa: PLC0415 - FFmpeg and OpenCV, for this alone
    from indexer.media.cutting import cut  # noqa: PLC0415

    if output.exists() and os.path.samefile(path, output):
        raise WrongOutput(f"{output} is the video itself.", "Name another file.")
    video = settings.video
    limits = VideoLimits(max_pixels=video.max_megapixels * 1_000_000, max_seconds=video.max_hours * 3600)
    cut(path, spans, output, limits)


def _play(args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str]) -> int:
    path, start = _meant(args.result, settings, environ)
    playing = player.choose(path, start, environ)
    if args.json:
        print_json(out, {"path": path, "start": start, "command": list(playing.command)})
    elif said := player.note(playing, start):
        sys.stderr.write(f"{said}\n")
    out.flush()
    player.play(playing, silent=args.json)  # beside the JSON nothing else may stand
    return FOUND


def _meant(text: str, settings: Settings, environ: Mapping[str, str]) -> tuple[str, float]:
    """The absolute path and the seconds that "2", "clip.mp4" or "clip.mp4@0:42" stand for."""
    if text.isascii() and text.isdecimal():
        result = last_search.recall(int(text[:9]), settings.paths.library, environ)
        return result.path, result.start or 0.0
    path, at, time = text.rpartition("@")
    start = seconds_of(time)
    if at and start is not None and not os.path.lexists(text):
        return os.path.abspath(path), start
    return os.path.abspath(text), 0.0


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, TextIO, Settings, Mapping[str, str]], int]] = {
    "transcript": _transcript,
    "highlights": _highlights,
    "play": _play,
}


def _add_output(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help=about)
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")


def _check_output(args: argparse.Namespace) -> None:
    """Raises WrongOutput where something is already that was not to be replaced."""
    if args.output is not None and os.path.lexists(args.output) and not args.force:
        raise WrongOutput(f"{args.output} exists already.", "Name another file, or replace it with --force.")


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A file to write, which becomes `path` as a whole or not at all. Raises WrongOutput."""
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            temporary = Path(folder, path.name)
            yield temporary
            temporary.replace(path)
    except OSError as error:
        raise WrongOutput(
            f"{path} cannot be written: {error.strerror or error}.", "Make room there, or name another place."
        ) from error


def _format(args: argparse.Namespace) -> Format:
    if args.json:
        return "json"
    if args.format is not None:
        return cast(Format, args.format)
    suffix = "" if args.output is None else args.output.suffix.lower().removeprefix(".")
    return next((one for one in FORMATS if one == suffix), "txt")


def _record(message: TranscriptMessage) -> Transcript:
    return Transcript(
        message["language"],
        message["language_confidence"],
        tuple(
            Utterance(
                one["text"],
                one["start"],
                one["end"],
                one["confidence"],
                tuple(Word(word["text"], word["start"], word["end"], word["confidence"]) for word in one["words"]),
            )
            for one in message["utterances"]
        ),
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:  # written so that NaN is refused too
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
