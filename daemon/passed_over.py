"""How many files were passed over because nothing is known of their kind: a small file in the library, by root."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from search.atomic import replacing

logger = logging.getLogger(__name__)

FILE_NAME = "passed_over.json"


class PassedOver:
    """What the last whole scan of each root passed over, as suffix to number of files.

    Args:
        library: the library's folder.
    """

    def __init__(self, library: Path) -> None:
        self._path = library / FILE_NAME

    def note(self, root: str, counts: Mapping[str, int]) -> None:
        """Remember the counts of a root that was scanned whole, in the place of those of folders below it."""
        roots = self._read()
        kept = {other: old for other, old in roots.items() if not _holds(root, other)}
        if counts:
            kept[root] = dict(counts)
        if kept == roots:
            return
        try:
            with replacing(self._path) as file:
                file.write(json.dumps(kept).encode())
        except OSError as error:
            logger.warning("what was passed over cannot be noted: %s", error.strerror)

    def counts(self) -> dict[str, int]:
        """Suffix (lower case, with its dot; empty for none) to number of files, most first."""
        roots = self._read()
        total: Counter[str] = Counter()
        for root, counts in roots.items():
            inside = any(other != root and _holds(other, root) for other in roots)
            if not inside and os.path.isdir(root):
                total.update(counts)
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            roots = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}  # not written yet, or damaged: the next scan writes it anew
        return roots if isinstance(roots, dict) else {}


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
