"""What every benchmark does with its figures: medians, the machine and the versions, as JSON beside the others."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def milliseconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and number of some measurements."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3),
        "n": len(ordered),
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**20, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": round(os.getloadavg()[0], 2),
    }


def goal(
    what: str, measured: float, *, unit: str = "", at_most: float | None = None, at_least: float | None = None
) -> dict[str, Any]:
    """One promise and what became of it, for the "goals" of a result: docs/performance.md is made from these."""
    met = (at_most is None or measured <= at_most) and (at_least is None or measured >= at_least)
    limits = [f"{sign} {limit:g}" for sign, limit in (("≥", at_least), ("≤", at_most)) if limit is not None]
    return {
        "goal": what,
        "limit": "none" if at_most == 0 else f"{' and '.join(limits)} {unit}".rstrip(),
        "measured": float(f"{measured:.3g}"),
        "unit": unit,
        "met": bool(met),
    }


def write(name: str, figures: dict[str, Any], packages: Sequence[str], *, keep: bool = True) -> None:
    """Print the figures and, if they are to be kept, write results/`name`.json."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        cwd=RESULTS,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    document = {
        "benchmark": name,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit or None,
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "figures": figures,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    print(text)
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
