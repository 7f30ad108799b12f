"""The kernel's limits on watching, and the exact command that lifts the one that was met (`inotify(7)`)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

GENEROUS_WATCHES = 524_288
"""About 0.5 GB of kernel memory if all were used, on 64-bit systems."""

GENEROUS_INSTANCES = 1024

OUR_SHARE = 0.9
"""The limit is per user: what is left lets other programs of the same user go on watching a little."""


@dataclass(frozen=True, slots=True)
class InotifyLimits:
    """What one user may have; None where the system does not tell."""

    watches: int | None
    instances: int | None

    @property
    def our_watches(self) -> int | None:
        """How many folders one root may watch."""
        return None if self.watches is None else int(self.watches * OUR_SHARE)

    def explain(self, error: OSError) -> tuple[str, str]:
        """Why watching failed and what would help, each one sentence."""
        if error.errno == errno.ENOSPC:
            reason = f"There are more folders than the system lets us watch ({self.watches} watches)."
            return reason, _sysctl("max_user_watches", max(GENEROUS_WATCHES, 2 * (self.watches or 0)))
        if error.errno == errno.EMFILE:
            reason = f"Too many programs of this user watch folders ({self.instances} inotify instances)."
            return reason, _sysctl("max_user_instances", max(GENEROUS_INSTANCES, 2 * (self.instances or 0)))
        return f"The folder cannot be watched: {error.strerror or error}.", ""


def read_limits(proc: Path = Path("/proc")) -> InotifyLimits:
    """The limits as they are now."""
    return InotifyLimits(_read(proc, "max_user_watches"), _read(proc, "max_user_instances"))


def _read(proc: Path, name: str) -> int | None:
    try:
        return int((proc / "sys/fs/inotify" / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _sysctl(name: str, value: int) -> str:
    setting = f"fs.inotify.{name}={value}"
    return f"sudo sysctl {setting} (to keep it: echo {setting} | sudo tee /etc/sysctl.d/60-reverie.conf)"
