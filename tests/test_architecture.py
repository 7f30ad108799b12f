"""The arrows between the rooms point down only, and the front door stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "config": {"config"},
    "indexer": {"indexer", "config"},
    "search": {"search", "config", "indexer.records", "indexer.stages", "indexer.vocabulary"},
    "daemon": {"daemon", "search", "indexer", "config"},
}
"""Which of our modules each room may import, wherever in a file the import stands."""

FOREIGN_TO_SEARCH = {"torch", "transformers", "onnxruntime", "PIL", "cv2"}
HEAVY = {"numpy", "torch", "faiss", "onnxruntime", "PIL", "cv2"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = list((PROJECT / room).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(PROJECT)} imports {module}"
        for path in files
        for module in imports(path)
        if within(module, set(ALLOWED)) and not within(module, ALLOWED[room])
    ]
    assert wrong == []


def test_search_knows_no_model_and_no_decoder() -> None:
    wrong = [
        f"{path.relative_to(PROJECT)} imports {module}"
        for path in (PROJECT / "search").rglob("*.py")
        for module in imports(path)
        if module.partition(".")[0] in FOREIGN_TO_SEARCH
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["search", "--help"], 0), (["status", "--help"], 0), (["index", "--help"], 0)],
)
def test_the_front_door_imports_nothing_heavy(arguments: list[str], status: int) -> None:
    assert heavy_modules_after(arguments, status) == []


def heavy_modules_after(arguments: list[str], status: int) -> list[str]:
    """Which heavy modules a command leaves imported."""
    script = (
        "import reverie, sys\n"
        "try:\n    status = reverie.main(sys.argv[1:])\n"
        "except SystemExit as end:\n    status = end.code\n"
        f"assert status == {status}, status\n"
        f"sys.stderr.write(' '.join(sorted({HEAVY!r} & set(sys.modules))))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return finished.stderr.split()
