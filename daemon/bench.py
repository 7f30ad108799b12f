"""`reverie bench`: how fast this machine is at each step, what holds it back, and what would change that.

Photos of the library (or of a folder) go through a real worker, with all the stages of the profile in use; what is
found is thrown away. Then every runtime of this machine runs the profile's networks alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypedDict

from config.errors import ModelError, ReverieError
from config.schema import Watch
from config.settings import Settings, load
from daemon.ignore import IgnoreRules
from daemon.protocol import Assignment, Done, Refused
from daemon.tree import walk

if TYPE_CHECKING:
    from config.commands import SubParsers
    from daemon.verify import NetworkJudgement
    from indexer.records import Plan, RuntimeReport
    from search.model_messages import StageMessage

PHOTOS = 64
"""Enough for several batches and a steady rate; seconds on any machine."""

WARM_UP = 4
"""Photos that go first, so that loading the networks is not counted."""

WAIT_SECONDS = 1.0

IN_THREADS = ("read", "decode", "describe", "pixels", "resize")
"""The steps that the decode threads share; every other step is a network's."""

LIMITS: Mapping[str, tuple[str, str]] = {
    "read": (
        "reading files",
        "The disk or the network share sets the pace. More `processing.max_workers` hide the time it takes to answer.",
    ),
    "decode": ("decoding photos", "More processor cores, if `processing.max_workers` lets them be used."),
    "describe": ("reading captions and making thumbnails", "More processor cores."),
    "pixels": ("measuring colours and quality", "More processor cores."),
    "resize": ("preparing the networks' input", "More processor cores."),
}
NETWORK_ADVICE = "A GPU, a faster runtime of those below, or a profile with a smaller model (`reverie models`)."


class NoPhotos(ReverieError):
    """There is nothing to measure with."""

    exit_status = 2


class StepMessage(TypedDict):
    """One step of the way."""

    name: str
    milliseconds: float
    """Of one thread, for one photo, while the others work too."""
    share: float
    """Of all the time the machine spends."""


class BenchMessage(TypedDict):
    """What was measured."""

    profile: str
    photos: int
    megabytes_per_photo: float
    threads: int
    photos_per_second: float
    failed: int
    steps: list[StepMessage]
    bottleneck: str
    advice: str
    stages: list[StageMessage]
    """What each stage's network runs on."""
    networks: list[NetworkJudgement]


def add_parsers(subparsers: SubParsers) -> None:
    """Add `bench`."""
    about = (
        "Measure how fast this machine analyses photos, step by step and runtime by runtime, and say what holds it "
        "back. Photos of the library are used, or those of the folder named. Nothing is stored but the rate, from "
        "which `reverie models use --dry-run` estimates. Engines that were never built are built now, which may take "
        "minutes."
    )
    bench = subparsers.add_parser("bench", help="how fast this machine is, and why not faster", description=about)
    bench.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="photos to use instead of the library's")
    bench.add_argument("--photos", type=int, default=PHOTOS, metavar="N", help=f"how many (default {PHOTOS})")
    bench.add_argument("--json", action="store_true", help="print one JSON object")


def run(
    args: argparse.Namespace,
    out: TextIO,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    config: Path | None = None,
) -> int:
    """Measure and report. Raises NoPhotos, ModelError."""
    settings = load(environ=environ, flags=flags, config=config)
    if args.photos < 1:
        raise NoPhotos(f"{args.photos} photos cannot be measured.", "Give --photos a number of 1 or more.")
    plan, known = _library(settings, args.photos)
    paths = _photos_in(args.folder, args.photos, settings.watch) if args.folder else known
    if not paths:
        raise NoPhotos(
            f"There are no photos in {args.folder}." if args.folder else "The library has no photos yet.",
            "Name a folder of photos: `reverie bench ~/Pictures`.",
        )
    message = measure(plan, paths, settings)
    if args.json:
        out.write(json.dumps(message, indent=2) + "\n")
    else:
        render(out, message)
    return 0


def measure(plan: Plan, paths: Sequence[Path], settings: Settings) -> BenchMessage:
    """Run everything. Raises ModelError if the worker cannot work."""
    from daemon.rates import Rates  # noqa: PLC0415 - after the arguments were found right
    from daemon.stage_report import stage_messages  # noqa: PLC0415
    from daemon.verify import judge  # noqa: PLC0415

    line = _Line(plan, settings)
    try:
        line.analyse(paths[:WARM_UP])
        rate, seconds, failed = line.analyse(paths)
    finally:
        line.close()
    if not seconds:
        raise ModelError("None of the photos could be analysed.", "`reverie doctor` looks for the reason.")
    threads = settings.processing.workers
    # Decode threads work side by side, a network has the machine's attention for itself.
    weight = {step: spent / threads if step in IN_THREADS else spent for step, spent in seconds.items()}
    slowest = max(weight, key=lambda step: weight[step])
    what, advice = LIMITS.get(slowest, (f"the network of {slowest}", NETWORK_ADVICE))
    if not failed:
        Rates(settings.paths.library).remember(plan, rate)
    return {
        "profile": plan.profile,
        "photos": len(paths),
        "megabytes_per_photo": round(sum(path.stat().st_size for path in paths) / len(paths) / 1e6, 2),
        "threads": threads,
        "photos_per_second": round(rate, 2),
        "failed": failed,
        "steps": [
            {
                "name": step,
                "milliseconds": round(1000 * spent, 2),
                "share": round(weight[step] / sum(weight.values()), 3),
            }
            for step, spent in seconds.items()
        ],
        "bottleneck": what,
        "advice": advice,
        "stages": stage_messages(line.reports, seconds),
        "networks": judge(plan.profile, settings),
    }


