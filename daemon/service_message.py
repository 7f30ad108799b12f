"""What a running service tells of itself."""

from __future__ import annotations

import os

from config.version import current_version
from daemon.indexing import Indexing
from daemon.watcher import Watcher
from search.messages import ServiceMessage


def one_line(indexing: Indexing) -> str:
    """What is left to do, for `systemctl status`."""
    report = indexing.report("")
    left = report["total"] - report["done"]
    if not left:
        return "idle"
    rate = f", {report['photos_per_second']:.1f} photos/s" if report["photos_per_second"] else ""
    return f"{left} to do{rate}"


def describe(indexing: Indexing, watcher: Watcher, *, uptime: float, state: str, trouble: str | None) -> ServiceMessage:
    """The same at length, for `reverie status`. `uptime` in seconds."""
    report = indexing.report("")
    pace = indexing.progress.pace()
    left = report["total"] - report["done"]
    return {
        "pid": os.getpid(),
        "version": current_version(),
        "uptime_seconds": round(uptime, 1),
        "state": state if state != "idle" or not left else f"indexing, {left} to do",
        "trouble": trouble,
        "settling": indexing.intake.settling,
        "paused": indexing.paused,
        "worker_pid": indexing.workers.pid,
        "pace": {
            "photos_per_second": report["photos_per_second"] if left else 0.0,
            "eta_seconds": report["eta_seconds"],
            "bottleneck": pace.bottleneck if left else None,
            "seconds_per_step": {step: round(spent, 5) for step, spent in pace.seconds_per_step.items()},
            "finished": pace.finished,
            "failed": pace.failed,
            "long_left": report["long_left"],
        },
        "long_files": indexing.long_files(),
        "folders": [
            {
                "path": health.root,
                "mode": health.mode,
                "reason": indexing.intake.obstacle(health.root) or health.reason or None,
                "remedy": health.remedy or None,
            }
            for health in watcher.health()
        ],
    }
