"""The folders that were given to index: which they are now, which they were, and what to ask about them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence

from daemon.scan import Scan
from search.catalog import Catalog, Root
from search.catalog.roots import holds
from search.messages import NoteMessage


def remembered(roots: Sequence[Root], scan: Scan) -> tuple[int, int] | None:
    """Device and inode of the folder that a scan should have found, None if that is not known.

    None is kept for a folder below a root: it is taken to be the same if it lies on the device of its root.
    """
    above = [root for root in roots if root.identity is not None and holds(root.path, scan.root)]
    if not above:
        return None
    root = max(above, key=lambda one: len(one.path))
    if root.path == scan.root:
        return root.identity
    same = scan.identity is not None and root.identity is not None and scan.identity[0] == root.identity[0]
    return scan.identity if same else None


def configure(catalog: Catalog, folders: Collection[str], forget_days: float) -> list[str]:
    """Have the catalog follow the folders of the settings: what is in none of them any more is hidden, unless a command
    named it. Returns a sentence for each folder that was taken out."""
    told = []
    for path in catalog.configure_roots(folders):
        hidden = catalog.drop_root(path)
        if hidden:
            files = _files(hidden)
            told.append(
                f"{path} is not among the folders of the settings any more: {files} of it {_are(hidden)} hidden, and"
                f" what is known is {_kept(forget_days)}."
            )
    return told


def root_notes(catalog: Catalog) -> list[NoteMessage]:
    """What `status` has to ask or to say about the roots."""
    notes: list[NoteMessage] = []
    for root in catalog.roots():
        if root.unsure:
            notes.append(question(root.path, root.unsure))
        elif root.origin == "dropped" and catalog.known_in(root.path):
            name = shlex.quote(root.path)
            notes.append(
                {
                    "title": f"{root.path} was taken out of the settings: what was found in it is hidden.",
                    "remedy": f"`reverie index {name}` shows it again; `reverie forget {name}` drops it now.",
                }
            )
    return notes


def question(path: str, files: int) -> NoteMessage:
    """What to ask about files that were deleted, or are on a disk that is not mounted."""
    return {
        "title": f"{path} was emptied or deleted, or its disk is not mounted: {_files(files)} in it"
        f" {_are(files)} kept.",
        "remedy": f"Mount it, or `reverie forget {shlex.quote(path)}` if you deleted them.",
    }


def gone_sentence(path: str, files: int, forget_days: float) -> str:
    """What was done about files that are gone for good."""
    them = "they are" if files != 1 else "it is"
    return (
        f"{_files(files)} at or below {path} {_are(files)} gone; {them} hidden, and what is known is"
        f" {_kept(forget_days)}."
    )


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _kept(days: float) -> str:
    return f"kept for {days:g} day{'s' * (days != 1)}"