def render(out: TextIO, message: BenchMessage) -> None:
    """The report for a terminal."""
    from daemon.models_render import render_networks  # noqa: PLC0415

    out.write(
        f"{message['photos']} photos of {message['megabytes_per_photo']} MB, profile {message['profile']}, "
        f"{message['threads']} threads: {message['photos_per_second']} photos/s\n"
    )
    if message["failed"]:
        out.write(f"{message['failed']} of them could not be analysed and are not counted.\n")
    out.write(f"What holds it back: {message['bottleneck']}. {message['advice']}\n\n")
    width = max(len(step["name"]) for step in message["steps"])
    for step in message["steps"]:
        out.write(f"  {step['name']:<{width}} {step['milliseconds']:>9.2f} ms {100 * step['share']:>4.0f} %\n")
    out.write("\n")
    for stage in message["stages"]:
        out.write(
            f"  {stage['stage']}: {stage['runtime']} {stage['precision']} on {stage['device']}, "
            f"batches of {stage['batch_size']}\n"
        )
    if message["networks"]:
        out.write("\n")
        render_networks(out, message["networks"])


class _Line:
    """A worker of its own, whose results nobody keeps."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        from daemon.setup import setup_of  # noqa: PLC0415
        from daemon.supervisor import Supervisor  # noqa: PLC0415

        self._plan = plan
        self._scratch = Path(tempfile.mkdtemp(prefix="reverie-bench-"))
        processing = settings.processing
        self._supervisor = Supervisor(
            setup_of(settings, thumbnails=self._scratch),
            stall_seconds=processing.stall_seconds,
            idle_seconds=processing.idle_seconds,
            clock=time.monotonic,
        )

    @property
    def reports(self) -> Mapping[str, RuntimeReport]:
        return self._supervisor.reports

    def analyse(self, paths: Sequence[Path]) -> tuple[float, dict[str, float], int]:
        """(photos a second, mean seconds of one photo in each step, how many failed)."""
        from daemon.supervisor import Death  # noqa: PLC0415

        began = time.perf_counter()
        waiting = [self._assignment(number, path) for number, path in enumerate(paths)]
        left, failed = len(waiting), 0
        seconds: dict[str, float] = {}
        while left:
            while waiting and len(self._supervisor.in_flight) < 2 * PHOTOS:
                self._supervisor.send(waiting.pop())
            outcome = self._supervisor.receive(WAIT_SECONDS)
            if isinstance(outcome, Death):
                raise ModelError(
                    f"The analysis process {outcome.reason} while it was measured.",
                    "Index the photos first: a file that does this is then found and left out.",
                )
            for result in outcome:
                left -= 1
                if isinstance(result, Refused) or (isinstance(result, Done) and result.analysis.failed):
                    failed += 1
                elif isinstance(result, Done):
                    for step, spent in result.analysis.seconds.items():
                        seconds[step] = seconds.get(step, 0.0) + spent
        good = len(paths) - failed
        rate = good / (time.perf_counter() - began)
        return rate, {step: spent / good for step, spent in seconds.items()}, failed

    def close(self) -> None:
        self._supervisor.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _assignment(self, number: int, path: Path) -> Assignment:
        stat = path.stat()
        return Assignment(
            media_id=number,
            content_hash=f"{number:064x}",
            path=os.fsencode(path),
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            inode=stat.st_ino,
            sidecars=(),
            stages=tuple(self._plan.stages),
        )


def _library(settings: Settings, count: int) -> tuple[Plan, list[Path]]:
    """The plan in use, and `count` photos evenly over the library that are there."""
    from daemon.view import BUILTIN_PLAN  # noqa: PLC0415
    from search.catalog import Catalog  # noqa: PLC0415

    catalog = Catalog(settings.paths.library)
    try:
        plan = catalog.plans().active or BUILTIN_PLAN
        media = catalog.select_media("1")
        chosen = media[:: max(1, len(media) // count)][:count].tolist()
        rows = catalog.photos(chosen)
    finally:
        catalog.close()
    return plan, [path for row in rows if row.paths and (path := Path(row.paths[0])).is_file()]


def _photos_in(folder: Path, count: int, watch: Watch) -> list[Path]:
    """The first photos of a folder, as a scan would meet them. Raises NoPhotos."""
    from indexer.media.formats import is_photo  # noqa: PLC0415 - Pillow must not slow every command's start

    if not folder.is_dir():
        raise NoPhotos(f"There is no folder {folder}.", "Check the name.")
    root = os.path.abspath(folder)
    found = (
        Path(entry.path)
        for place in walk(root, IgnoreRules(watch.ignore, watch.markers))
        for entry in place.files
        if is_photo(entry.name) and entry.is_file()
    )
    return list(itertools.islice(found, count))
