"""The figures of benchmarks.gpu as a person reads them."""

from __future__ import annotations

from typing import Any


def table(figures: dict[str, Any]) -> str:
    """Markdown."""
    cards = ", ".join(figures["cards"]) or "the processor alone: not measured on a GPU"
    lines = [f"# {cards}", "", "| network | runtime | items/s | times the reference | cosine | verdict |"]
    lines.append("| --- | --- | ---: | ---: | ---: | --- |")
    for name, rows in figures["runtimes"].items():
        for row in rows:
            cells = _cells(row["items_per_second"], row["times_reference"], row["cosine"])
            lines.append(f"| {name} | {row['runtime']} | {cells} | {row['verdict']} |")
    lines += ["", "| network | served by | batch | items/s | utilisation | MB | W |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, curve in figures["batches"].items():
        for row in curve["sizes"]:
            mark = " (chosen)" if row["batch"] == curve["chosen"] else ""
            card = (row["items_per_second"], row["utilisation"], row["memory_megabytes"], row["watts"])
            lines.append(f"| {name} | {curve['served_by']} | {row['batch']}{mark} | {_cells(*card)} |")
    line = figures["line"]
    lines += [
        "",
        f"The whole line: {line['photos_per_second']} photos a second ({line['photos']} photos); "
        f"the film in {line['film_seconds']} s.",
        "",
        *(f"- {kind}: {', '.join(names)}" for kind, names in figures["weights"].items()),
        "",
    ]
    return "\n".join(lines)


def _cells(*values: float | None) -> str:
    return " | ".join("" if value is None else f"{value:g}" for value in values)
