"""Give files their identity, the SHA-256 of their content, and their kind: once, off the indexing thread."""

from __future__ import annotations

import hashlib
import os
import stat as stat_module
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from io import FileIO

from indexer.media.files import FileIdentity
from indexer.media.formats import HEAD, kind_of
from indexer.records import Kind
from search.catalog import Catalog, FileStat, Sampled

BATCH = 64
"""Files linked in one transaction: enough to make its cost small, few enough that analysis starts at once."""


LEAST_SAMPLED = 4 << 20
"""Bytes: smaller files are read whole, which costs little more than a sample of them."""
PIECE = 1 << 16
READ_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file holds."""

    digest: bytes
    """SHA-256 (FIPS 180-4) of its content, 32 bytes."""
    kind: Kind
    """What it probably is."""
    sample: bytes | None
    """A digest of a few pieces of it; None: it is small."""
    continues: str | None = None
    """The SHA-256, hexadecimal, of a known content with which it begins."""


class Identifier:
    """Hashes what the catalog has not identified yet and links it to its media. One thread drives it.

    Args:
        catalog: where unidentified files are found and linked.
        stages: what new content goes through, as stage to revision.
        threads: how many files are read at the same time.
        look_again: called with a path that is no longer what the catalog thinks, so that it settles afresh.
        identified: called with the content hashes (32 bytes) of a batch, once the catalog has them.
        may_go_on: the contents, SHA-256 in hexadecimal to size in bytes, that may be the beginnings of longer ones.
        went_on: called with the content hashes, in hexadecimal, of one that was and of what it became.
        refused: called for each file that cannot be read.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        stages: Callable[[], Mapping[str, int]],
        threads: int,
        look_again: Callable[[str], None],
        identified: Callable[[Collection[bytes]], None],
        may_go_on: Callable[[], Mapping[str, int]],
        went_on: Callable[[str, str], None],
        refused: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._stages = stages
        self._look_again = look_again
        self._identified = identified
        self._may_go_on = may_go_on
        self._went_on = went_on
        self._refused = refused
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="identify")
        self._hashing: dict[str, tuple[FileStat, Future[Identity]]] = {}
        self._stale: dict[str, tuple[int, int, int]] = {}

    def step(self) -> bool:
        """Link what has been hashed, start hashing what has not. True if anything was linked or is being hashed."""
        hashed: list[tuple[FileStat, Identity]] = []
        for path, (stat, future) in list(self._hashing.items()):
            if not future.done():
                continue
            del self._hashing[path]
            try:
                hashed.append((stat, future.result()))
            except _Changed:
                self._stale[path] = stat.signature
                self._look_again(path)
            except OSError as error:
                self._catalog.record_problem(path, *_explain(error), refused=True)
                self._refused()
        for _, found in hashed:
            if found.continues is not None:
                self._went_on(found.continues, found.digest.hex())
        if hashed:
            self._catalog.identify(
                [(stat, found.digest, found.kind) for stat, found in hashed],
                self._stages(),
                {found.digest: found.sample for _, found in hashed if found.sample is not None},
            )
            self._identified([found.digest for _, found in hashed])
            for stat, _ in hashed:
                note_odd_name(self._catalog, stat.path)
        if len(self._hashing) < BATCH:
            beginnings: Mapping[str, int] | None = None
            for stat in self._catalog.unidentified(2 * BATCH + len(self._stale)):
                if stat.path in self._hashing or self._stale.get(stat.path) == stat.signature:
                    continue  # known to have changed: wait until it has settled and the catalog knows its new look
                self._stale.pop(stat.path, None)
                beginnings = self._may_go_on() if beginnings is None else beginnings
                known = self._catalog.sampled(stat.path)
                self._hashing[stat.path] = stat, self._pool.submit(identity_of, stat, known, beginnings)
        return bool(hashed or self._hashing)

    def wait(self, seconds: float) -> None:
        """Sleep until a file that is being hashed has been, or for so long."""
        wait([future for _, future in self._hashing.values()], seconds, FIRST_COMPLETED)

    def use(self, threads: int) -> None:
        """Read so many files at the same time from now on; those that are being read are read to their ends."""
        self._pool.shutdown(wait=False)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="identify")

    def stop(self) -> None:
        """Drop what has not begun. Nothing is lost: the catalog still says it is unidentified."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def note_odd_name(catalog: Catalog, path: str) -> None:
    """List an indexed file among the problems if its name is not text: nobody can type it."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        if catalog.media_at(path) is not None:
            catalog.record_problem(
                path,
                "The file name is not valid UTF-8.",
                "It is indexed all the same; rename it (`convmv -f latin1 -t utf8`) to be able to type its name.",
            )


