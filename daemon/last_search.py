"""What the last search of this user answered with, so that `reverie play 2` knows what is meant."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError, ReverieError
from config.paths import user_state
from search.messages import SearchMessage

FILE_NAME = "last-search.json"
REMEDY = "Search first, for example `reverie search 'type:video'`; or name the file."


class NoResult(ReverieError):
    """The last search had no such result."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class LastResult:
    """One result."""

    path: str
    start: float | None
    """Seconds from the beginning, of the moment that answered; None: the whole file did."""


def remember(message: SearchMessage, library: Path, environ: Mapping[str, str]) -> None:
    """Keep the results of a search of a library, for this user's eyes only. Where that cannot be, it is not."""
    results = [
        {"path": result["path"], "start": result["moments"][0]["start"] if result["moments"] else None}
        for result in message["results"]
    ]
    data = json.dumps({"library": str(library), "results": results}).encode("ascii")
    with contextlib.suppress(OSError, ConfigError):
        path = user_state(environ) / FILE_NAME
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of mode 0600, as a whole or not at all, and nothing is left of it where the disk is full.
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            whole = Path(folder, FILE_NAME)
            whole.touch(mode=0o600)
            whole.write_bytes(data)
            whole.replace(path)


def recall(number: int, library: Path, environ: Mapping[str, str]) -> LastResult:
    """The result with a number, from 1 on, of the last search in this library. Raises NoResult."""
    try:
        kept = json.loads((user_state(environ) / FILE_NAME).read_bytes())
        results = [LastResult(one["path"], one["start"]) for one in kept["results"]]
        known = kept["library"] == str(library)
    except (OSError, ValueError, LookupError, TypeError):
        results, known = [], False
    if not known:
        raise NoResult("There is no last search in this library.", REMEDY)
    if not 1 <= number <= len(results):
        many = "no results" if not results else f"{len(results)} result{'s' * (len(results) > 1)}"
        raise NoResult(f"There is no result {number}: the last search had {many}.", REMEDY)
    return results[number - 1]
