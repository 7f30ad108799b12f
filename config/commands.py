"""`reverie config`: what is in force and why, which files are considered, and a commented file to begin with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TextIO

from config.errors import ConfigError
from config.paths import config_files, user_config
from config.sample import effective, sample
from config.schema import PRESETS
from config.settings import load


class SubParsers(Protocol):
    """What `ArgumentParser.add_subparsers()` returns."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser: ...  # noqa: A002


def add_parsers(subparsers: SubParsers) -> None:
    """Add `config` and its three actions."""
    about = "Show the settings in force, the files they come from, or write a file to begin with."
    parser = subparsers.add_parser("config", help="show or begin the settings", description=about)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    about = "Print the settings in force as YAML; a comment says where each value comes from."
    actions.add_parser("show", help="the settings in force, with their origins", description=about)
    about = "List the settings files in the order they are read (a later one wins), and whether each exists."
    actions.add_parser("path", help="the settings files that are considered", description=about)
    about = "Write a settings file with every key explained and commented out."
    init = actions.add_parser("init", help="write a commented settings file", description=about)
    init.add_argument("--preset", choices=PRESETS, help="begin with this preset")
    init.add_argument("--output", type=Path, metavar="FILE", help="write here instead of the user's settings file")
    init.add_argument("--stdout", action="store_true", help="print it instead of writing it")
    init.add_argument("--force", action="store_true", help="replace the file if it exists")


def run(
    args: argparse.Namespace,
    out: TextIO,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    config: Path | None = None,
) -> int:
    """Do what `reverie config ACTION` asks, and return the exit status.

    `flags` and `config` are what the program's global options gave, as for `config.settings.load`.
    Raises ConfigError where settings are wrong or the file cannot be written.
    """
    if args.action == "show":
        out.write(effective(load(environ=environ, flags=flags, config=config)))
    elif args.action == "path":
        files = [*config_files(environ), *([config] if config else [])]
        out.writelines(f"{path}{'' if path.exists() else '  (not there)'}\n" for path in files)
    else:
        text = sample({"preset": args.preset} if args.preset else {})
        if args.stdout:
            out.write(text)
        else:
            target = args.output or user_config(environ)
            write_new(target, text, replace=args.force)
            out.write(f"Wrote {target}\n")
    return 0


def write_new(target: Path, text: str, *, replace: bool) -> None:
    """Write a settings file, with its folder. Raises ConfigError if it exists and is not to be replaced."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if replace else os.O_EXCL)
        with os.fdopen(os.open(target, flags, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{target} is already there.", "Edit it, or replace it with --force.") from error
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}.", "Correct its permissions.") from error
