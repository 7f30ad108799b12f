"""A glance into files whose names leave it open what they are; each is taken once, until the file changes."""

from __future__ import annotations

import os

from indexer.media.formats import is_media_content

_GLANCE = 4096
"""Bytes: enough for six packets of a transport stream and for every other mark. A source tree has thousands of such
files, and more would push what matters out of the system's cache."""
_MOST = 100_000
"""How many answers are remembered before all of them are dropped."""


class Glance:
    """Whether files are media files by their content. Safe to use from several threads."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[tuple[int, int, int], bool]] = {}

    def is_media(self, path: str, signature: tuple[int, int, int]) -> bool:
        """`signature`: size, modification time (ns) and inode. False also for what cannot be read now."""
        known = self._answers.get(path)
        if known is not None and known[0] == signature:
            return known[1]
        try:
            answer = is_media_content(head_of(path))
        except OSError:
            return False
        if len(self._answers) >= _MOST:
            self._answers.clear()
        self._answers[path] = signature, answer
        return answer


def head_of(path: str, size: int = _GLANCE) -> bytes:
    """The beginning of a file. Raises OSError."""
    # A name can become a FIFO or a device at any time: never wait for one to have a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)