class _Changed(Exception):
    """The file is not the one that was seen."""


def identity_of(
    expected: FileStat, known: Sampled | None = None, beginnings: Mapping[str, int] | None = None
) -> Identity:
    """What a file holds. Of one that most likely holds what is `known`, a sample is read if that agrees, not the whole.

    `beginnings` are contents with which it may begin: SHA-256 in hexadecimal to size in bytes.

    Raises:
        _Changed: the file went away or changed before or while it was read.
        OSError: it cannot be read.
    """
    try:
        # A name can become a FIFO or a device between the scan and now: never wait for one to have a reader.
        descriptor = os.open(expected.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _Changed from error
    try:
        if not _same(os.fstat(descriptor), expected):
            raise _Changed
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            sample = _sample(descriptor, expected.size) if expected.size >= LEAST_SAMPLED else None
            if known is not None and sample == known.sample:
                identity = Identity(known.content_hash, known.kind, sample)
            else:
                kind = kind_of(expected.path, os.pread(descriptor, HEAD, 0))
                digest, continues = _digest(file, expected.size, beginnings or {})
                identity = Identity(digest, kind, sample, continues)
        if not _same(os.fstat(descriptor), expected):
            raise _Changed
    finally:
        os.close(descriptor)
    return identity


def _digest(file: FileIO, size: int, beginnings: Mapping[str, int]) -> tuple[bytes, str | None]:
    """The SHA-256 of a file, and the longest of these contents with which it begins."""
    digest, continues = hashlib.sha256(), None
    shorter = sorted((end, content_hash) for content_hash, end in beginnings.items() if 0 < end < size)
    for end, content_hash in shorter:
        while (left := end - file.tell()) > 0 and (data := file.read(min(left, READ_AT_ONCE))):
            digest.update(data)
        if digest.hexdigest() == content_hash:
            continues = content_hash
    return hashlib.file_digest(file, lambda: digest).digest(), continues


def _sample(descriptor: int, size: int) -> bytes:
    """A digest of pieces at the beginning, the middle and the end: where formats keep their headers and indexes."""
    digest = hashlib.sha256(size.to_bytes(8))
    for at in (0, (size - PIECE) // 2, size - PIECE):
        digest.update(os.pread(descriptor, PIECE, at))
    return digest.digest()


def _same(now: os.stat_result, expected: FileStat) -> bool:
    found = FileIdentity(size=now.st_size, mtime_ns=now.st_mtime_ns, inode=now.st_ino)
    wanted = FileIdentity(size=expected.size, mtime_ns=expected.mtime_ns, inode=expected.inode)
    return stat_module.S_ISREG(now.st_mode) and wanted.fits(found)


def _explain(error: OSError) -> tuple[str, str]:
    """What went wrong and what to do, for a person."""
    if isinstance(error, PermissionError):
        return (
            "Permission denied: the file cannot be read.",
            "Give the user Reverie runs as the right to read it, for example `chmod a+r` or a common group.",
        )
    return (
        f"The file cannot be read: {error.strerror or error}.",
        "Check the disk or the network share; it is tried again at the next scan.",
    )
