"""The commands that work: index, run, retry, forget, doctor, service."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from config.errors import NoService
from config.settings import Settings, load
from daemon import doctor, forget_command, installer
from daemon.journal import journal_handler
from daemon.render import duration
from search.client import Client
from search.messages import ProgressMessage
from search.model_messages import ModelsMessage

if TYPE_CHECKING:
    from config.commands import SubParsers

logger = logging.getLogger(__name__)

DONE, INTERRUPTED = 0, 130

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_parsers(subparsers: SubParsers) -> None:
    """Add the commands that work."""
    about = (
        "Index photos, videos and sounds, or folders of them. Run it again at any time: what is known and unchanged "
        "is skipped, and what was interrupted goes on. With a service running, the service does the work and this "
        "shows its progress."
    )
    index = subparsers.add_parser("index", help="index files and folders now", description=about)
    index.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="folders or files (default: the folders of the settings)"
    )
    index.add_argument("--json", action="store_true", help="print one JSON object at the end")
    index.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="let a Ray cluster do the work (HOST:PORT, or auto); the files must have the same paths on its machines",
    )

    about = (
        "Run the service in the foreground: watch these folders and those of the settings, index what appears, "
        "answer on the socket. SIGTERM or Ctrl-C ends it in order."
    )
    service = subparsers.add_parser("run", help="the service, in the foreground", description=about)
    service.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="folders to watch besides the settings'")

    about = "Try files again that were given up on (`reverie status` lists them)."
    retry = subparsers.add_parser("retry", help="try problem files again", description=about)
    retry.add_argument("--json", action="store_true", help="print one JSON object")

    forget_command.add_parser(subparsers)
    doctor.add_parser(subparsers)
    installer.add_parser(subparsers)


def run(
    args: argparse.Namespace,
    out: TextIO,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    config: Path | None = None,
) -> int:
    """Do what a working command asks, and return the exit status. Raises ReverieError."""
    settings = load(environ=environ, flags=flags, config=config)
    match args.command:
        case "index":
            return _index(args, out, settings, environ)
        case "run":
            return _run(args, settings, environ, lambda: load(environ=environ, flags=flags, config=config))
        case "retry":
            return _retry(args, out, settings)
        case "forget":
            return forget_command.run(args, settings, out)
        case "doctor":
            return doctor.run(args, settings, out)
        case _:
            return installer.run(args, settings, out)


def _index(args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str]) -> int:
    from daemon.intake import NoSuchPath, absolute  # noqa: PLC0415 - these commands alone need the indexing half

    # The process that indexes knows the library: it refuses what is neither there nor known.
    paths = absolute(args.paths or settings.folders, known=lambda _: 1)
    if not paths:
        raise NoSuchPath("There is nothing to index.", "Name folders: `reverie index ~/Pictures`.")
    began = time.monotonic()
    if args.ray is not None:
        return _index_here(args, out, settings, environ, paths)  # a service that runs holds the library, and is named
    client = Client(settings.paths.socket, timeout=settings.socket.timeout_seconds)
    messages = cast(Iterator[ProgressMessage], client.stream("/v1/index", {"paths": paths}))
    try:
        first = next(messages)
    except NoService:
        return _index_here(args, out, settings, environ, paths)
    from daemon.first_use import offer_once  # noqa: PLC0415
    from daemon.progress_bar import ProgressBar  # noqa: PLC0415

    with ProgressBar() as bar:
        last = first
        bar.show(first)
        for last in messages:
            bar.show(last)
    offer = None if args.json else offer_once(lambda: cast(ModelsMessage, client.get("/v1/models")), environ)
    return _conclude(args, out, last, began, offer)


def _index_here(
    args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str], paths: Sequence[str]
) -> int:
    """Index in this process, as the only writer of the library."""
    from daemon.first_use import offer_once  # noqa: PLC0415
    from daemon.indexing import Indexing  # noqa: PLC0415
    from daemon.intake import absolute  # noqa: PLC0415
    from daemon.lock import LibraryLock  # noqa: PLC0415
    from daemon.model_report import known_models  # noqa: PLC0415
    from daemon.progress_bar import ProgressBar  # noqa: PLC0415
    from daemon.setup import employ_cluster  # noqa: PLC0415

    began = time.monotonic()
    offer: str | None = None
    _log_to_stderr(logging.WARNING, {})
    if not settings.paths.catalog.exists():
        absolute(paths)  # before a library is made for nothing
    with LibraryLock(settings.paths.lock):
        indexing = Indexing(settings, workforce=None if args.ray is None else employ_cluster(settings, args.ray))
        try:
            absolute(paths, indexing.catalog.known_in)
            told = [] if args.paths else indexing.configure(paths)
            with interruptible() as interrupted, ProgressBar() as bar:
                for path in paths:
                    bar.show({**indexing.report("scanning"), "folder": path})
                    if os.path.isdir(path):
                        indexing.catalog.ask_root(path)
                    if os.path.lexists(path):
                        indexing.intake.scan(path)
                    else:
                        told.append(indexing.intake.seek(path))
                indexing.prepare()
                for note in indexing.rereading():
                    sys.stderr.write(f"{note['title']}\n")
                indexing.run(bar.show, interrupted)
                indexing.intake.look_elsewhere(paths)
            last: ProgressMessage = {**indexing.report("done"), "notes": told}
            if not args.json and not interrupted():
                offer = offer_once(lambda: known_models(indexing.catalog, settings.paths, None), environ)
        finally:
            indexing.close()
    if interrupted():
        sys.stderr.write("Interrupted. What is done is kept; run the same command to go on.\n")
        return INTERRUPTED
    return _conclude(args, out, last, began, offer)


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Within, Ctrl-C, SIGTERM and the end of the terminal end nothing by themselves: the function that is given says
    whether one of them came. What is ignored, as nohup(1) has SIGHUP ignored, stays so."""
    came: list[int] = []
    heeded = [number for number in _INTERRUPTS if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, lambda number, _: came.append(number)) for number in heeded}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _conclude(
    args: argparse.Namespace, out: TextIO, last: ProgressMessage, began: float, offer: str | None = None
) -> int:
    done, seconds = last["done"] - last["failed"], time.monotonic() - began
    if args.json:
        out.write(json.dumps({**last, "seconds": round(seconds, 2)}) + "\n")
        return DONE
    out.writelines(f"{note}\n" for note in last.get("notes", ()))
    if done:
        files = f"{done:,} file{'s' * (done != 1)}"
        out.write(f"{files} indexed in {duration(seconds)} ({done / seconds:.1f} files/s).")
    else:
        out.write("Everything is up to date.")
    failed = f" {last['failed']:,} could not be indexed: `reverie status` says why." if last["failed"] else ""
    out.write(f"{failed}\n")
    if offer is not None:
        out.write(f"{offer}\n")
    return DONE


