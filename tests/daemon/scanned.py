"""A root to be scanned, and what the catalog would remember of it, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.ignore import IgnoreRules
from daemon.scan import scan_root
from search.catalog import FileStat, KnownFile

RULES = IgnoreRules()
OTHER_DISK = 987654


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")


def names(root: Path, rules: IgnoreRules = RULES) -> list[str]:
    """The scanned paths, relative to the root."""
    return sorted(os.path.relpath(path, root) for path in scan_root(str(root), rules).files)


def remember(files: Iterable[FileStat]) -> dict[str, KnownFile]:
    """What the catalog would know after these were recorded."""
    return {
        file.path: KnownFile(
            file.path, file.size, file.mtime_ns, file.inode, file.device, file.sidecars, file.sidecars_stamp, 1
        )
        for file in files
    }


def known_in(root: Path) -> dict[str, KnownFile]:
    return remember(scan_root(str(root), RULES).files.values())


def on_disk(known: dict[str, KnownFile], device: int) -> dict[str, KnownFile]:
    return {path: replace(file, device=device) for path, file in known.items()}
