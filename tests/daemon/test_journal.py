"""Log lines as the journal reads them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOG = """
import logging, os
from daemon.journal import journal_handler
stream = os.fstat(2)
assert journal_handler({}) is None
assert journal_handler({"JOURNAL_STREAM": "1:1"}) is None
handler = journal_handler({"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"})
logging.basicConfig(handlers=[handler], level=logging.DEBUG)
logger = logging.getLogger("daemon.service")
logger.info("ready")
logger.warning("two\\nlines")
logger.error("failed")
"""


def test_without_the_extra_every_line_carries_its_priority(tmp_path: Path) -> None:
    # A package that cannot be imported stands for the extra that is not installed.
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "__init__.py").write_text("raise ImportError")
    path = f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"
    logged = subprocess.run(
        [sys.executable, "-c", LOG], check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert logged.stderr.splitlines() == [
        "<6>daemon.service: ready",
        "<4>daemon.service: two",
        "<4>lines",
        "<3>daemon.service: failed",
    ]
