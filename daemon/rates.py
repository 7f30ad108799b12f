"""How fast this library went through the stages of each plan: what the estimate of the next change is made from."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from pathlib import Path

from indexer.records import Plan
from search.atomic import replacing

FILE_NAME = "rates.json"


class Rates:
    """Remembered rates of one library. A file that cannot be read or written costs an estimate, no more."""

    def __init__(self, library: Path) -> None:
        self._path = library / FILE_NAME

    def remember(self, plan: Plan, photos_per_second: float) -> None:
        """Keep the rate at which photos went through the stages of a plan."""
        rates = self._read() | {_key(plan.stages): round(photos_per_second, 3)}
        with contextlib.suppress(OSError), replacing(self._path) as file:
            file.write(json.dumps(rates, indent=1, sort_keys=True).encode())

    def rate_of(self, plan: Plan) -> float | None:
        """Photos/s, None if it was never measured."""
        return self._read().get(_key(plan.stages))

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {str(key): float(rate) for key, rate in found.items() if isinstance(rate, int | float) and rate > 0}


def _key(stages: Collection[str]) -> str:
    return " ".join(sorted(stages))
