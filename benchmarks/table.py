"""Rewrites the table of docs/performance.md from what is in results/, so that no figure is typed by hand.

python -m benchmarks.table
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- made by python -m benchmarks.table -->", "<!-- end -->"


def table() -> str:
    """One row for each goal of each result that has some, and what they were measured on."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    results = [result for result in results if "goals" in result.get("figures", {})]
    lines = ["| goal | | measured | command |", "| --- | --- | --- | --- |"]
    for result in results:
        command = f"`python -m benchmarks.{result['benchmark']}`"
        lines += [f"| {_row(goal)} | {command} |" for goal in result["figures"]["goals"]]
    machines = sorted({_machine(result) for result in results})
    return "\n".join([*lines, "", *machines])


def _row(goal: dict[str, Any]) -> str:
    measured = f"{goal['measured']:g} {goal['unit']}".strip()
    return f"{goal['goal']} | {goal['limit']} | {measured}{'' if goal['met'] else ' (**missed**)'}"


def _machine(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return (
        f"Measured on {result['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, "
        f"no GPU, {machine['system']}, Python {result['versions']['python']}."
    )


def rewritten(document: str) -> str:
    """The document with a fresh table between the marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{DOCUMENT} has no place for the table")
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


def main() -> None:
    """Rewrite the document."""
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
