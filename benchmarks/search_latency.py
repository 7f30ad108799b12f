"""How long an answer takes over a large library: through the socket, and for the whole `reverie search` process.

    python -m benchmarks.search_latency [--media 100000] [--library FOLDER] [--quick]

The library is filled with plausible photos (benchmarks/libraries.py); the service is the real one, a process of its
own, warm: it has answered some other questions. Then 300 different questions are asked one after the other, each once
and each over a connection of its own as the command line does, so that nothing can be answered from a cache of answers:
plain words, words with colours, words with filters, filters alone, and "like this photo". `socket` is what the client
sees, `engine` what the service says it took. The goal for all questions together: p50 under 30 ms, p99 under 80 ms.

`process` is the wall time of `reverie search`, from its start to its end, the interpreter's own start included (given
beside it). The goal: a median under 0.3 s.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.libraries import CAMERAS, PLACES, fill, imaginary_files
from config.settings import load
from indexer.models.classes import PARENTS, tag_names
from indexer.vocabulary import COLOURS
from search.catalog import Catalog
from search.client import Client
from tests.e2e.driver import Reverie

QUESTIONS = 300
WARM_UP = 30
TEMPLATES = {
    "words": ("a photo of a {name}", "{name}", "{name} and {other}", "two {name}s near a {other}", "my old {name}"),
    "colours": ("{colour} {name}", "a {colour} {name} at night", "something {colour}", "{colour} and {colour2} {name}"),
    "filters": (
        "{name} after:{year}",
        "{name} before:{year}-07 camera:{camera}",
        "{parent} -tag:{name}",
        "{name} path:*{place}*",
        "{parent} after:{year} before:{year}-09 -tag:{other}",
        "{name} rating:>=3",
    ),
    "listing": (
        "tag:{name}",
        "after:{year}-03 before:{year}-05",
        "camera:{camera} sort:oldest",
        "tag:{parent} OR tag:dog",
    ),
}


def questions(count: int, seed: int) -> list[tuple[str, str]]:
    """Different questions, as (kind, text)."""
    choose = random.Random(seed)
    names, found = tag_names(), dict[str, str]()
    kinds = [*TEMPLATES, "words"]  # most people just type words
    while len(found) < count:
        kind = kinds[len(found) % len(kinds)]
        words = {
            "name": choose.choice(names), "other": choose.choice(names), "parent": choose.choice(list(PARENTS)),
            "colour": choose.choice(COLOURS), "colour2": choose.choice(COLOURS), "year": choose.randint(2009, 2023),
            "camera": choose.choice(CAMERAS).split()[0].lower(), "place": choose.choice(PLACES).split()[0],
        }  # fmt: skip
        template = choose.choice(TEMPLATES[kind])
        quoted = {key: f'"{value}"' if key in ("name", "other", "parent") and " " in str(value) and
                  f":{{{key}}}" in template else value for key, value in words.items()}  # fmt: skip
        found.setdefault(template.format(**quoted), kind)
    return [(kind, text) for text, kind in found.items()]


def measure(library: Path, media: int, asked: int, processes: int, cache: Path) -> dict[str, Any]:
    """Fill the library if it is not, start the service, ask."""
    settings = load(environ={**os.environ, "XDG_CACHE_HOME": str(cache)}, files=[], flags={"library": str(library)})
    if not settings.paths.catalog.exists():
        fill(library, *imaginary_files(media), settings.paths.model_cache)
    catalog = Catalog(library)
    vectors, paths = dict(catalog.counts().vectors), [row.paths[0] for row in catalog.photos(range(1, media, 997))]
    catalog.close()
    program = Reverie(library, cache)
    program.program = (str(Path(sys.executable).with_name("reverie")),)
    client = Client(settings.paths.socket)
    began = time.perf_counter()
    program.start()
    started = time.perf_counter() - began
    try:
        for _, text in questions(WARM_UP, seed=1):
            client.get("/v1/search", {"q": text})
        socket: dict[str, list[float]] = {}
        engine: list[float] = []
        confident = 0
        for kind, text in questions(asked, seed=2):
            began = time.perf_counter()
            answer = client.get("/v1/search", {"q": text})
            socket.setdefault(kind, []).append(1000 * (time.perf_counter() - began))
            engine.append(1000 * answer["seconds"])
            confident += answer["confident"]
        for path in paths[: max(1, asked // 6)]:
            socket.setdefault("similar", []).append(_milliseconds(client.get, "/v1/similar", {"path": path}))
        whole = [_milliseconds(program.run, "search", text) for _, text in questions(processes, seed=3)]
        interpreter = [_milliseconds(subprocess.run, [sys.executable, "-c", "pass"]) for _ in range(5)]
    finally:
        program.stop()
    everything = report.summary([value for kind in socket.values() for value in kind])
    process = report.summary(whole)
    return {
        "media": media,
        "vectors": vectors,
        "service_start_seconds": round(started, 2),
        "confident_answers": round(confident / asked, 2),
        "socket_ms": everything | {"by_kind": {kind: report.summary(values) for kind, values in socket.items()}},
        "engine_ms": report.summary(engine),
        "process_ms": process,
        "interpreter_ms": report.summary(interpreter),
        "goals": [
            report.goal("search through the socket, p50", everything["median"], unit="ms", at_most=30),
            report.goal("search through the socket, p99", everything["p99"], unit="ms", at_most=80),
            report.goal("a whole process of the command `search`, median", process["median"], unit="ms", at_most=300),
        ],
    }


def _milliseconds(action: Callable[..., object], *arguments: object) -> float:
    return report.milliseconds(functools.partial(action, *arguments))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=100_000)
    parser.add_argument("--library", type=Path, help="keep the filled library here, and use it again")
    parser.add_argument("--quick", action="store_true", help="a small library, nothing kept: does it run?")
    args = parser.parse_args(arguments)
    media, asked, processes = (500, 20, 2) if args.quick else (args.media, QUESTIONS, 21)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with tempfile.TemporaryDirectory() as scratch:
        figures = measure(args.library or Path(scratch, "library"), media, asked, processes, cache)
    report.write("search_latency", figures, ["numpy", "faiss-cpu", "onnxruntime", "uvicorn"], keep=not args.quick)


if __name__ == "__main__":
    main()
