"""Makes catalogs with known content, through the same calls that the service makes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.records import Analysis, Embedding, Failure, Kind, MediaInfo, PixelStats, Space, Stage, Tag
from search.catalog import Catalog, FileStat, Work

STAGES: dict[str, int] = {Stage.METADATA: 1, Stage.DESCRIBE: 1, Stage.PIXELS: 1, Stage.CONCEPTS: 1}
SPACE = Space("test@1", 16)


def stat(path: str, inode: int = 0, **changes: Any) -> FileStat:
    """A file at `path`; the same inode is the same file."""
    inode = inode or int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:6])
    values: dict[str, Any] = {"size": 1000, "mtime_ns": 5, "inode": inode, "device": 1} | changes
    return FileStat(path, **values)


def digest(content: str) -> bytes:
    return hashlib.sha256(content.encode(errors="surrogateescape")).digest()


def unit(seed: int, space: Space = SPACE) -> NDArray[np.float32]:
    vector = np.random.default_rng(seed).standard_normal(space.dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def analysis(
    media_id: int, *, tags: Sequence[str] = (), vector: NDArray[np.float32] | None = None, **info: Any
) -> Analysis:
    """What every stage says about one photo."""
    described: dict[str, Any] = {"format": "JPEG", "width": 4000, "height": 3000} | info
    return Analysis(
        media_id=media_id,
        stages=STAGES,
        info=MediaInfo(kind=Kind.PHOTO, **described),
        pixels=PixelStats(
            sharpness=0.5, exposure=0.5, contrast=0.5, quality=0.5, brightness=0.5, perceptual_hash=-(2**63)
        ),
        tags={Stage.CONCEPTS: tuple(Tag(name, 0.5, "imagenet") for name in tags)},
        embeddings=(Embedding(SPACE, (unit(media_id) if vector is None else vector).astype("<f2").tobytes()),),
    )


def failure(work: Work, **changes: Any) -> Failure:
    values: dict[str, Any] = {"title": "It is broken.", "remedy": "Mend it.", "permanent": False} | changes
    return Failure(media_id=work.media_id, stages=work.stages, **values)


def add(catalog: Catalog, *stats: FileStat) -> list[int]:
    """Record and identify files, each with content of its own; returns their media."""
    catalog.record_files(stats)
    catalog.identify([(one, digest(one.path + str(one.signature)), Kind.PHOTO) for one in stats], STAGES)
    return [media(catalog, one.path) for one in stats]


def index(catalog: Catalog, *stats: FileStat, **info: Any) -> list[int]:
    """Files that are searchable."""
    found = add(catalog, *stats)
    finish(catalog, **info)
    return found


def finish(catalog: Catalog, **info: Any) -> None:
    """Do all the work there is."""
    while work := catalog.claim(500):
        catalog.store([analysis(one.media_id, **info) for one in work], [])


def media(catalog: Catalog, path: str) -> int:
    found = catalog.media_at(path)
    assert found is not None, path
    return found


def found(catalog: Catalog, words: str) -> set[int]:
    """What full text finds."""
    return {match.media_id for match in catalog.text_matches(words, 100)}
