"""The benchmarks run, on something small, and only a real run changes what is published."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MODULES = sorted((ROOT / "benchmarks").glob("*.py"))
QUICK = [path.stem for path in MODULES if '"--quick"' in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_benchmark_says_what_it_measures(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text
    if "def main(" in path.read_text(encoding="utf-8"):
        assert f"python -m benchmarks.{path.stem}" in text


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_run_reports_and_publishes_nothing(name: str, model_cache: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in RESULTS.iterdir()}
    finished = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    assert document["machine"]["cores"] >= 1
    assert document["figures"]["goals"]
    assert {path: path.stat().st_mtime_ns for path in RESULTS.iterdir()} == before


def test_the_published_table_is_what_the_results_say() -> None:
    document = table.DOCUMENT.read_text(encoding="utf-8")
    assert table.rewritten(document) == document
