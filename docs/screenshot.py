"""Make docs/search.svg from what the program really prints: python docs/screenshot.py (after `make demo`)."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parents[1]
COMMANDS = (
    ("search", "a cup of coffee on a table"),
    ("search", "black and white horse", "--limit", "2"),
    ("search", "quantum tax invoice"),
)


def main() -> None:
    """Run each command on the demo's library and draw what a terminal would show."""
    console = Console(record=True, width=92, file=io.StringIO())
    for command in COMMANDS:
        shown = " ".join(f'"{word}"' if " " in word else word for word in command)
        console.print(Text.assemble(("$ ", "bold green"), (f"reverie {shown}", "bold")))
        program = [str(PROJECT / ".venv/bin/reverie"), "--library", str(PROJECT / ".demo/library"), *command]
        output = subprocess.run(program, capture_output=True, text=True, check=False).stdout
        console.print(Text(output.replace(str(PROJECT / ".demo"), "~").rstrip() + "\n"))
    console.save_svg(str(PROJECT / "docs/search.svg"), title="reverie")


if __name__ == "__main__":
    sys.exit(main())
