"""Standard output and standard error as a command finds them: closed, full, or read by nobody any more."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Self

from config.errors import ReverieError


class OutputFailed(ReverieError):
    """What was asked for cannot be printed."""


class ReaderGone(OutputFailed):
    """The program that read the output (`head`, `less`) has seen enough."""


class _Stream(io.TextIOWrapper):
    @classmethod
    def over(cls, stream: io.TextIOWrapper) -> Self:
        """The same stream; bytes of file names that are no text are printed escaped."""
        return cls(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )


class Output(_Stream):
    """Standard output. Every failure to write is an OutputFailed, so that it is not taken for one of the command's."""

    def write(self, text: str, /) -> int:
        """Raises OutputFailed; ReaderGone where nobody reads any more."""
        with _told():
            return super().write(text)

    def flush(self) -> None:
        """Raises as `write` does."""
        with _told():
            super().flush()


class Remarks(_Stream):
    """Standard error. What cannot be written there is dropped: no work ends because nobody sees its progress."""

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Make the standard streams of this process such as this module describes.

    What was closed is opened on /dev/null first: the next file that is opened, which may be the catalog, would get its
    number, and whatever is printed. Standard output is opened for reading only, so that printing still fails.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)  # gets the lowest free number
            os.set_inheritable(opened, True)  # noqa: FBT003 - the library's own signature
    if sys.stdout is None:
        sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    # Where another program that calls us has streams of its own in place, it knows better.
    if type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = Output.over(sys.stdout)
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = Remarks.over(sys.stderr)


def abandon_output() -> None:
    """Let what is still buffered go nowhere, at the latest when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone("Nobody reads the output any more.") from error
    except OSError as error:
        reason = "standard output is closed" if error.errno == errno.EBADF else error.strerror
        raise OutputFailed(f"The output cannot be written: {reason}.") from error
