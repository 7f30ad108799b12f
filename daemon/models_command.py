"""`reverie models`: what is known and installed, fetching it, changing to it, and judging how it runs here.

The running service changes the library; with none running, this process does, as `reverie index` would.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

from config.errors import CatalogError, NoService
from config.settings import Settings, load
from daemon.models_render import render_cost, render_models, render_networks
from daemon.render import duration
from search.client import Client
from search.messages import ProgressMessage
from search.model_messages import CostMessage, ModelsMessage

if TYPE_CHECKING:
    from config.commands import SubParsers
    from search.catalog import Catalog

DONE, REFUSED, INTERRUPTED = 0, 1, 130

_T = TypeVar("_T")


def add_parsers(subparsers: SubParsers) -> None:
    """Add `models` and its actions."""
    about = (
        "Show which profiles and models are known, installed, in use and being built. A profile is a choice of "
        "models under one name; `builtin` needs no download."
    )
    parser = subparsers.add_parser("models", help="list, fetch, change and judge models", description=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")

    about = (
        "Fetch a profile's models, or one model, from the model hub. What was fetched is checked; run it again after "
        "an interruption and it goes on. For a machine without a network, copy the files from another one."
    )
    pull = actions.add_parser("pull", help="fetch a profile's models, or one model", description=about)
    pull.add_argument("name", help="a profile or a model")
    help_text = "take the files from this folder, or from a cache of the hub's own client"
    pull.add_argument("--from", dest="folder", type=Path, metavar="DIR", help=help_text)
    pull.add_argument("--yes", action="store_true", help="do not ask before more than 1 GB is fetched")

    about = (
        "Change to a profile. Its vectors are made beside the old ones, which go on answering until all is ready; then "
        "the old ones go. It may be interrupted and goes on later."
    )
    use = actions.add_parser("use", help="change to a profile while searches go on", description=about)
    use.add_argument("name", help="a profile")
    use.add_argument("--dry-run", action="store_true", help="say what it would take, and change nothing")

    about = "Stop a change of profile that is in progress. The profile in use goes on answering."
    actions.add_parser("cancel", help="stop a change in progress", description=about)

    about = (
        "Run each network of a profile (or of a model) on every runtime of this machine, over photos of the library, "
        "and compare with the reference. A runtime that is missing is named with the command that installs it."
    )
    verify = actions.add_parser("verify", help="judge every runtime against the reference", description=about)
    verify.add_argument("name", nargs="?", help="a profile or a model (default: the profile in use)")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object")


def run(
    args: argparse.Namespace,
    out: TextIO,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    config: Path | None = None,
) -> int:
    """Do what `reverie models` asks, and return the exit status. Raises ReverieError."""
    settings = load(environ=environ, flags=flags, config=config)
    match args.action:
        case "pull":
            return _pull(args, out, settings, environ)
        case "use" if args.dry_run:
            return _cost(args, out, settings)
        case "use":
            return _use(args, out, settings)
        case "cancel":
            return _cancel(args, out, settings)
        case "verify":
            return _verify(args, out, settings)
        case _:
            return _list(args, out, settings)


def _list(args: argparse.Namespace, out: TextIO, settings: Settings) -> int:
    def local() -> ModelsMessage:
        from daemon.model_report import known_models  # noqa: PLC0415 - only without a service, here and below

        paths = settings.paths
        if not paths.catalog.exists():
            return known_models(None, paths, None)
        from daemon.answers import change_of  # noqa: PLC0415

        return _with_catalog(settings, lambda catalog: known_models(catalog, paths, change_of(catalog)))

    message = _ask(settings, lambda client: cast(ModelsMessage, client.get("/v1/models")), local)
    if args.json:
        _print_json(out, message)
    else:
        render_models(out, message)
    return DONE


def _cost(args: argparse.Namespace, out: TextIO, settings: Settings) -> int:
    def local() -> CostMessage:
        from daemon.model_report import cost_of  # noqa: PLC0415

        return _with_catalog(settings, lambda catalog: cost_of(args.name, catalog, settings.paths))

    parameters = {"profile": args.name}
    message = _ask(settings, lambda client: cast(CostMessage, client.get("/v1/models/cost", parameters)), local)
    if args.json:
        _print_json(out, message)
    else:
        render_cost(out, message)
    return DONE


def _use(args: argparse.Namespace, out: TextIO, settings: Settings) -> int:
    client = Client(settings.paths.socket, timeout=settings.socket.timeout_seconds)
    messages = cast(Iterator[ProgressMessage], client.stream("/v1/models/use", {"profile": args.name}))
    began = time.monotonic()
    try:
        first = next(messages)
    except NoService:
        return _use_here(args, out, settings, began)
    from daemon.progress_bar import ProgressBar  # noqa: PLC0415

    try:
        with ProgressBar("Changing") as bar:
            bar.show(first)
            for message in messages:
                bar.show(message)
    except KeyboardInterrupt:
        sys.stderr.write("The service goes on with the change; `reverie models` shows how far it is.\n")
        return INTERRUPTED
    return _in_use(args, out, began, changed=first["state"] != "done")


def _use_here(args: argparse.Namespace, out: TextIO, settings: Settings, began: float) -> int:
    """Change in this process, as the only writer of the library."""
    from daemon.commands import interruptible  # noqa: PLC0415
    from daemon.indexing import Indexing  # noqa: PLC0415
    from daemon.lock import LibraryLock  # noqa: PLC0415
    from daemon.model_report import plan_of  # noqa: PLC0415
    from daemon.progress_bar import ProgressBar  # noqa: PLC0415

    plan_of(args.name, settings.paths)  # a wrong name makes no library
    with LibraryLock(settings.paths.lock):
        indexing = Indexing(settings)
        try:
            changed = indexing.profiles.begin(args.name)
            with interruptible() as interrupted, ProgressBar("Changing") as bar:
                indexing.run(lambda _: bar.show(indexing.change_report()), interrupted)
        finally:
            indexing.close()
    if interrupted():
        sys.stderr.write("Interrupted. What is done is kept; run the same command, or `reverie index`, to go on.\n")
        return INTERRUPTED
    return _in_use(args, out, began, changed=changed)


def _in_use(args: argparse.Namespace, out: TextIO, began: float, *, changed: bool) -> int:
    seconds = time.monotonic() - began
    if args.json:
        _print_json(out, {"profile": args.name, "changed": changed, "seconds": round(seconds, 2)})
    elif changed:
        out.write(f"Searches are answered by the profile {args.name} now ({duration(seconds)}).\n")
    else:
        out.write(f"The profile {args.name} is in use already.\n")
    return DONE


def _cancel(args: argparse.Namespace, out: TextIO, settings: Settings) -> int:
    def local() -> str | None:
        from daemon.lock import LibraryLock  # noqa: PLC0415

        def cancel(catalog: Catalog) -> str | None:
            building = catalog.plans().building
            if building is None:
                return None
            catalog.cancel()
            return building.plan.profile

        with LibraryLock(settings.paths.lock):
            return _with_catalog(settings, cancel)

    def remote(client: Client) -> str | None:
        return cast("str | None", client.post("/v1/models/cancel", {})["cancelled"])

    stopped = _ask(settings, remote, local)
    if args.json:
        _print_json(out, {"cancelled": stopped})
    elif stopped is None:
        out.write("No change is in progress.\n")
    else:
        out.write(f"The change to the profile {stopped} is stopped.\n")
    return DONE


def _pull(args: argparse.Namespace, out: TextIO, settings: Settings, environ: Mapping[str, str]) -> int:
    from daemon.pulling import ask, pull_all  # noqa: PLC0415

    confirm = (lambda _: True) if args.yes else ask
    outcome = pull_all(args.name, settings.paths, environ, folder=args.folder, confirm=confirm)
    if args.json:
        _print_json(out, outcome)
        return DONE
    for name in outcome["already"]:
        out.write(f"{name} is installed already.\n")
    for name in outcome["pulled"]:
        out.write(f"{name} is installed.\n")
    return DONE


def _verify(args: argparse.Namespace, out: TextIO, settings: Settings) -> int:
    from daemon.verify import judge  # noqa: PLC0415 - brings PyTorch into this process

    def active(catalog: Catalog) -> str:
        plan = catalog.plans().active
        return plan.profile if plan else "builtin"

    in_use = _with_catalog(settings, active) if settings.paths.catalog.exists() else "builtin"
    networks = judge(args.name or in_use, settings)
    if args.json:
        _print_json(out, {"name": args.name or in_use, "networks": networks})
    else:
        render_networks(out, networks)
    return DONE


def _ask(settings: Settings, remote: Callable[[Client], _T], local: Callable[[], _T]) -> _T:
    """Ask the service, or the library itself where no service runs."""
    try:
        return remote(Client(settings.paths.socket, timeout=settings.socket.timeout_seconds))
    except NoService:
        return local()


def _with_catalog(settings: Settings, question: Callable[[Catalog], _T]) -> _T:
    from search.catalog import Catalog  # noqa: PLC0415

    if not settings.paths.catalog.exists():
        raise CatalogError(
            f"There is no library at {settings.paths.library} yet.", "Index a folder: `reverie index ~/Pictures`."
        )
    catalog = Catalog(settings.paths.library)
    try:
        return question(catalog)
    finally:
        catalog.close()


def _print_json(out: TextIO, message: object) -> None:
    out.write(json.dumps(message, ensure_ascii=True, indent=2) + "\n")
