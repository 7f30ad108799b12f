"""The front door of Reverie: the command names, and where each one lives. Imports nothing heavy.

Exit status: 0 done or found, 1 no confident match, 2 wrong use, 3 something failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from config.errors import ReverieError
from config.streams import OutputFailed, ReaderGone, abandon_output, prepare_streams

FAILED = 3
INTERRUPTED = 130

DESCRIPTION = """\
Find photos, moments of videos, and sounds by what they show and say. Index folders once (or let the service watch
them), then ask in plain words:

  reverie index ~/Pictures
  reverie search "a cup of coffee on a table"
"""


COMMANDS = {
    "search": "daemon.ask",
    "similar": "daemon.ask",
    "show": "daemon.ask",
    "status": "daemon.ask",
    "tag": "daemon.ask",
    "save": "daemon.ask",
    "transcript": "daemon.media_commands",
    "highlights": "daemon.media_commands",
    "play": "daemon.media_commands",
    "index": "daemon.commands",
    "bench": "daemon.bench",
    "run": "daemon.commands",
    "retry": "daemon.commands",
    "forget": "daemon.commands",
    "doctor": "daemon.commands",
    "service": "daemon.commands",
    "models": "daemon.models_command",
    "config": "config.commands",
}
"""Where each command lives. Every such module has `add_parsers` and `run`."""


def build_parser(modules: Iterable[str]) -> argparse.ArgumentParser:
    """The parser with the commands of these modules."""
    parser = argparse.ArgumentParser(
        prog="reverie",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit status: 0 done or found, 1 no confident match, 2 wrong use, 3 something failed.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.add_argument("--library", metavar="DIR", help="where the state lives (or the variable REVERIE_LIBRARY)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a further settings file, stronger than the others")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for module in dict.fromkeys(modules):
        importlib.import_module(module).add_parsers(commands)
    about = "Print the completion script of a shell, for example `reverie completion bash > ~/.local/share/"
    about += "bash-completion/completions/reverie`."
    completion = commands.add_parser("completion", help="print a shell's completion script", description=about)
    completion.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors become one sentence and a remedy, never a traceback."""
    prepare_streams()
    try:
        try:
            return _guarded(arguments)
        finally:
            sys.stdout.flush()  # here, where a failure can still be told; at the interpreter's exit it would be noise
    except ReaderGone:
        abandon_output()
        return 0
    except OutputFailed as error:
        abandon_output()
        _tell(error)
        return error.exit_status


def _guarded(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    # The first word that is a command's name nearly always is the command: spare the others' imports.
    named = [COMMANDS[word] for word in words if word in COMMANDS][:1]
    parser = build_parser(named or COMMANDS.values())
    args = parser.parse_args(words)
    try:
        return _run(parser, args)
    except OutputFailed:
        raise
    except ReverieError as error:
        if getattr(args, "json", False):
            failure = {"title": error.title, "remedy": error.remedy, "exit_status": error.exit_status}
            sys.stdout.write(json.dumps({"error": failure}) + "\n")
        else:
            _tell(error)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("REVERIE_LOGGING__LEVEL", "").lower() == "debug":
            raise
        sys.stderr.write(
            f"reverie: Something went wrong that we did not foresee ({type(error).__name__}: {error}).\n"
            "  Please report it with what REVERIE_LOGGING__LEVEL=debug adds to this.\n"
        )
        return FAILED


def _tell(error: ReverieError) -> None:
    sys.stderr.write(f"reverie: {error.title}\n" + (f"  {error.remedy}\n" if error.remedy else ""))


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    if args.version:
        from config.version import current_version  # noqa: PLC0415

        sys.stdout.write(f"reverie {current_version()}\n")
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    if args.command == "completion":
        import shtab  # noqa: PLC0415

        sys.stdout.write(shtab.complete(parser, args.shell))
        return 0
    flags = {"library": None if args.library is None else os.path.abspath(os.path.expanduser(args.library))}
    module = importlib.import_module(COMMANDS[args.command])
    status: int = module.run(args, sys.stdout, environ=os.environ, flags=flags, config=args.config)
    return status


if __name__ == "__main__":
    sys.exit(main())
