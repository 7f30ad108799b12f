"""Asking the user a yes-or-no question on the terminal."""

from __future__ import annotations

import sys


def agreed(question: str) -> bool:
    """Whether the user answers yes. Anything else, an end of input included, is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
