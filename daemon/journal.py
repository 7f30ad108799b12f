"""Logging to the systemd journal: structured where systemd-python is installed, by level prefixes where not."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))
"""Python's levels and syslog's priorities."""


class PrefixFormatter(logging.Formatter):
    """Puts the priority before every line, as sd-daemon(3) has it: `<4>name: message`."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = next(f"<{priority}>" for level, priority in _LEVELS if record.levelno >= level)
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def journal_handler(environ: Mapping[str, str]) -> logging.Handler | None:
    """The handler for a process whose standard error is the journal; None for any other."""
    if not _writes_to_journal(environ):
        return None
    try:
        from systemd.journal import JournalHandler  # noqa: PLC0415 - an optional package
    except ImportError:
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(PrefixFormatter("%(name)s: %(message)s"))
        return handler
    structured: logging.Handler = JournalHandler(SYSLOG_IDENTIFIER="reverie")
    structured.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    return structured


def _writes_to_journal(environ: Mapping[str, str]) -> bool:
    """Whether standard error is still the stream that `JOURNAL_STREAM` names by device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
