"""`reverie forget`: ask first, then drop what is known of paths."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from config.errors import NoService
from config.settings import Settings
from daemon.ask import print_json
from daemon.confirming import agreed
from search.client import Client
from search.messages import ForgottenMessage

if TYPE_CHECKING:
    from config.commands import SubParsers

FEW = 10
"""Forgetting more files than this asks first."""

DONE, NOTHING = 0, 1


def add_parser(subparsers: SubParsers) -> None:
    """Add `forget`."""
    about = (
        "Drop what is known of files, or of folders with all below them; they need not exist any more. The files "
        "themselves are left alone, and so are the tags and captions that you gave them. What is still there in a "
        "watched folder will be indexed again."
    )
    forget = subparsers.add_parser("forget", help="drop what is known of files and folders", description=about)
    forget.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")
    forget.add_argument("--yes", action="store_true", help=f"ask nothing, however many files (more than {FEW}) it is")
    forget.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Forget, and return the exit status. Raises ReverieError."""
    paths = list(dict.fromkeys(os.path.abspath(os.path.expanduser(path)) for path in args.paths))
    if not args.yes and sys.stdin.isatty():
        files = _forget(settings, paths, dry_run=True)["files"]
        if files > FEW and not agreed(f"Forget what is known of {files:,} files?"):
            sys.stderr.write("Nothing was forgotten.\n")
            return NOTHING
    message = _forget(settings, paths, dry_run=False)
    if args.json:
        print_json(out, message)
    else:
        out.writelines(f"{sentence}\n" for sentence in _sentences(message))
    return DONE


def _forget(settings: Settings, paths: Sequence[str], *, dry_run: bool) -> ForgottenMessage:
    try:
        client = Client(settings.paths.socket, timeout=settings.socket.timeout_seconds)
        return cast(ForgottenMessage, client.post("/v1/forget", {"paths": paths, "dry_run": dry_run}))
    except NoService:
        return _forget_here(settings, paths, dry_run=dry_run)


def _forget_here(settings: Settings, paths: Sequence[str], *, dry_run: bool) -> ForgottenMessage:
    """As the only writer of the library."""
    from daemon.forgetting import forget, remove_pictures  # noqa: PLC0415 - numpy and the catalog: without a service
    from daemon.lock import LibraryLock  # noqa: PLC0415
    from indexer.pictures import Pictures  # noqa: PLC0415
    from search.authored import Authored  # noqa: PLC0415
    from search.catalog import Catalog  # noqa: PLC0415

    where = settings.paths
    with LibraryLock(where.lock):
        catalog = Catalog(where.library)
        try:
            watched = [str(folder) for folder in settings.folders]
            message = forget(catalog, Authored(where.library), paths, watched=watched, dry_run=dry_run)
            if not dry_run:
                remove_pictures(catalog, Pictures(where.thumbnails), where.notes, in_hand=())
        finally:
            catalog.close()
    return message


def _sentences(message: ForgottenMessage) -> list[str]:
    """What was done, and what was not."""
    alone = message["files"] == 1
    said = ["1 file forgotten." if alone else f"{message['files']:,} files forgotten."]
    if message["shared"]:
        content = "its content" if alone else f"the content of {message['shared']:,} of them"
        said.append(f"Another path holds {content}, which stays known.")
    if message["authored"]:
        theirs = "it" if alone else f"{message['authored']:,} of them"
        said.append(f"The tags and captions that you gave {theirs} are kept.")
    for path in message["again"]:
        said.append(f"{path} is still there, in a watched folder: it will be indexed again.")
    if message["again"]:
        said.append("To keep it out, put a file named .reverieignore into its folder, or name it in `watch.ignore`.")
    return said
