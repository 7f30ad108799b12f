"""What a pipeline is told to do, for tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from indexer.media.files import FileIdentity
from indexer.pipeline import Task
from indexer.records import Kind
from indexer.stages import STAGES, applies

EVERYTHING = tuple(stage for stage in STAGES if applies(stage, Kind.PHOTO))


def task(path: Path, number: int = 1, stages: tuple[str, ...] = EVERYTHING, sidecars: tuple[Path, ...] = ()) -> Task:
    status = path.stat()
    return Task(
        media_id=number,
        content_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
        path=str(path),
        identity=FileIdentity(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino),
        sidecars=tuple(map(str, sidecars)),
        stages=stages,
    )
