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
BEGIN_VIDEO = "<!-- steps of a video, made by python -m benchmarks.table -->"


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


STEPS = {
    "metadata": ("metadata", "under 1"),
    "frames": ("frames", "2 to 3"),
    "networks": ("analysis of the frames", "5 to 10"),
    "speech": ("speech to text", "3 to 5"),
    "everything": ("everything", "15 to 25"),
}
"""Of benchmarks.video: what each step is called, and the seconds that the plan of the project had for it on paper."""


def video_steps() -> str:
    """What a minute of video takes, step by step, beside what was once planned."""
    figures = json.loads((RESULTS / "video.json").read_text(encoding="utf-8"))["figures"]
    clip, seconds = figures["clip"], figures["seconds"]
    lines = [
        f"| {clip['seconds']:g} s of {clip['size']}, H.264, with speech | seconds | on paper, with a GPU |",
        "| --- | ---: | ---: |",
    ]
    lines += [f"| {title} | {seconds[step]:.2f} | {planned} |" for step, (title, planned) in STEPS.items()]
    memory = ", ".join(f"{one['megabytes']:.0f} MB for {one['times']}" for one in figures["length"])
    return "\n".join([*lines, "", f"Memory of the whole process at its peak, by minutes of video: {memory}."])


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
    """The document with fresh tables between the marks."""
    for begin, text in ((BEGIN, table()), (BEGIN_VIDEO, video_steps())):
        before, found, rest = document.partition(begin)
        _, end, after = rest.partition(END)
        if not (found and end):
            raise SystemExit(f"{DOCUMENT} has no place for the table {begin}")
        document = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    return document


def main() -> None:
    """Rewrite the document."""
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
