"""What the watchers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

HintKind: TypeAlias = Literal["file", "sidecar", "folder", "rescan"]


@dataclass(frozen=True, slots=True)
class Hint:
    """ "Look here." Never more: the path may be new, changed, gone, or not have changed at all."""

    kind: HintKind
    """"file": look at the media file `path`. "sidecar": look at the media files that
    `path` speaks about. "folder": scan at and below `path`. "rescan": scan the whole root."""
    root: str
    path: str | None = None
    """None for "rescan"."""
    renamed: bool = False
    """The file arrived under this name by a rename, complete."""
    writing: bool | None = None
    """True: it was written to, and not closed. False: a writer closed it. None: nothing is known."""
