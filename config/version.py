"""The program's version, as the installed package states it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "reverie-media"


def current_version() -> str:
    """The installed version; "0+unknown" when run from a source tree that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"
