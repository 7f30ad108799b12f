"""`reverie doctor`: what is missing on this machine, and the exact command that mends it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from config.settings import Settings
from daemon.checks import Check, Level
from daemon.checks.gpu import check_gpu
from daemon.checks.installation import check_extras, check_packages, check_plugins, check_python, check_weights
from daemon.checks.machine import check_folders, check_library, check_service, check_space, check_watches

if TYPE_CHECKING:
    from config.commands import SubParsers

HEALTHY, FAILED = 0, 3

CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    check_python,
    check_packages,
    check_weights,
    check_extras,
    check_plugins,
    check_library,
    check_space,
    check_folders,
    check_watches,
    check_gpu,
    check_service,
)


def add_parser(subparsers: SubParsers) -> None:
    """Add `doctor`."""
    about = (
        "Check this machine: packages, weights, disk, folders, limits, the service. What is amiss comes with the "
        "command that mends it. Exit status: 0 if Reverie can work, 3 if it cannot."
    )
    doctor = subparsers.add_parser("doctor", help="what is missing on this machine", description=about)
    doctor.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace, settings: Settings, out: TextIO) -> int:
    """Check everything and return the exit status: 3 if anything is an error."""
    found = [result for check in CHECKS for result in check(settings)]
    failed = any(result.level is Level.ERROR for result in found)
    if args.json:
        out.write(json.dumps({"healthy": not failed, "checks": [asdict(result) for result in found]}, indent=2) + "\n")
    else:
        for result in found:
            out.write(f"{result.level:8}{result.name}: {result.what}\n")
            if result.fix:
                out.write(f"{'':8}  {result.fix}\n")
    return FAILED if failed else HEALTHY
