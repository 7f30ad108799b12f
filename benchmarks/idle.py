"""What the service costs while nothing happens: processes, memory, processor.

    python -m benchmarks.idle [--media 10000] [--seconds 30] [--quick]

A library of 10,000 photos on a real, watched folder (small files, filled as in benchmarks/libraries.py). The service is
made to do all it does: a new photo arrives and is analysed by a worker process, questions are asked. Then it is left
alone for its own `processing.idle_seconds`, until the worker has ended, and watched for 30 seconds more: `resident` is
the kernel's VmRSS (of which `shared` are files such as libraries, which other processes may share), the processor time
is that of the service and its children. The goals: no worker process, under 200 MB, under 1 % of one core.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.libraries import small_photos
from benchmarks.search_latency import questions
from benchmarks.unchanged import make_library
from config.settings import load
from search.client import Client
from tests.e2e.driver import Reverie

TICKS = os.sysconf("SC_CLK_TCK")


def measure(folder: Path, media: int, seconds: float, asked: int, settings: dict[str, str]) -> dict[str, Any]:
    """Make the library, keep the service busy, leave it alone, look at it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    photos, library = folder / "photos", folder / "library"
    make_library(photos, library, media, cache / "reverie" / "models")
    program = Reverie(library, cache, **settings)
    client = Client(load(environ=program.environment, files=[]).paths.socket)

    def worker() -> int | None:
        pid: int | None = client.get("/v1/status")["service"]["worker_pid"]
        return pid

    program.start(photos)
    try:
        program.eventually(program.idle, within=60)
        list(small_photos(photos / "new", 3, seed=3))
        program.eventually(lambda: worker() is not None, within=60)
        for _, text in questions(asked, seed=1):
            client.get("/v1/search", {"q": text})
        busy = _memory(_pid(program))
        program.eventually(lambda: worker() is None and program.idle(), within=180)
        pid = _pid(program)
        time.sleep(min(seconds, 5))  # the last question was just asked by us
        before, began = _processor_seconds(pid), time.monotonic()
        time.sleep(seconds)
        share = 100 * (_processor_seconds(pid) - before) / (time.monotonic() - began)
        memory, children = _memory(pid), _children(pid)
        indexed = client.get("/v1/status")["counts"]["media"]
    finally:
        program.stop()
    if indexed != media + 3:
        raise SystemExit(f"{indexed} media instead of {media + 3}")
    return {
        "media": indexed,
        "questions": asked,
        "seconds": seconds,
        "while_busy_mb": busy,
        "idle_mb": memory,
        "child_processes": len(children),
        "processor_percent_of_a_core": round(share, 3),
        "goals": [
            report.goal("idle service, worker processes", len(children), at_most=0),
            report.goal("idle service, resident memory", memory["resident"], unit="MB", at_most=200),
            report.goal("idle service, of one core", share, unit="%", at_most=1),
        ],
    }


def _pid(program: Reverie) -> int:
    if program.service is None:
        raise SystemExit("the service has ended")
    return program.service.pid


def _memory(pid: int) -> dict[str, float]:
    """Megabytes of the service alone, as the kernel counts them."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    named = {"resident": "VmRSS", "shared": "RssFile", "peak": "VmHWM"}
    return {name: round(int(fields[field].split()[0]) * 1024 / 1e6, 1) for name, field in named.items()}


def _children(pid: int) -> list[str]:
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def _processor_seconds(pid: int) -> float:
    """User and system time of a process and of the children it has waited for (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--quick", action="store_true", help="a small library, nothing kept: does it run?")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        if args.quick:
            figures = measure(Path(scratch), 50, 1, 3, {"REVERIE_PROCESSING__IDLE_SECONDS": "1"})
        else:
            figures = measure(Path(scratch), args.media, args.seconds, 50, {})
    report.write("idle", figures, ["numpy", "faiss-cpu", "onnxruntime", "uvicorn"], keep=not args.quick)


if __name__ == "__main__":
    main()
