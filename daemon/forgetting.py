"""Drop what is known of paths on purpose: rows, vectors and pictures. What people made by hand is kept."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from daemon.answers import NotIndexed
from indexer import notes
from indexer.pictures import Pictures
from search.authored import Authored
from search.catalog import Catalog
from search.catalog.roots import holds
from search.messages import ForgottenMessage


def forget(
    catalog: Catalog, authored: Authored, paths: Sequence[str], *, watched: Collection[str], dry_run: bool
) -> ForgottenMessage:
    """Forget these absolute paths, with all below them; or, as a dry run, only tell what that would drop.

    The rows go at once; `remove_pictures` removes the rest. Killed in between, both are done when asked for again.

    Args:
        catalog: the rows.
        authored: what people made.
        paths: files and folders, which need not exist any more.
        watched: the folders that are scanned by themselves: what is still there in them comes back.
        dry_run: change nothing.

    Raises:
        NotIndexed: nothing is known of one of the paths. Then nothing is dropped.
    """
    for path in paths:
        if not catalog.known_in(path):
            raise NotIndexed(f"Nothing is known of {path}.", "Check the name; `reverie show FILE` tells what is known.")
    done = catalog.forgettable(paths) if dry_run else catalog.forget(paths)
    made_by_hand = authored.contents()
    return {
        "files": done.files,
        "contents": len(done.contents),
        "shared": done.shared,
        "authored": sum(content.hex() in made_by_hand for content in done.contents),
        "again": [path for path in paths if os.path.lexists(path) and _is_watched(path, watched)],
    }


def remove_pictures(catalog: Catalog, pictures: Pictures, noted: Path, in_hand: Collection[int]) -> None:
    """Remove the pictures of forgotten contents and the notes on them, except of media that are in a worker's hand."""
    going_on = notes.kept(noted)
    removable = [digest for digest, media_id in catalog.forgotten().items() if media_id not in in_hand]
    if not removable:
        return
    returned = catalog.media_with_hashes(removable)  # indexed again meanwhile: the pictures are wanted
    for digest in removable:
        if digest not in returned:
            pictures.forget(digest.hex())
            if digest.hex() not in going_on:
                notes.forget(noted, digest.hex())
    catalog.pictures_removed(removable)


def _is_watched(path: str, watched: Collection[str]) -> bool:
    return any(holds(folder, path) or holds(path, folder) for folder in watched)
