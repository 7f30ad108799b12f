"""Runs a build in a process of its own, so that PyTorch and the full weights leave memory with it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from config.errors import ModelError

logger = logging.getLogger(__name__)

_BUILD_SECONDS = 900
"""After this a build hangs; the slowest measured took under a minute."""
_PROJECT = Path(__file__).resolve().parents[2]


def run_build(module: str, arguments: Sequence[str], what: str) -> None:
    """Run `python -m module arguments` to its end; `what` names what it builds ("text"), for people.

    The child says what is wrong on standard output, as JSON (title, remedy). Raises ModelError.
    """
    logger.info("building the %s network for this machine, once", what)
    search_path = os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": search_path}
    try:
        child = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"Building the {what} network took more than {_BUILD_SECONDS // 60} minutes and was stopped.",
            "Try again when the machine is less busy.",
        ) from error
    if child.returncode == 0:
        return
    try:
        failure = json.loads(child.stdout)
        raise ModelError(failure["title"], failure["remedy"])
    except (ValueError, KeyError):
        logger.error("building the %s network failed: %s", what, child.stderr.strip())
        last = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        raise ModelError(
            f"The {what} network could not be built: {last}", "Check the installation with `reverie doctor`."
        ) from None
