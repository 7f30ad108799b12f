"""The lists of labels: the shipped ones, then the system's and the user's, each a text file of one label a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from config.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "labels"


def label_lists(config_folders: Sequence[Path]) -> Mapping[str, tuple[str, ...]]:
    """List name to its labels. `labels/NAME.txt` of a later folder stands in place of an earlier NAME; `#` comments.

    Raises ConfigError for a file that cannot be read.
    """
    lists: dict[str, tuple[str, ...]] = {}
    for folder in (SHIPPED, *(folder / "labels" for folder in config_folders)):
        for file in sorted(folder.glob("*.txt")):
            try:
                lines = file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{file} cannot be read: {error}.", "Correct or remove the file.") from error
            words = (line.partition("#")[0].strip() for line in lines)
            lists[file.stem] = tuple(dict.fromkeys(word for word in words if word))
    return lists