def _run(
    args: argparse.Namespace, settings: Settings, environ: Mapping[str, str], load_again: Callable[[], Settings]
) -> int:
    from daemon.intake import absolute  # noqa: PLC0415
    from daemon.reload import Reloader  # noqa: PLC0415
    from daemon.service import Service  # noqa: PLC0415

    _log_to_stderr(logging.getLevelNamesMapping()[settings.logging.level.upper()], environ)
    # A configured folder may be an unmounted disk, which the watcher reports; one named here is a typing error.
    named = absolute(args.paths)
    if not (named or settings.folders):
        logger.warning("no folders to watch: name some, or set `folders` in the settings (`reverie config init`)")
    Service(Reloader(settings, load_again), named, environ).run()
    return DONE


def _retry(args: argparse.Namespace, out: TextIO, settings: Settings) -> int:
    try:
        retried = int(Client(settings.paths.socket).post("/v1/retry", {})["retried"])
        following = "The service tries them now."
    except NoService:
        from daemon.lock import LibraryLock  # noqa: PLC0415
        from search.catalog import Catalog  # noqa: PLC0415

        with LibraryLock(settings.paths.lock):
            catalog = Catalog(settings.paths.library)
            retried = catalog.retry_problems()
            catalog.close()
        following = "`reverie index` tries them now."
    out.write(json.dumps({"retried": retried}) + "\n" if args.json else f"{retried:,} files. {following}\n")
    return DONE


def _log_to_stderr(level: int, environ: Mapping[str, str]) -> None:
    """To the journal under systemd, with its priorities; else plainly to standard error."""
    handler = journal_handler(environ)
    if handler is None:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
