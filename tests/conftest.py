"""What tests of every room share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import config  # noqa: F401 - silences the libraries that the tests import


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Where the builtin networks are kept, as for a user: built at first use (half a minute), then there to stay."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "reverie", "models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that take minutes come first: while one process is at them, another does the rest."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
