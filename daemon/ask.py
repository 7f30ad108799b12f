"""The commands that ask: search, similar, show, status, tag, save; what other commands ask with.

They talk to the running service; with none running they open the library themselves. Only then is anything heavy
imported: asking a service costs little more than starting Python.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

from config.errors import CatalogError, NoService
from config.paths import Paths
from config.settings import Settings, load
from daemon import last_search
from daemon.render import render_photo, render_results, render_status
from search.client import Client
from search.messages import MAX_RESULTS, PhotoMessage, SearchMessage, StatusMessage

if TYPE_CHECKING:
    from config.commands import SubParsers
    from daemon.answers import Answers

FOUND, NO_CONFIDENT_MATCH = 0, 1

_T = TypeVar("_T")


def add_parsers(subparsers: SubParsers) -> None:
    """Add the commands that ask."""
    about = (
        "Find photos, moments of videos, and sounds. The query is plain words with optional filters, for example "
        "'boat after:2019 camera:canon -tag:dog sort:date'; docs/query-language.md has them all. "
        "Exit status 0: found; 1: no confident match."
    )
    search = subparsers.add_parser("search", help="find photos and moments by words and filters", description=about)
    search.add_argument("query", nargs="+", help="words and filters; several arguments are joined by spaces")
    _add_result_options(search)

    about = "Find the photos and videos that look most like one that is indexed; of a video any moment may."
    similar = subparsers.add_parser("similar", help="find photos and videos like a given one", description=about)
    similar.add_argument("path", type=Path, help="an indexed photo or video")
    _add_result_options(similar)

    about = "Show everything known about one file: where it is, what it says about itself, its tags and its stages."
    show = subparsers.add_parser("show", help="everything known about one file", description=about)
    show.add_argument("path", type=Path, help="an indexed file")
    show.add_argument("--json", action="store_true", help="print one JSON object")

    about = "Show what the service is doing, how fast, what holds it back, which models run where, and every problem."
    status = subparsers.add_parser("status", help="what is going on, and every problem", description=about)
    status.add_argument("--json", action="store_true", help="print one JSON object")

    about = "Add or remove tags of your own. They are kept apart from what machines find, and no rebuild touches them."
    tag = subparsers.add_parser("tag", help="add or remove tags of your own", description=about)
    tag.add_argument("path", type=Path, help="an indexed file")
    tag.add_argument("--add", action="append", default=[], metavar="TAG", help="add this tag (may be repeated)")
    tag.add_argument("--remove", action="append", default=[], metavar="TAG", help="remove this tag (may be repeated)")
    tag.add_argument("--json", action="store_true", help="print one JSON object")

    about = "Keep a query under a name; `reverie search @NAME` runs it. Without a query, forget the name; without a "
    about += "name, list what is saved."
    save = subparsers.add_parser("save", help="save, forget or list searches", description=about)
    save.add_argument("name", nargs="?", help="the name, without @")
    save.add_argument("query", nargs="*", help="the query; none forgets the name")
    save.add_argument("--json", action="store_true", help="print one JSON object")


def run(
    args: argparse.Namespace,
    out: TextIO,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    config: Path | None = None,
) -> int:
    """Do what an asking command asks, and return the exit status. Raises ReverieError."""
    settings = load(environ=environ, flags=flags, config=config)
    return _COMMANDS[args.command](args, out, settings, environ)


def _search(args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str]) -> int:
    query = " ".join(args.query)
    limit = args.limit or settings.search.limit

    def remote(client: Client) -> SearchMessage:
        parameters = {"q": query, "limit": limit, "all": int(args.all)}
        return cast(SearchMessage, client.get("/v1/search", parameters))

    message = ask(settings, remote, lambda answers: answers.search(query, limit=limit, everything=args.all))
    return _print_results(args, out, message, settings, environ)


def _similar(args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str]) -> int:
    path = os.path.abspath(args.path)
    limit = args.limit or settings.search.limit

    def remote(client: Client) -> SearchMessage:
        parameters = {"path": path, "limit": limit, "all": int(args.all)}
        return cast(SearchMessage, client.get("/v1/similar", parameters))

    message = ask(settings, remote, lambda answers: answers.similar(path, limit=limit, everything=args.all))
    return _print_results(args, out, message, settings, environ)


def _show(args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str]) -> int:
    path = os.path.abspath(args.path)
    message = ask(
        settings,
        lambda client: cast(PhotoMessage, client.get("/v1/show", {"path": path})),
        lambda answers: answers.show(path),
    )
    if args.json:
        print_json(out, message)
    else:
        render_photo(out, message, thumbnails=_shows_pictures(out), environ=environ)
    return FOUND


def _status(args: argparse.Namespace, out: TextIO, settings: Settings, _: Mapping[str, str]) -> int:
    message = ask(
        settings, lambda client: cast(StatusMessage, client.get("/v1/status")), lambda answers: answers.status()
    )
    if args.json:
        print_json(out, message)
    else:
        render_status(out, message)
    return FOUND


def _tag(args: argparse.Namespace, out: TextIO, settings: Settings, _: Mapping[str, str]) -> int:
    path = os.path.abspath(args.path)
    body = {"path": path, "add": args.add, "remove": args.remove}
    message = ask(
        settings,
        lambda client: cast(PhotoMessage, client.post("/v1/tags", body)),
        lambda answers: answers.tag(path, add=args.add, remove=args.remove),
    )
    if args.json:
        print_json(out, message)
    else:
        own = [tag["name"] for tag in message["tags"] if tag["source"] == "authored"]
        out.write(f"Your tags: {', '.join(own) or 'none'}\n")
    return FOUND


def _save(args: argparse.Namespace, out: TextIO, settings: Settings, _: Mapping[str, str]) -> int:
    query = " ".join(args.query)

    def remote(client: Client) -> dict[str, str]:
        if args.name is None:
            saved = client.get("/v1/saved")
        else:
            saved = client.post("/v1/saved", {"name": args.name, "query": query})
        return cast(dict[str, str], saved["saved"])

    def local(answers: Answers) -> dict[str, str]:
        if args.name is not None:
            answers.save(args.name, query)
        return answers.saved()

    saved = ask(settings, remote, local)
    if args.json:
        print_json(out, {"saved": saved})
    else:
        out.writelines(f"@{name}  {text}\n" for name, text in sorted(saved.items()))
    return FOUND


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, TextIO, Settings, Mapping[str, str]], int]] = {
    "search": _search,
    "similar": _similar,
    "show": _show,
    "status": _status,
    "tag": _tag,
    "save": _save,
}


def _add_result_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--limit", type=_positive, metavar="N", help="results at most (default: the setting)")
    parser.add_argument("--all", action="store_true", help="no relevance cut-off, and near-identical photos one by one")
    parser.add_argument("--no-thumbnails", action="store_true", help="text only, also where pictures could be shown")


def _positive(text: str) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if not 1 <= number <= MAX_RESULTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_RESULTS}")
    return number


def ask(settings: Settings, remote: Callable[[Client], _T], local: Callable[[Answers], _T]) -> _T:
    """Ask the service, or the library itself where no service runs."""
    paths = settings.paths
    try:
        return remote(Client(paths.socket, timeout=settings.socket.timeout_seconds))
    except NoService:
        pass
    while True:
        answers = _open(paths)
        try:
            found = local(answers)
            if not answers.outdated:  # a change of profile that ended meanwhile may have taken the vectors away
                return found
        finally:
            answers.catalog.close()


def _open(paths: Paths) -> Answers:
    if not paths.catalog.exists():
        raise CatalogError(
            f"There is no library at {paths.library} yet.", "Index a folder: `reverie index ~/Pictures`."
        )
    from daemon.answers import Answers  # noqa: PLC0415 - numpy, FAISS and the models: only without a service
    from search.catalog import Catalog  # noqa: PLC0415

    return Answers(paths, Catalog(paths.library))


def _print_results(
    args: argparse.Namespace, out: TextIO, message: SearchMessage, settings: Settings, environ: Mapping[str, str]
) -> int:
    last_search.remember(message, settings.paths.library, environ)
    if args.json:
        print_json(out, message)
    else:
        pictures = not args.no_thumbnails and _shows_pictures(out)
        render_results(out, message, thumbnails=pictures, environ=environ)
    return FOUND if message["confident"] and message["results"] else NO_CONFIDENT_MATCH


def print_json(out: TextIO, message: object) -> None:
    """ASCII, so that a path's odd bytes survive as escapes."""
    out.write(json.dumps(message, ensure_ascii=True, indent=2) + "\n")


def _shows_pictures(out: TextIO) -> bool:
    return out is sys.stdout and out.isatty()
