"""Is everything installed that Reverie needs: Python, packages, weights, extras?"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence

from config.errors import ModelError
from config.settings import Settings
from config.version import DISTRIBUTION
from daemon.checks import Check, Level
from indexer.models import weights

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)

EXTRAS = {
    "raw": "RAW photos are listed as problems",
    "systemd": "log lines in the journal carry their level, but no further fields",
}
"""What is missing without each optional extra that this version uses."""

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)[^;]*(?:;.*extra == ['\"](?P<extra>\w+)['\"])?")


def check_python(_: Settings) -> Iterator[Check]:
    """The interpreter's version."""
    version = platform.python_version()
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        yield Check("Python", Level.OK, f"{version}, {sys.executable}")
    else:
        wanted = " to ".join(".".join(map(str, bound)) for bound in (OLDEST_PYTHON, NEWEST_PYTHON))
        yield Check(
            "Python",
            Level.ERROR,
            f"{version} is not supported.",
            f"Install Reverie in an environment of Python {wanted}.",
        )


def check_packages(_: Settings) -> Iterator[Check]:
    """The packages that the program itself says it needs."""
    try:
        needed = requirements("")
    except importlib.metadata.PackageNotFoundError:
        fix = f"In the source folder: {pip_install(['.'])}"
        yield Check("packages", Level.ERROR, f"{DISTRIBUTION} is not installed.", fix)
        return
    if absent := missing(needed):
        names = ", ".join(_name(requirement) for requirement in absent)
        yield Check("packages", Level.ERROR, f"Not installed: {names}.", pip_install(absent))
    else:
        yield Check("packages", Level.OK, f"all {len(needed)} are installed")


def check_weights(_: Settings) -> Iterator[Check]:
    """The networks' weights: there, and the very files that were tested."""
    files = [value for value in vars(weights).values() if isinstance(value, weights.PackagedFile)]
    good = True
    for file in files:
        try:
            file.verified()
        except ModelError as error:
            good = False
            yield Check("weights", Level.ERROR, error.title, error.remedy)
    if good:
        megabytes = sum(file.size for file in files) / 1e6
        yield Check("weights", Level.OK, f"{len(files)} files, {megabytes:.0f} MB, checksums agree")


def check_extras(_: Settings) -> Iterator[Check]:
    """The optional packages."""
    for extra, loss in EXTRAS.items():
        try:
            absent = missing(requirements(extra))
        except importlib.metadata.PackageNotFoundError:
            return
        if not absent:
            yield Check(f"extra {extra}", Level.OK, "installed")
        else:
            # Its compiler and headers are what most often fails; name them beforehand.
            before = "sudo apt-get install gcc pkg-config libsystemd-dev && " if extra == "systemd" else ""
            level = Level.WARNING if extra == "raw" else Level.OK
            yield Check(f"extra {extra}", level, f"not installed: {loss}.", before + pip_install(absent))


def check_plugins(_: Settings) -> Iterator[Check]:
    """Stages that other packages bring."""
    from indexer.plugins import find_plugins  # noqa: PLC0415 - brings numpy, and every command imports this module

    found = find_plugins()
    if found.stages:
        yield Check("plug-ins", Level.OK, f"stages: {', '.join(found.stages)}")
    for problem in found.problems:
        what = f'"{problem.name}" is left out: {problem.reason}.'
        yield Check("plug-ins", Level.WARNING, what, "Mend, update or uninstall it (docs/stages.md has the rules).")


def requirements(extra: str) -> list[str]:
    """What the installed program requires, with or for an extra ("": without any): "numpy<3,>=2.1"."""
    found = []
    for line in importlib.metadata.requires(DISTRIBUTION) or ():
        parts = _REQUIREMENT.match(line)
        if parts is not None and (parts["extra"] or "") == extra:
            found.append(line.partition(";")[0].strip())
    return found


def missing(needed: Sequence[str]) -> list[str]:
    """Those of the requirements of which no version is installed."""
    installed = {_normal(found.name) for found in importlib.metadata.distributions() if found.name}
    return [requirement for requirement in needed if _normal(_name(requirement)) not in installed]


def pip_install(needed: Sequence[str]) -> str:
    """The command that installs into the environment that runs this."""
    return shlex.join([sys.executable, "-m", "pip", "install", *needed])


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
